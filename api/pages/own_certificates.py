"""A holder's certificates as their pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ca.models import serial_text
from ca.names import Subject
from hsm.sealing import is_under_code

if TYPE_CHECKING:
    from signer.keys.credentials import Credential

SOON = timedelta(days=45)
_TONES = {"active": "good", "locked": "bad", "suspended": "open", "revoked": "bad"}


@dataclass(frozen=True)
class CertificateView:
    """One certificate. `state` is a word key: active, waiting, expiring, expired, locked, …"""

    id: str
    name: str
    kind: str
    unit: str
    title: str
    state: str
    tone: str
    begins: datetime
    ends: datetime
    days_left: int
    serial: str
    issuer: str
    algorithm: str
    keeper: str
    """Of an agency's seal: the number of who keeps it."""

    @property
    def living(self) -> bool:
        return self.state not in {"revoked", "abandoned"}


def certificate_view(credential: Credential, *, now: datetime) -> CertificateView:
    """What a holder wants to know first: does it work, and until when."""
    certificate = credential.certificate
    ends = certificate.not_valid_after_utc
    state, tone = credential.state, _TONES.get(credential.state, "open")
    if state == "active" and is_under_code(credential.sealed_key):
        state, tone = "waiting", "open"
    elif state == "active" and ends <= now:
        state, tone = "expired", "bad"
    elif state == "active" and ends - now <= SOON:
        state, tone = "expiring", "open"
    holder = credential.holder
    return CertificateView(
        id=credential.id,
        name=credential.name,
        kind=credential.kind,
        unit=holder.organizational_units[0] if holder.organizational_units else "",
        title=holder.title or "",
        state=state,
        tone=tone,
        begins=certificate.not_valid_before_utc,
        ends=ends,
        days_left=max(0, (ends - now).days),
        serial=serial_text(certificate.serial_number),
        issuer=Subject.from_x509(certificate.issuer).common_name,
        algorithm=credential.algorithm.value.upper(),
        keeper=(credential.keeper or "").removeprefix("CCCD:"),
    )
