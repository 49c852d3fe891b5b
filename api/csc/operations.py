"""Signatures asked for asynchronously (`operationMode` "A"): accepted now, fetched later.

Everything that can be refused is refused before the answer, and the hashes are reserved by then;
the signing itself comes after it. A process that dies in between leaves an operation that is found
interrupted: nothing was delivered, the hashes become free again (`signing.recover`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from starlette.background import BackgroundTask

from api.csc.calls import Call, Reply
from api.csc.errors import CscRefusal
from api.csc.models import Operation
from records.errors import DomainError
from signer import joint
from signer.joint import Prepared

log = structlog.get_logger("dauso.csc")

DEFAULT_LIFE = timedelta(hours=1)
SHORTEST, LONGEST = timedelta(seconds=10), timedelta(hours=24)
ABANDONED_AFTER = timedelta(minutes=10)


def life_of(call: Call) -> timedelta:
    """`validity_period`, in milliseconds."""
    if "validity_period" not in call.given:
        return DEFAULT_LIFE
    asked = call.given.number("validity_period")
    if not SHORTEST <= timedelta(milliseconds=min(asked, 10**10)) <= LONGEST:
        raise CscRefusal("csc-parameter-out-of-bounds", name="validity_period")
    return timedelta(milliseconds=asked)


def refuse_notification(call: Call) -> None:
    """`response_uri` is not offered: a signing service that calls addresses given to it is a way
    into the network it stands in. signPolling tells the same."""
    if "response_uri" in call.given:
        raise CscRefusal("csc-parameter-invalid", name="response_uri")


def accept(call: Call, kind: str, prepared: Prepared, life: timedelta) -> Reply:
    """Write the operation down and answer; the work follows the answer."""
    identifier = secrets.token_urlsafe(24)
    with call.wired.house.database.transaction() as session:
        session.add(
            Operation(
                id=identifier,
                binding=call.bearer.binding,
                client_id=call.bearer.client.client_id,
                kind=kind,
                state="working",
                created_at=call.now,
                expires_at=call.now + life,
            )
        )
    work = BackgroundTask(_work, call, identifier, kind, prepared)
    return Reply({"responseID": identifier}, afterwards=work)


def poll(call: Call) -> Reply:
    """§11.12 signatures/signPolling; the answer can be fetched until it expires."""
    if "userID" in call.given and call.bearer.holder_id is not None:
        raise CscRefusal("csc-user-not-null")
    name = (
        "requestID" if "requestID" in call.given or "responseID" not in call.given else "responseID"
    )
    identifier = call.given.text(name, longest=64)
    with call.wired.house.database.reading() as session:
        row = session.get(Operation, identifier)
        if row is None or row.binding != call.bearer.binding or row.expires_at <= call.now:
            raise CscRefusal("csc-parameter-invalid", name="requestID")
        state, kind, answer, failure, since = (
            row.state,
            row.kind,
            row.answer,
            row.failure,
            row.created_at,
        )
    if state == "failed":
        raise CscRefusal("csc-operation-failed", reason=failure)
    if state == "working":
        if call.now - since > ABANDONED_AFTER:
            raise CscRefusal("csc-operation-interrupted")
        raise CscRefusal("csc-still-working")
    if kind == "signDoc":
        return Reply(_fetched(call, answer))
    return Reply(answer)


def _work(call: Call, identifier: str, kind: str, prepared: Prepared) -> None:
    """Sign, keep the results, and only then commit that they were made."""
    desk = call.wired.house.desk
    kept: list[Mapping[str, Any]] = []

    def keep(values: list[bytes]) -> None:
        kept.append(_kept(call, kind, values))

    state, failure = "done", None
    try:
        joint.carry_out(desk, prepared, now=call.now, by=call.by, keep=keep)
    except DomainError as error:
        state, failure = "failed", str(error)
    except Exception as error:  # a defect of ours; the client must not wait for ever
        log.error("asynchronous signing failed", exc_info=error)
        state, failure = "failed", "internal error"
    with call.wired.house.database.transaction() as session:
        row = session.get_one(Operation, identifier, with_for_update=True)
        row.state, row.failure = state, failure
        row.answer = dict(kept[0]) if state == "done" else None


def _kept(call: Call, kind: str, values: list[bytes]) -> Mapping[str, Any]:
    """Hash signatures in the row; documents in transit, where large things are."""
    if kind != "signDoc":
        name = "signatures" if kind == "signHash" else "SignatureObject"
        return {name: [base64.b64encode(one).decode() for one in values]}
    client_id = call.bearer.client.client_id
    made = [
        call.wired.transit.put(one, client_id=client_id, name=None, act="signed", now=call.now)
        for one in values
    ]
    return {"documents": [one.id for one in made]}


def _fetched(call: Call, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    transit, client_id = call.wired.transit, call.bearer.client.client_id
    found = [transit.find(one, client_id=client_id, now=call.now) for one in answer["documents"]]
    for one in found:
        transit.delivered(one, now=call.now)
    return {
        "DocumentWithSignature": [base64.b64encode(transit.content(one)).decode() for one in found]
    }
