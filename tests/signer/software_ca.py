"""A throw-away hierarchy with software keys: signatures to test without a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Holder:
    certificate: x509.Certificate
    key: object
    chain: tuple[x509.Certificate, ...]


@cache
def holder(kind: str = "rsa-2048") -> Holder:
    """A leaf of this kind under a TEST root: rsa-2048, rsa-3072, p-256 or p-384."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = _certificate("TEST Root", None, None, root_key, root_key, ca=True)
    key = _key(kind)
    leaf = _certificate("Nguyễn Thị Mẫu", root, root_key, None, key, ca=False)
    return Holder(leaf, key, (root,))


def _key(kind: str) -> object:
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(kind[4:]))
    return ec.generate_private_key({"p-256": ec.SECP256R1(), "p-384": ec.SECP384R1()}[kind])


def _certificate(name, issuer, issuer_key, self_key, key, *, ca):
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    signing = issuer_key or self_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=300))
        .not_valid_after(NOW + timedelta(days=3000))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(
            x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False, False),
            critical=True,
        )
    )
    return builder.sign(signing, hashes.SHA256())
