"""The CMS template against two other implementations: pyHanko's own builder and OpenSSL."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from pathlib import Path

import pytest
from asn1crypto import algos, cms, keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.sign.signers import SimpleSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signer.cms import CmsTemplate, Scheme
from signer.errors import SignerError
from tests.signer.software_ca import Holder, holder

CONTENT = "Quyết định số 12/QĐ-UBND".encode()
KINDS = [
    ("rsa-2048", None),
    ("rsa-3072", None),
    ("rsa-2048", Scheme.RSA_PSS),
    ("p-256", None),
    ("p-384", None),
]


def made(by: Holder, scheme: Scheme | None = None) -> bytes:
    template = CmsTemplate(by.certificate, by.chain, scheme=scheme)
    attributes = template.attributes(hashlib.new(template.digest_name, CONTENT).digest())
    signature = template.sign(by.key, attributes)
    template.check(signature, attributes)
    return template.wrap(attributes, signature)


@pytest.mark.parametrize(("kind", "scheme"), KINDS)
def test_openssl_verifies_it_as_cades(kind: str, scheme: Scheme | None, tmp_path: Path) -> None:
    """EN 319 122-1 §5.2.2: signing-certificate-v2 is checked by `openssl cms -verify -cades`."""
    by = holder(kind)
    (tmp_path / "s.der").write_bytes(made(by, scheme))
    (tmp_path / "c.bin").write_bytes(CONTENT)
    (tmp_path / "root.pem").write_bytes(by.chain[-1].public_bytes(Encoding.PEM))
    run = subprocess.run(
        ["openssl", "cms", "-verify", "-cades", "-inform", "DER", "-in", "s.der",
         "-content", "c.bin", "-binary", "-CAfile", "root.pem", "-purpose", "any",
         "-attime", "1772440200", "-out", "o"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("kind", "scheme"), [("rsa-2048", None), ("rsa-2048", Scheme.RSA_PSS), ("p-256", None)]
)
def test_signed_attributes_are_pyhankos(kind: str, scheme: Scheme | None) -> None:
    """EN 319 142-1 §6.3: content-type, message-digest, signing-certificate-v2, no signing-time."""
    by = holder(kind)
    theirs = cms.ContentInfo.load(pyhanko_cms(by, scheme))["content"]["signer_infos"][0]
    ours = cms.ContentInfo.load(made(by, scheme))["content"]["signer_infos"][0]
    # RFC 6211: the algorithms are named under the signature too; pyHanko leaves that out.
    assert types(ours) == sorted([*types(theirs), "cms_algorithm_protection"])
    assert "signing_time" not in types(ours)
    for name in types(theirs):
        assert native(ours, name) == native(theirs, name), name
    assert ours["signature_algorithm"].native == theirs["signature_algorithm"].native
    assert ours["sid"].native == theirs["sid"].native


@pytest.mark.parametrize(("kind", "scheme"), KINDS)
def test_it_is_der(kind: str, scheme: Scheme | None) -> None:
    """ISO 32000-1 §12.8.3.3: Contents is DER; re-encoding must change nothing."""
    encoded = made(holder(kind), scheme)
    again = cms.ContentInfo.load(encoded)
    assert again.copy().dump(force=True) == encoded


def test_the_limit_holds_for_a_thousand_ecdsa_signatures() -> None:
    """An ECDSA value varies in length; the reserve is fixed before signing."""
    by = holder("p-256")
    template = CmsTemplate(by.certificate, by.chain)
    for number in range(300):
        attributes = template.attributes(hashlib.sha256(bytes([number % 256])).digest())
        assert (
            len(template.wrap(attributes, template.sign(by.key, attributes))) <= template.size_limit
        )


def test_a_time_stamp_goes_into_the_unsigned_attributes() -> None:
    """RFC 3161 appendix A: id-aa-timeStampToken over the signature value."""
    by = holder()
    template = CmsTemplate(by.certificate, by.chain)
    attributes = template.attributes(bytes(32))
    token = made(by)  # any ContentInfo will do for the place it goes to
    whole = template.wrap(attributes, template.sign(by.key, attributes), token)
    info = cms.ContentInfo.load(whole)["content"]["signer_infos"][0]
    (attribute,) = info["unsigned_attrs"]
    assert attribute["type"].native == "signature_time_stamp_token"
    assert attribute["values"][0].dump() == token


def test_a_wrong_answer_of_the_token_is_noticed() -> None:
    """DESIGN.md §3.3: check with the public key before anything is delivered."""
    by = holder()
    template = CmsTemplate(by.certificate, by.chain)
    with pytest.raises(SignerError, match="token's answer"):
        template.check(bytes(256), template.attributes(bytes(32)))


def pyhanko_cms(by: Holder, scheme: Scheme | None) -> bytes:
    key = by.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    store = SimpleCertificateStore()
    store.register_multiple(_asn1(one) for one in by.chain)
    mechanism = None
    if scheme is Scheme.RSA_PSS:
        mechanism = algos.SignedDigestAlgorithm(
            {
                "algorithm": "rsassa_pss",
                "parameters": algos.RSASSAPSSParams(
                    {
                        "hash_algorithm": {"algorithm": "sha256"},
                        "mask_gen_algorithm": {
                            "algorithm": "mgf1",
                            "parameters": {"algorithm": "sha256"},
                        },
                        "salt_length": 32,
                    }
                ),
            }
        )
    signer = SimpleSigner(
        signing_cert=_asn1(by.certificate),
        signing_key=keys.PrivateKeyInfo.load(key),
        cert_registry=store,
        signature_mechanism=mechanism,
    )
    digest = hashlib.sha256(CONTENT).digest()
    signed = asyncio.run(signer.async_sign(digest, "sha256", use_pades=True))
    return signed.dump()


def _asn1(certificate: object) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def types(info: cms.SignerInfo) -> list[str]:
    return sorted(one["type"].native for one in info["signed_attrs"])


def native(info: cms.SignerInfo, name: str) -> object:
    for one in info["signed_attrs"]:
        if one["type"].native == name:
            return one["values"].native
    return None
