"""A token key goes into pyca's builders as it is; OpenSSL judges what comes out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import PrivateKey

Resident = Callable[[KeyAlgorithm], PrivateKey]
NOW = datetime.now(UTC).replace(microsecond=0)  # OpenSSL looks at the clock
ALGORITHMS = [KeyAlgorithm.RSA_2048, KeyAlgorithm.P_256, KeyAlgorithm.P_384]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, public_key: object, issuer: str, key: PrivateKey, *, ca: bool, pss: bool = False
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public_key)  # type: ignore[arg-type]  # either kind of public key
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(minutes=5))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH) if pss else None
    return builder.sign(key, hashes.SHA256(), rsa_padding=scheme)


def _openssl(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _pem(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("algorithm", "pss"), [*((each, False) for each in ALGORITHMS), (KeyAlgorithm.RSA_2048, True)]
)
def test_certificates_verify(
    resident: Resident, tmp_path: Path, algorithm: KeyAlgorithm, pss: bool
) -> None:
    """RFC 5280, 4.1.1.3: the signature over the DER of tbsCertificate."""
    key = resident(algorithm)
    root = _certificate("TEST root", key.public_key(), "TEST root", key, ca=True, pss=pss)
    holder = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = _certificate("TEST leaf", holder, "TEST root", key, ca=False, pss=pss)
    answer = _openssl(
        "verify", "-check_ss_sig", "-CAfile", _pem(tmp_path / "root.pem", root),
        _pem(tmp_path / "leaf.pem", leaf),
    )  # fmt: skip
    assert "OK" in answer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_requests_prove_possession(
    resident: Resident, tmp_path: Path, algorithm: KeyAlgorithm
) -> None:
    """RFC 2986, 4.2: the request is signed by the key it carries."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name("TEST issuing CA"))
        .sign(resident(algorithm), hashes.SHA384())
    )
    path = tmp_path / "request.pem"
    path.write_bytes(request.public_bytes(Encoding.PEM))
    assert "verify OK" in _openssl("req", "-verify", "-noout", "-in", path)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_crls_verify(resident: Resident, tmp_path: Path, algorithm: KeyAlgorithm) -> None:
    """RFC 5280, 5.1.1.3: the signature over the DER of tbsCertList."""
    key = resident(algorithm)
    root = _certificate("TEST root", key.public_key(), "TEST root", key, ca=True)
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name("TEST root"))
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(7).revocation_date(NOW).build()
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "list.crl"
    path.write_bytes(crl.public_bytes(Encoding.PEM))
    certificate = _pem(tmp_path / "root.pem", root)
    assert "verify OK" in _openssl("crl", "-noout", "-verify", "-CAfile", certificate, "-in", path)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ocsp_answers_verify(resident: Resident, tmp_path: Path, algorithm: KeyAlgorithm) -> None:
    """RFC 6960, 4.2.1: BasicOCSPResponse is signed over the DER of ResponseData."""
    key = resident(algorithm)
    root = _certificate("TEST root", key.public_key(), "TEST root", key, ca=True)
    holder = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = _certificate("TEST leaf", holder, "TEST root", key, ca=False)
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            leaf, root, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD,
            NOW, NOW + timedelta(hours=1), None, None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, root)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "answer.der"
    path.write_bytes(response.public_bytes(Encoding.DER))
    root_pem, leaf_pem = _pem(tmp_path / "root.pem", root), _pem(tmp_path / "leaf.pem", leaf)
    answer = _openssl(
        "ocsp", "-respin", path, "-CAfile", root_pem, "-issuer", root_pem, "-sha256",
        "-cert", leaf_pem, "-no_nonce",
    )  # fmt: skip
    assert "Response verify OK" in answer
    assert "good" in answer
