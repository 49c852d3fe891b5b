"""Whom a document can be shared with: somebody who could use it.

An agency's or a system's code that nobody has would make a share that waits for ever; its owner
learns of the slip while they still look at it.
"""

from __future__ import annotations

from api.auth import clients
from api.errors import ApiError
from api.services import Services
from certify.units import units


def require_known(wired: Services, kind: str, recipient: str) -> None:
    """Raises ApiError `recipient-unknown`; a person needs no account."""
    if kind not in ("agency", "procedure") or not recipient.strip():
        return
    agencies = {name for unit in units().values() for name in (unit.code, unit.agency_code)}
    if recipient in agencies:
        return
    client = clients.load(wired.house.database, recipient) if clients.is_name(recipient) else None
    if client is None:
        raise ApiError("recipient-unknown", recipient=recipient[:80])
