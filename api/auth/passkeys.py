"""Passkeys of accounts: registered by whoever is signed in, used to sign in without a name.

    begun = begin_registration(database, person, settings, now=now)     # to the browser
    register(database, person, settings, ticket=…, answer=…, name=…, prf=…, now=now)

W3C WebAuthn Level 3 §7.1 and §7.2; the library decides, this module remembers. The authenticator
verifies its person, so a passkey is something they have and something they are or know.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import select
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_registration_response,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from api.auth import sign_in
from api.auth.people import origins
from api.errors import ApiError
from api.people_models import AccountRow, PasskeyRow
from hsm.errors import PinWrong
from records import audit
from records.tags import Tag
from signer.keys import assertions
from signer.keys.assertions import Party

if TYPE_CHECKING:
    from api.auth.people import Person
    from api.settings import Settings
    from records.database import Database

MOST_PASSKEYS = 10
_LARGEST = 32 * 1024
_LONGEST_NAME = 60
_LONGEST_ID = 1023  # W3C WebAuthn Level 3 §4, "Credential ID"


@dataclass(frozen=True)
class Passkey:
    """A passkey as its owner's page lists it; `prf` tells whether it may open signing keys."""

    id: str
    name: str
    prf: bool
    created_at: datetime
    used_at: datetime | None


def party_of(settings: Settings) -> Party:
    """Who asks: the host of our address. An address in digits has no passkeys, `localhost` has."""
    ours = origins(settings.base_url)
    names = [urlsplit(one).hostname or "" for one in ours]
    domain = "localhost" if "localhost" in names else names[0]
    return Party(domain, tuple(ours))


def begin_registration(
    database: Database, person: Person, settings: Settings, *, now: datetime
) -> dict[str, Any]:
    """What the browser's `navigator.credentials.create` is given, and the ticket of the answer."""
    with database.reading() as session:
        wanted = select(PasskeyRow.id).where(PasskeyRow.account_id == person.account_id)
        known = [bytes(one) for one in session.scalars(wanted)]
    if len(known) >= MOST_PASSKEYS:
        raise ApiError("passkey-too-many", limit=MOST_PASSKEYS)
    challenge = secrets.token_bytes(32)
    options = generate_registration_options(
        rp_id=party_of(settings).id,
        rp_name="Dấu Số",
        user_name=person.name,
        user_display_name=person.name,
        user_id=person.account_id.encode(),
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    facts = {"challenge": challenge.hex()}
    ticket = sign_in.begin(database, "register", facts, account_id=person.account_id, now=now)
    public_key = json.loads(options_to_json(options)) | {"extensions": {"prf": {}}}
    return {"ticket": ticket, "publicKey": public_key}


def register(
    database: Database,
    person: Person,
    settings: Settings,
    *,
    ticket: str,
    answer: str,
    name: str,
    prf: bool,
    now: datetime,
) -> None:
    """Keep a new passkey. Raises ApiError `sign-in-stale`, `passkey-answer-malformed`."""
    attempt = sign_in.take(database, "register", ticket, now=now)
    if attempt.account_id != person.account_id:
        raise ApiError("sign-in-stale")
    party = party_of(settings)
    try:
        if len(answer) > _LARGEST:
            raise ValueError
        found = verify_registration_response(
            credential=answer,
            expected_challenge=bytes.fromhex(attempt.facts["challenge"]),
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, RecursionError):
        raise ApiError("passkey-answer-malformed") from None
    if len(found.credential_id) > _LONGEST_ID:
        raise ApiError("passkey-answer-malformed")
    with database.transaction() as session:
        if session.get(PasskeyRow, found.credential_id) is not None:
            raise ApiError("passkey-known")
        session.add(
            PasskeyRow(
                id=found.credential_id,
                account_id=person.account_id,
                public_key=found.credential_public_key,
                sign_count=found.sign_count,
                name=_tidy(name),
                prf=prf,
                created_at=now,
            )
        )
        session.flush()
        audit.record(
            session,
            tag=Tag.PASSKEY_ADDED,
            by=person.by,
            subject=f"account:{person.account_id}",
            details={"passkey": found.credential_id, "prf": prf},
            now=now,
        )


def begin_sign_in(database: Database, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """A question to whatever passkey of ours the browser knows: nobody types a name."""
    challenge = secrets.token_bytes(32)
    options = generate_authentication_options(
        rp_id=party_of(settings).id,
        challenge=challenge,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    ticket = sign_in.begin(database, "passkey", {"challenge": challenge.hex()}, now=now)
    return {"ticket": ticket, "publicKey": json.loads(options_to_json(options))}


def enter(
    database: Database,
    settings: Settings,
    *,
    ticket: str,
    answer: str,
    agent: str,
    now: datetime,
) -> sign_in.Opened:
    """The person whose passkey answered. Raises ApiError `sign-in-refused`, `sign-in-stale`."""
    attempt = sign_in.take(database, "passkey", ticket, now=now)
    account_id: str | None = None
    try:
        passkey = assertions.passkey_of(answer)
        with database.reading() as session:
            row = session.get(PasskeyRow, passkey)
        if row is None:
            raise PinWrong
        account_id = row.account_id
        found = assertions.check(
            answer,
            challenge=bytes.fromhex(attempt.facts["challenge"]),
            party=party_of(settings),
            public_key=bytes(row.public_key),
            sign_count=row.sign_count,
        )
        with database.transaction() as session:
            held = session.get(PasskeyRow, passkey, with_for_update=True)
            if held is None or (held.sign_count and found.sign_count <= held.sign_count):
                raise PinWrong
            held.sign_count, held.used_at = found.sign_count, now
    except PinWrong:
        raise sign_in.refusal(database, "passkey", account_id, now=now) from None
    return sign_in.by_account(database, account_id, how="passkey", agent=agent, now=now)


def of_account(database: Database, account_id: str) -> list[Passkey]:
    """A person's passkeys, oldest first."""
    wanted = select(PasskeyRow).where(PasskeyRow.account_id == account_id)
    with database.reading() as session:
        return [
            Passkey(encoded(row.id), row.name, row.prf, row.created_at, row.used_at)
            for row in session.scalars(wanted.order_by(PasskeyRow.created_at, PasskeyRow.id))
        ]


def public_key_of(database: Database, person: Person, passkey: bytes) -> tuple[bytes, str]:
    """The key and name of one of this person's own passkeys. Raises ApiError `passkey-unknown`."""
    with database.reading() as session:
        row = session.get(PasskeyRow, passkey)
        if row is None or row.account_id != person.account_id:
            raise ApiError("passkey-unknown")
        return bytes(row.public_key), row.name


def remove(database: Database, person: Person, passkey: str, *, now: datetime) -> None:
    """Nobody signs in with it any more. Raises ApiError `passkey-unknown`."""
    with database.transaction() as session:
        row = session.get(PasskeyRow, decoded(passkey))
        if row is None or row.account_id != person.account_id:
            raise ApiError("passkey-unknown")
        account = session.get_one(AccountRow, person.account_id)
        session.delete(row)
        session.flush()
        audit.record(
            session,
            tag=Tag.PASSKEY_REMOVED,
            by=person.by,
            subject=f"account:{account.id}",
            details={"passkey": bytes(row.id)},
            now=now,
        )


def encoded(data: bytes) -> str:
    """base64url without padding, as browsers write bytes."""
    return base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes again. Raises ApiError `passkey-answer-malformed`."""
    try:
        if len(text) > _LARGEST or not text.isascii():
            raise ValueError
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise ApiError("passkey-answer-malformed") from None


def _tidy(name: str) -> str:
    printable = "".join(letter for letter in name if letter.isprintable())
    return " ".join(printable.split())[:_LONGEST_NAME] or "Passkey"
