"""A credential as the specification describes it: v1.0.4 flat, v2 with authentication objects."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from api.csc.algorithms import curve_of, of_key
from api.csc.consent import QUALIFIERS
from api.csc.one_time_codes import DIGITS
from api.csc.tokens import Bearer
from ca.authority import Authority
from ca.models import CertificateStatus
from signer.hash_signing import MOST_SIGNATURES
from signer.keys.credentials import Credential

PIN, CODE, APPROVAL = "PIN", "OTP", "APPROVAL"
_QUALIFIER = {kind: name for name, kind in QUALIFIERS.items()}
_WORDS = {
    "vi": (
        "Mã PIN của chứng thư ký",
        "Mã gửi tới địa chỉ của người ký",
        "Người ký duyệt trên trang",
    ),
    "en": ("The credential's PIN", "A code sent to the holder", "The holder approves on our page"),
}


def shape(
    credential: Credential,
    bearer: Bearer,
    authority: Authority,
    *,
    version: str,
    certificates: str,
    details: bool,
    authorization: bool,
    language: str,
    now: datetime,
) -> dict[str, Any]:
    """`credentials/info`, and one of `credentialInfos` in `credentials/list`."""
    mode = "explicit" if bearer.explicit else "oauth2code"
    shown: dict[str, Any] = {
        "description": credential.name,
        "key": _key(credential),
        "cert": _certificate(credential, authority, certificates, details, now=now),
        "SCAL": "2",
        "multisign": MOST_SIGNATURES,
        "lang": language,
    }
    if version == "v1":
        shown["authMode"] = mode
        if authorization and mode == "explicit":
            shown |= _v1_authorization(credential, language)
        return shown
    shown["signatureQualifier"] = _QUALIFIER[credential.kind]
    shown["auth"] = {"mode": mode}
    if authorization and mode == "explicit":
        shown["auth"] |= _v2_authorization(credential, language)
    return shown


def status_of(credential: Credential, authority: Authority, *, now: datetime) -> str:
    """`cert/status`."""
    status = authority.certificate(credential.certificate.serial_number).status
    if status is CertificateStatus.REVOKED:
        return "revoked"
    if status is not CertificateStatus.GOOD:
        return "suspended"
    return "expired" if now > credential.certificate.not_valid_after_utc else "valid"


def usable(credential: Credential, authority: Authority, *, now: datetime) -> bool:
    """Whether it can sign now (`onlyValid`)."""
    return credential.state == "active" and status_of(credential, authority, now=now) == "valid"


def _key(credential: Credential) -> dict[str, Any]:
    public_key = credential.certificate.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    shown: dict[str, Any] = {
        "status": "enabled" if credential.state == "active" else "disabled",
        "algo": list(of_key(credential)),
        "len": public_key.key_size,
    }
    curve = curve_of(credential)
    if curve is not None:
        shown["curve"] = curve
    return shown


def _certificate(
    credential: Credential,
    authority: Authority,
    certificates: str,
    details: bool,
    *,
    now: datetime,
) -> dict[str, Any]:
    leaf = credential.certificate
    shown: dict[str, Any] = {"status": status_of(credential, authority, now=now)}
    if certificates != "none":
        sent = [leaf, *credential.chain] if certificates == "chain" else [leaf]
        shown["certificates"] = [
            base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in sent
        ]
    if details:
        shown |= {
            "issuerDN": leaf.issuer.rfc4514_string(),
            "serialNumber": f"{leaf.serial_number:X}",
            "subjectDN": leaf.subject.rfc4514_string(),
            "validFrom": f"{leaf.not_valid_before_utc:%Y%m%d%H%M%SZ}",
            "validTo": f"{leaf.not_valid_after_utc:%Y%m%d%H%M%SZ}",
        }
    return shown


def _v1_authorization(credential: Credential, language: str) -> dict[str, Any]:
    """1.0.4 §11.5: `PIN` and `OTP` objects."""
    pin, code, _ = _WORDS[language]
    shown: dict[str, Any] = {
        "PIN": {"presence": "true", "format": "A", "label": "PIN", "description": pin}
    }
    if credential.kind == "agency":
        shown["OTP"] = {"presence": "false"}
    else:
        shown["OTP"] = {
            "presence": "true",
            "type": "online",
            "format": "N",
            "label": "OTP",
            "description": f"{code} ({DIGITS})",
            "ID": "email",
            "provider": "Dấu Số",
        }
    return shown


def _v2_authorization(credential: Credential, language: str) -> dict[str, Any]:
    """v2 §8.3: authentication objects and the expression that combines them."""
    pin, code, approval = _WORDS[language]
    objects = [{"type": "Password", "id": PIN, "format": "A", "label": "PIN", "description": pin}]
    if credential.kind == "agency":
        return {"expression": PIN, "objects": objects}
    objects += [
        {
            "type": "ChallengeResponse",
            "id": CODE,
            "format": "N",
            "label": "OTP",
            "description": code,
        },
        {
            "type": "ChallengeResponseOOB",
            "id": APPROVAL,
            "label": "Dấu Số",
            "description": approval,
        },
    ]
    return {"expression": f"({PIN} AND {CODE}) OR {APPROVAL}", "objects": objects}
