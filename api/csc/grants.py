"""What a client may exchange for an access token: a code, a refresh token, its own secret.

CSC API §8.4.4; RFC 6749 §4.1.3, §4.4 and §6; RFC 7636. The endpoint is `api.csc.oauth2.token`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from api.auth.clients import Client
from api.csc import tokens
from api.csc.calls import Remote
from api.csc.errors import CscRefusal
from api.csc.models import ConsentRequest
from records.errors import DomainError
from signer.keys import activation, extension
from signer.keys.activation import token_hash

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
Answer = dict[str, Any]


def _by_code(wired: Remote, client: Client, given: Mapping[str, str], now: datetime) -> Answer:
    """RFC 6749 §4.1.3: the code once, for the same client, address and verifier."""
    code = given.get("code")
    if code is None:
        raise CscRefusal("csc-oauth-missing", name="code")
    database = wired.wired.house.database
    refusal: CscRefusal | None = None
    with database.transaction() as session:
        wanted = select(ConsentRequest).where(ConsentRequest.code_hash == token_hash(code))
        row = session.scalar(wanted.with_for_update())
        if row is None or row.client_id != client.client_id or row.kind != "redirect":
            raise CscRefusal("csc-code-invalid")
        identifier, holder_id, said = row.id, row.holder_id, dict(row.asked)
        authorization_id = row.authorization_id
        if row.state != "granted":
            # §4.1.2: a code used twice was seen by somebody else: what it gave is taken back.
            tokens.revoke_grant(session, row.id, now=now)
            refusal = CscRefusal("csc-code-invalid")
        elif row.code_expires_at is None or row.code_expires_at <= now:
            refusal = CscRefusal("csc-code-invalid")
        elif not _same_address(said, given):
            refusal = CscRefusal("csc-redirect-mismatch")
        elif not _verified(said["code_challenge"], given.get("code_verifier", "")):
            refusal = CscRefusal("csc-verifier-invalid")
        row.state = "spent"
    binding = tokens.binding(client.client_id, holder_id)
    if refusal is not None:
        if authorization_id is not None:
            take_back(wired, authorization_id, binding, now=now, by=client.by)
        raise refusal
    if said["scope"] == tokens.SERVICE:
        return _service(wired, identifier, client, holder_id, now=now)
    if authorization_id is None:
        raise CscRefusal("csc-code-invalid")
    desk = wired.wired.house.desk
    sad = extension.hand_over(desk, authorization_id, client=binding, now=now)
    with database.transaction() as session:
        tokens.issue(
            session,
            kind=tokens.ACCESS,
            grant_id=identifier,
            client_id=client.client_id,
            holder_id=holder_id,
            scope=tokens.CREDENTIAL,
            credential_id=sad.credential_id,
            now=now,
            expires_at=sad.expires_at,
            token=sad.token,
        )
    answer: Answer = {
        "access_token": sad.token,
        "expires_in": int((sad.expires_at - now).total_seconds()),
        "_scope": tokens.CREDENTIAL,
    }
    if said.get("credential_id") is None:
        answer["credentialID"] = sad.credential_id
    if said.get("rich"):
        answer["authorization_details"] = [_details(said, sad.credential_id)]
    return answer


def _by_refresh(wired: Remote, client: Client, given: Mapping[str, str], now: datetime) -> Answer:
    """RFC 9700 §4.14: a refresh token is good once; used again, its whole grant ends."""
    value = given.get("refresh_token")
    if value is None:
        raise CscRefusal("csc-oauth-missing", name="refresh_token")
    refusal: CscRefusal | None = None
    with wired.wired.house.database.transaction() as session:
        row = tokens.find(session, value)
        if row is None or row.kind != tokens.REFRESH or row.client_id != client.client_id:
            raise CscRefusal("csc-refresh-invalid")
        if row.revoked_at is not None:
            tokens.revoke_grant(session, row.grant_id, now=now)
            refusal = CscRefusal("csc-refresh-invalid")
        elif row.expires_at <= now:
            refusal = CscRefusal("csc-refresh-expired")
        row.revoked_at = row.revoked_at or now
        grant_id, holder_id, until = row.grant_id, row.holder_id, row.expires_at
    if refusal is not None:
        raise refusal
    return _service(wired, grant_id, client, holder_id, now=now, until=until)


def _by_secret(wired: Remote, client: Client, given: Mapping[str, str], now: datetime) -> Answer:
    """Client credentials give the scope `service` only (§8.4.4)."""
    if given.get("scope", tokens.SERVICE) != tokens.SERVICE:
        raise CscRefusal("csc-scope-invalid")
    grant_id = secrets.token_urlsafe(24)
    return _service(wired, grant_id, client, None, now=now)


GRANTS: dict[str, Callable[[Remote, Client, Mapping[str, str], datetime], Answer]] = {
    "authorization_code": _by_code,
    "client_credentials": _by_secret,
    "refresh_token": _by_refresh,
}


def _service(
    wired: Remote,
    grant_id: str,
    client: Client,
    holder_id: str | None,
    *,
    now: datetime,
    until: datetime | None = None,
) -> Answer:
    common: dict[str, Any] = {
        "grant_id": grant_id,
        "client_id": client.client_id,
        "holder_id": holder_id,
        "scope": tokens.SERVICE,
        "now": now,
    }
    answer: Answer = {
        "expires_in": int(tokens.ACCESS_LIFE.total_seconds()),
        "_scope": tokens.SERVICE,
    }
    with wired.wired.house.database.transaction() as session:
        answer["access_token"] = tokens.issue(
            session, kind=tokens.ACCESS, expires_at=now + tokens.ACCESS_LIFE, **common
        )
        if holder_id is not None:
            answer["refresh_token"] = tokens.issue(
                session,
                kind=tokens.REFRESH,
                expires_at=until or now + tokens.REFRESH_LIFE,
                **common,
            )
    return answer


def _details(said: Mapping[str, Any], credential_id: str) -> dict[str, Any]:
    """What was granted, as RFC 9396 §7 wants it told."""
    pairs = zip(said["hashes"], said["labels"], strict=True)
    return {
        "type": tokens.CREDENTIAL,
        "credentialID": credential_id,
        "documentDigests": [
            {"hash": base64.b64encode(bytes.fromhex(one)).decode(), "label": label}
            for one, label in pairs
        ],
        "hashAlgorithmOID": said["hash_algorithm"],
    }


def _same_address(said: Mapping[str, Any], given: Mapping[str, str]) -> bool:
    if "redirect_uri" not in given:
        return not said["redirect_given"]
    return bool(given["redirect_uri"] == said["redirect_uri"])


def _verified(challenge: str, verifier: str) -> bool:
    """RFC 7636 §4.6, S256."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)


def take_back(
    wired: Remote, authorization_id: str, binding: str, *, now: datetime, by: str
) -> None:
    """End an authorisation whose code was misused, if it is still open."""
    desk = wired.wired.house.desk
    try:
        given = extension.hand_over(desk, authorization_id, client=binding, now=now)
    except DomainError:
        return
    activation.close(desk, given, now=now, by=by)
