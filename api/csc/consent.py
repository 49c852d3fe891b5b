"""A holder's consent: asked by a client, given on our own page, where the client sees no PIN.

    pushed → shown → granted → spent            denied and expired are the other ends

`redirect` requests come through OAuth and end in a code; `approval` requests come from
credentials/authorize and end in a SAD for the client that waits with a handle. A consent for
hashes opens an authorisation for exactly the hashes that were shown (SCAL2).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.auth.clients import Client, load
from api.csc import tokens
from api.csc.calls import Remote
from api.csc.errors import CscRefusal
from api.csc.models import ConsentRequest
from api.csc.one_time_codes import needs_code
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer import hash_signing
from signer.keys import activation, credentials
from signer.keys.activation import Authorization, token_hash
from signer.keys.credentials import Credential

PUSHED_LIFE = timedelta(seconds=90)
PAGE_LIFE = timedelta(minutes=10)
CODE_LIFE = timedelta(seconds=60)
QUALIFIERS = {
    "vn_et_official": "official",
    "vn_et_citizen": "citizen",
    "vn_et_agency": "agency",
}
"""`signatureQualifier` (CSC API §11.11: country, law, kind), to the kind of credential."""


@dataclass(frozen=True)
class Consent:
    """A request as the page shows it."""

    id: str
    kind: str
    client: Client
    asked: Mapping[str, Any]
    expires_at: datetime

    @property
    def scope(self) -> str:
        return str(self.asked["scope"])

    @property
    def for_signing(self) -> bool:
        return self.scope == tokens.CREDENTIAL


def ask(
    remote: Remote,
    *,
    kind: str,
    client_id: str,
    asked: Mapping[str, Any],
    state: str,
    now: datetime,
    handle: str | None = None,
) -> str:
    """Write a request down; its identifier. `handle` is what an approval's client waits with."""
    identifier = secrets.token_urlsafe(32)
    life = PUSHED_LIFE if state == "pushed" else PAGE_LIFE
    with remote.wired.house.database.transaction() as session:
        session.add(
            ConsentRequest(
                id=identifier,
                kind=kind,
                client_id=client_id,
                asked=dict(asked),
                state=state,
                code_hash=token_hash(handle) if handle else None,
                created_at=now,
                expires_at=now + life,
            )
        )
    return identifier


def show_pushed(remote: Remote, identifier: str, *, client_id: str, now: datetime) -> None:
    """A pushed request is used once, by the client that pushed it (RFC 9126 §4)."""
    with remote.wired.house.database.transaction() as session:
        row = session.get(ConsentRequest, identifier, with_for_update=True)
        if (
            row is None
            or row.client_id != client_id
            or row.state != "pushed"
            or row.expires_at <= now
        ):
            raise CscRefusal("csc-request-unknown")
        row.state, row.expires_at = "shown", now + PAGE_LIFE


def waiting(remote: Remote, identifier: str, *, now: datetime) -> Consent:
    """The request behind a page; CscRefusal `csc-request-unknown` when it is over."""
    database = remote.wired.house.database
    with database.reading() as session:
        row = session.get(ConsentRequest, identifier[:64])
        if row is None or row.state != "shown" or row.expires_at <= now:
            raise CscRefusal("csc-request-unknown")
        found = (row.id, row.kind, row.client_id, dict(row.asked), row.expires_at)
    client = load(database, found[2])
    if client is None or tokens.CLIENT_SCOPE not in client.scopes:
        raise CscRefusal("csc-request-unknown")
    return Consent(found[0], found[1], client, found[3], found[4])


def credential_for(remote: Remote, consent: Consent, holder_id: str | None) -> Credential | None:
    """The credential asked for, or the holder's newest that fits; None when there is none."""
    desk = remote.wired.house.desk
    named = consent.asked.get("credential_id")
    if named:
        found = [credentials.find(desk, str(named))]
    elif holder_id:
        found = credentials.by_holder(desk, holder_id)
    else:
        return None
    kind = QUALIFIERS.get(str(consent.asked.get("qualifier")))
    for one in found:
        fits = kind is None or one.kind == kind
        mine = one.unit is None or consent.client.may_touch(one.unit)
        if fits and mine and (named or one.state == "active"):
            return one
    return None


def grant(
    remote: Remote,
    consent: Consent,
    *,
    holder_id: str | None,
    pin: str,
    code: str,
    now: datetime,
) -> str | None:
    """The holder agrees with PIN and code; the OAuth code for a redirect, None for an approval.

    Raises what a wrong PIN or code, a locked credential and so on raise; each is audited.
    """
    desk = remote.wired.house.desk
    client_id = consent.client.client_id
    # 1. Whose consent is it?
    credential = credential_for(remote, consent, holder_id)
    if credential is None:
        remote.wired.secrets.matches(None, pin)  # as slow as for a holder who exists
        _refused(remote, consent, "csc-holder-unknown", "holder:unknown", now=now)
        raise CscRefusal("csc-holder-unknown")
    by = f"holder:{credential.holder_id}"
    try:
        # 2. What they have, then 3. what they know: a code is asked for before the PIN is tried.
        has_code = consent.for_signing and needs_code(credential)
        if has_code:
            remote.codes.check(credential, code, client_id=client_id, now=now, by=by)
        authorization = None
        if consent.for_signing:
            authorization = hash_signing.authorize_hashes(
                desk,
                credential_id=credential.id,
                pin=pin,
                digests=[bytes.fromhex(one) for one in consent.asked["hashes"]],
                signatures=int(consent.asked["signatures"]),
                client=str(
                    consent.asked.get("binding") or tokens.binding(client_id, credential.holder_id)
                ),
                now=now,
                by=by,
            )
        else:
            activation.open_key(desk, credential.id, pin, now=now)
    except DomainError as refusal:
        _refused(remote, consent, refusal.code, by, now=now)
        if consent.for_signing or refusal.code != "pin-wrong":
            raise
        # Who only gives a number must not learn whether it is somebody's.
        raise CscRefusal("csc-holder-unknown") from refusal
    if has_code:
        remote.codes.spend(credential, client_id=client_id)
    # 4. The request is answered, once.
    return _answer(remote, consent, credential, authorization, now=now, by=by)


def deny(remote: Remote, consent: Consent, *, now: datetime) -> None:
    """The holder, or whoever has the page, says no."""
    with remote.wired.house.database.transaction() as session:
        row = session.get_one(ConsentRequest, consent.id, with_for_update=True)
        if row.state == "shown":
            row.state = "denied"
    _refused(remote, consent, "csc-access-denied", "holder:unknown", now=now)


def check_handle(
    remote: Remote, handle: str, *, binding: str, now: datetime
) -> Authorization | None:
    """The authorisation behind a handle, None while the holder has not decided.

    CscRefusal: `csc-parameter-invalid` (handle) when unknown, another's, used or expired;
    `csc-access-denied`.
    """
    from sqlalchemy import select

    from signer.keys import extension

    database = remote.wired.house.database
    unknown = CscRefusal("csc-parameter-invalid", name="handle")
    with database.transaction() as session:
        wanted = select(ConsentRequest).where(ConsentRequest.code_hash == token_hash(handle))
        row = session.scalar(wanted.with_for_update())
        if row is None or row.kind != "approval" or row.asked.get("binding") != binding:
            raise unknown
        if row.state == "denied":
            raise CscRefusal("csc-access-denied")
        if row.state == "shown" and row.expires_at > now:
            return None
        if row.state != "granted" or row.authorization_id is None:
            raise unknown
        row.state = "spent"
        authorization_id = row.authorization_id
    return extension.hand_over(remote.wired.house.desk, authorization_id, client=binding, now=now)


def _answer(
    remote: Remote,
    consent: Consent,
    credential: Credential,
    authorization: Authorization | None,
    *,
    now: datetime,
    by: str,
) -> str | None:
    code = secrets.token_urlsafe(32) if consent.kind == "redirect" else None
    with remote.wired.house.database.transaction() as session:
        row = session.get_one(ConsentRequest, consent.id, with_for_update=True)
        late = row.state != "shown" or row.expires_at <= now
        if not late:
            row.state, row.holder_id = "granted", credential.holder_id
            row.authorization_id = authorization.id if authorization else None
            row.asked = {**row.asked, "granted_credential": credential.id}
            if code is not None:
                row.code_hash, row.code_expires_at = token_hash(code), now + CODE_LIFE
            audit.record(
                session,
                tag=Tag.CONSENT_GIVEN,
                by=by,
                subject=f"credential:{credential.id}",
                details={
                    "client": consent.client.client_id,
                    "scope": consent.scope,
                    "authorization": authorization.id if authorization else "",
                    "request": token_hash(consent.id),
                },
                now=now,
            )
    if late:
        if authorization is not None:
            activation.close(remote.wired.house.desk, authorization, now=now, by=by)
        raise CscRefusal("csc-request-unknown")
    return code


def _refused(remote: Remote, consent: Consent, code: str, by: str, *, now: datetime) -> None:
    with remote.wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.CONSENT_REFUSED,
            by=by,
            subject=f"client:{consent.client.client_id}",
            details={"code": code, "scope": consent.scope, "request": token_hash(consent.id)},
            now=now,
        )
