"""Who keeps an agency's seal, from the first day on (DOMAIN.md §2: the văn thư holds its key).

    keeper_of(desk, credential_id)                             # "CCCD:0388…", None: not recorded
    name_first(desk, credential_id, keeper="CCCD:0388…", now=now, by=by)   # seals of before 0017

The keeper is named when the seal is enrolled and changes by a hand-over (`handovers`), on paper.
Whoever leaves while they keep a seal leaves it held, because they know its PIN; only a new key
with a new keeper ends that (`successors.rekey`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from records import audit
from records.tags import Tag
from signer.errors import CredentialUnusable, SignerError
from signer.keys import closing
from signer.models import CredentialRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk
    from signer.keys.credentials import Credential

KEEPER_LEFT = "keeper left"
"""The reason a seal is suspended for when its keeper leaves office."""
_HOLDER = re.compile(r"(CCCD:[0-9]{12}|(?!CCCD:)[A-Z]{2,6}:[0-9A-Za-z.-]{1,40})\Z")


def keeper_of(desk: Desk, credential_id: str) -> str | None:
    """Who keeps a seal now; None when nobody wrote it down."""
    with desk.database.reading() as session:
        row = session.get(CredentialRow, credential_id)
    return None if row is None else row.keeper


def kept_by(desk: Desk, holder_id: str) -> list[str]:
    """The agencies' credentials in use that this person keeps."""
    return kept_by_each(desk, [holder_id]).get(holder_id, [])


def kept_by_each(desk: Desk, holders: Sequence[str]) -> dict[str, list[str]]:
    """The same of many people in one question."""
    wanted = (
        select(CredentialRow.keeper, CredentialRow.id)
        .where(
            CredentialRow.keeper.in_(holders),
            CredentialRow.state.in_(closing.LIVING),
            or_(CredentialRow.state_reason.is_(None), CredentialRow.state_reason != KEEPER_LEFT),
        )
        .order_by(CredentialRow.id)
    )
    found: dict[str, list[str]] = {}
    with desk.database.reading() as session:
        for keeper, credential_id in session.execute(wanted):
            found.setdefault(keeper or "", []).append(credential_id)
    return found


def name_first(desk: Desk, credential_id: str, *, keeper: str, now: datetime, by: str) -> None:
    """Write down who keeps a seal that was enrolled before that was asked.

    Never instead of a hand-over: `handover-not-keeper` once somebody is named. Raises SignerError
    `keeper-only-for-seals`, `holder-malformed`.
    """
    require_holder(keeper)
    with desk.database.transaction() as session:
        row = session.get(CredentialRow, credential_id, with_for_update=True)
        if row is None or row.state not in closing.LIVING:
            raise CredentialUnusable("credential-unknown", credential=credential_id[:64])
        if row.kind != "agency":
            raise SignerError("keeper-only-for-seals")
        if row.keeper is not None and row.keeper != keeper:
            raise SignerError("handover-not-keeper")
        row.keeper = keeper
        audit.record(
            session,
            tag=Tag.CREDENTIAL_KEEPER_NAMED,
            by=by,
            subject=f"credential:{credential_id}",
            details=noted(keeper),
            now=now,
        )


def hold_in(session: Session, seals: Sequence[str], *, now: datetime, by: str) -> None:
    """The keeper leaves: out of use, also those that were so for another reason."""
    for seal in seals:
        row = session.get_one(CredentialRow, seal, with_for_update=True)
        if row.state not in ("active", "locked", "suspended"):
            continue
        row.state, row.state_reason = "suspended", KEEPER_LEFT
        audit.record(
            session,
            tag=Tag.CREDENTIAL_STATE_CHANGED,
            by=by,
            subject=f"credential:{seal}",
            details={"state": row.state, "reason": row.state_reason},
            now=now,
        )


def successor_of(former: Credential, wanted: str | None) -> str | None:
    """Who keeps the new key of a seal: who kept the old one, or after them whom the officer names.

    While the keeper is there, only a hand-over makes it another's. Raises SignerError
    `keeper-only-for-seals`, `keeper-left`, `handover-not-keeper`, `holder-malformed`.
    """
    if wanted is not None:
        require_holder(wanted)
        if former.kind != "agency":
            raise SignerError("keeper-only-for-seals")
    if former.keeper_left:
        if wanted is None or wanted == former.keeper:
            raise SignerError("keeper-left")
        return wanted
    if former.keeper is not None and wanted not in (None, former.keeper):
        raise SignerError("handover-not-keeper")
    return wanted or former.keeper


def require_holder(text: str) -> None:
    """A key kept by "somebody" is kept by nobody: whole identifiers only. `holder-malformed`."""
    if not _HOLDER.match(text):
        raise SignerError("holder-malformed", holder=text[:64])


def mark_of(holder_id: str) -> str:
    """How the log names a person: the same each time, and not the number."""
    return "holder:" + hashlib.sha256(holder_id.encode()).hexdigest()[:32]


def noted(keeper: str | None) -> dict[str, str]:
    """What an audit entry says of it."""
    return {} if keeper is None else {"keeper": mark_of(keeper)}
