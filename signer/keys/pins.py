"""The holder's secret: what a PIN must be, how often it may be wrong, and how it is replaced.

An attempt is counted and committed *before* it is tried, so that guessing in parallel gains
nothing; the fifth wrong one in a row locks the credential. A key whose PIN is lost is lost.
Attempts at one credential take turns: right PINs from several windows at once lock nobody out.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import update

from hsm.errors import PinWrong, SealDamaged
from hsm.sealing import seal_with_pin, unseal_with_code, unseal_with_pin
from records import audit
from records.tags import Tag
from signer.errors import ActivationRefused, CredentialUnusable, SignerError
from signer.holders.enrolment_models import EnrolmentLineRow
from signer.keys import credentials
from signer.models import CredentialRow

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential

ATTEMPTS = 5
_SHORTEST, _LONGEST = 6, 64
_PATIENCE, _PAUSE = 60, 0.05  # three seconds: some thirty attempts


def check(pin: str) -> None:
    """Six characters or more, and not the first ones anybody would try: `pin-too-simple`."""
    if not _SHORTEST <= len(pin) <= _LONGEST or len(set(pin)) < 3:
        raise SignerError("pin-too-simple", shortest=_SHORTEST)
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(pin)}
    if steps in ({1}, {-1}):
        raise SignerError("pin-too-simple", shortest=_SHORTEST)


def activate(
    desk: Desk, credential_id: str, *, code: str, pin: str, now: datetime, by: str
) -> None:
    """First use after bulk enrolment: the one-time code gives way to the holder's own PIN."""
    check(pin)
    credential = credentials.find(desk, credential_id)
    try:
        blob = unseal(desk, credential_id, code, unseal_with_code, now=now)
    except SealDamaged:
        raise ActivationRefused("activated-already") from None
    _reseal(desk, credential, blob, pin, now=now, by=by)


def change(desk: Desk, credential_id: str, *, old: str, new: str, now: datetime, by: str) -> None:
    """The holder chooses another PIN; the old one opens nothing from then on."""
    check(new)
    credential = credentials.find(desk, credential_id)
    blob = unseal(desk, credential_id, old, unseal_with_pin, now=now)
    _reseal(desk, credential, blob, new, now=now, by=by)


def unseal(
    desk: Desk,
    credential_id: str,
    secret: str,
    opener: Callable[..., bytes],
    *,
    now: datetime,
) -> bytes:
    """The wrapped key, if the credential may be used now and the secret is right.

    Raises ActivationRefused `pin-wrong` with the attempts left, CredentialUnusable, HsmError
    `seal-damaged` when the seal is of the other kind.
    """
    with desk.turns.of(credential_id):
        return _unseal_in_turn(desk, credential_id, secret, opener, now=now)


def _unseal_in_turn(
    desk: Desk,
    credential_id: str,
    secret: str,
    opener: Callable[..., bytes],
    *,
    now: datetime,
) -> bytes:
    credential = credentials.find(desk, credential_id)
    credentials.require_usable(desk, credential, now=now)
    left = _count_when_free(desk, credential)
    try:
        blob = opener(credential.sealed_key, secret, context=credential.context)
    except PinWrong:
        if left == 0:
            credentials.lock(
                desk, credential_id, reason="five wrong PINs", now=now, by="system:signer"
            )
            raise CredentialUnusable("credential-locked", credential=credential_id) from None
        raise ActivationRefused("pin-wrong", left=left) from None
    except SealDamaged:  # a code where a PIN is asked for, or the other way: nothing was guessed
        _take_back_attempt(desk, credential_id)
        raise
    with desk.database.transaction() as session:
        session.execute(
            update(CredentialRow)
            .where(CredentialRow.id == credential_id, CredentialRow.state == "active")
            .values(wrong_pins=0)
        )
    return blob


def _count_when_free(desk: Desk, credential: Credential) -> int:
    """Count an attempt; with all five in flight in other processes, wait for one to end."""
    for _ in range(_PATIENCE):
        try:
            return _count_attempt(desk, credential)
        except _AllInFlight:
            time.sleep(_PAUSE)
    raise CredentialUnusable("credential-locked", credential=credential.id)


class _AllInFlight(Exception):
    """Five attempts are counted and none of them has ended yet."""


def _count_attempt(desk: Desk, credential: Credential) -> int:
    """Count one attempt and return how many are left after it; none left means locked."""
    with desk.database.transaction() as session:
        row = session.get_one(CredentialRow, credential.id, with_for_update=True)
        if row.state != "active":
            raise CredentialUnusable("credential-locked", credential=credential.id)
        if row.wrong_pins >= ATTEMPTS:
            raise _AllInFlight
        row.wrong_pins += 1
        return ATTEMPTS - row.wrong_pins


def _take_back_attempt(desk: Desk, credential_id: str) -> None:
    with desk.database.transaction() as session:
        session.execute(
            update(CredentialRow)
            .where(CredentialRow.id == credential_id, CredentialRow.wrong_pins > 0)
            .values(wrong_pins=CredentialRow.wrong_pins - 1)
        )


def _reseal(
    desk: Desk, credential: Credential, blob: bytes, pin: str, *, now: datetime, by: str
) -> None:
    sealed = seal_with_pin(blob, pin, context=credential.context, cost=desk.pin_cost)
    with desk.database.transaction() as session:
        credentials.require_unchanged(session, credential).sealed_key = sealed
        # The code of a bulk enrolment is spent: its copy for the hand-out goes too.
        session.execute(
            update(EnrolmentLineRow)
            .where(EnrolmentLineRow.credential_id == credential.id)
            .values(sealed_code=None)
        )
        audit.record(
            session,
            tag=Tag.CREDENTIAL_ACTIVATED,
            by=by,
            subject=f"credential:{credential.id}",
            details={},
            now=now,
        )
