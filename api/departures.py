"""Somebody leaves office: their keys, their seat at the screens and what was delegated to them.

    left = departures.leave(house, "CCCD:0388…", decision="123/QĐ-UBND", now=now, by=by)

One transaction for all of it (DOMAIN.md §2): whoever knows an agency's PIN and can still sign in
would otherwise go on sealing. What the person is as a citizen stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from api.auth import accounts
from certify import competence
from signer.errors import CredentialUnusable
from signer.holders import leaving
from signer.holders.leaving import Departure

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from api.house import House


def leave(house: House, holder_id: str, *, decision: str, now: datetime, by: str) -> Departure:
    """Everything an official holds and may do ends now.

    Raises what `leaving.leave` raises; an official who had nothing but an account just loses it.
    """

    def leave_the_house(session: Session) -> bool:
        competence.end_all_in(session, holder_id, now=now, by=by)
        return accounts.close_in(session, holder_id, now=now, by=by)

    try:
        return leaving.leave(
            house.desk, holder_id, decision=decision, now=now, by=by, also=leave_the_house
        )
    except CredentialUnusable as refusal:
        if refusal.code != "holder-has-nothing":
            raise
        with house.database.transaction() as session:
            if not leave_the_house(session):
                raise
            leaving.record_departure(session, holder_id, decision, now=now, by=by)
        return Departure(holder_id, (), (), ())
