"""What remote signing forgets: requests, tokens, codes, operations and messages past their time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete

from api.csc.models import ConsentRequest, OneTimeCode, Operation, Token
from api.csc.outbox import SpoolOutbox
from api.services import Services

# Long enough that a code or refresh token used twice is still known as used.
_KEPT_AFTER = timedelta(days=1)


def purge(services: Services, now: datetime) -> None:
    """Called by the schedule."""
    before = now - _KEPT_AFTER
    with services.house.database.transaction() as session:
        for table in (ConsentRequest, Token, OneTimeCode, Operation):
            session.execute(delete(table).where(table.expires_at <= before))
    SpoolOutbox(services.house.settings.home / "outbox").purge(now=now)
