"""What things are called in EU DSS's reports: identifiers of tokens, algorithms, instants."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from records.errors import text
from signer.files.xml_names import DIGESTS
from signer.trust.certificates import Certificate

Json = dict[str, Any]

_DIGEST_URIS = {**DIGESTS, "md5": "http://www.w3.org/2001/04/xmldsig-more#md5"}


def token_id(kind: str, data: bytes) -> str:
    """`C-` certificates, `R-` revocation data, `T-` time-stamps, `S-` signatures, `D-` data."""
    return f"{kind}-{hashlib.sha256(data).hexdigest().upper()}"


def certificate_id(certificate: Certificate) -> str:
    return f"C-{certificate.digest.hex().upper()}"


def digest_name(name: str) -> str:
    """SHA256, SHA3-256: as DSS writes them."""
    return name.upper().replace("SHA3_", "SHA3-").replace("_", "")


def digest_uri(name: str) -> str:
    return _DIGEST_URIS.get(name, f"urn:dauso:digest:{name}")


def key_name(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePublicKey) else "UNKNOWN"


def key_size(key: object) -> int:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size
    return key.curve.key_size if isinstance(key, ec.EllipticCurvePublicKey) else 0


def signature_uri(key: object, digest: str) -> str:
    kind = key_name(key).lower()
    if digest == "sha1" and kind == "rsa":
        return "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
    if digest.startswith("sha3") and kind == "ecdsa":
        return f"http://www.w3.org/2021/04/xmldsig-more#ecdsa-{digest.replace('_', '-')}"
    if digest.startswith("sha3"):
        return f"http://www.w3.org/2007/05/xmldsig-more#{kind}-{digest.replace('_', '-')}"
    return f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{digest}"


def instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def hashed(data: bytes) -> Json:
    return {"DigestMethod": "SHA256", "DigestValue": encoded(hashlib.sha256(data).digest())}


def said(key: str, language: str, **params: object) -> str:
    """The text of a constraint or title: message `report-…` of its key."""
    return text(f"report-{key.lower().replace('_', '-')}", params, language)


def message(key: str, words: str) -> Json:
    return {"value": words, "Key": key}
