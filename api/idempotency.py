"""An act asked for twice under one Idempotency-Key is done once and answered twice.

The key belongs to the client. The request is remembered as an HMAC under a server key (it may
hold a PIN, whose plain hash could be guessed), the answer as JSON or as a document in transit.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response, StreamingResponse

from api.errors import ApiError
from api.models import ApiAnswer
from api.transit import STREAMED, Transit
from records.database import Database

_KEY = re.compile(r"[\x21-\x7e]{8,128}")
KEPT_FOR = timedelta(hours=24)
# After this long an unanswered request belongs to a process that died.
ABANDONED_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Answer:
    """What an act answers: JSON text, or the bytes of a document in transit."""

    status: int
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    document_id: str | None = None


class Idempotency:
    """Remembers answers in the database; several processes may share it."""

    def __init__(self, database: Database, transit: Transit, *, secret: str) -> None:
        self._database = database
        self._transit = transit
        self._secret = hashlib.sha256(b"idempotency\0" + secret.encode()).digest()

    def once(
        self,
        key: str | None,
        *,
        client_id: str,
        request: Iterable[str | bytes],
        act: Callable[[], Answer],
        now: datetime,
    ) -> Response:
        """Do ``act`` unless this client has had an answer under ``key`` already.

        ``request`` is everything that makes the request what it is. A different request under a
        used key is refused (422); one that is still under way is refused as well (409). An act
        that fails is forgotten, so that it may be tried again.
        """
        if key is None:
            return self._response(act(), client_id, now)
        if not _KEY.fullmatch(key):
            raise ApiError("idempotency-key-invalid")
        fingerprint = self._fingerprint(request)
        earlier = self._claim(key, client_id, fingerprint, now)
        if earlier is not None:
            return self._response(earlier, client_id, now, replayed=True)
        try:
            answer = act()
        except BaseException:
            self._forget(key, client_id)
            raise
        with self._database.transaction() as session:
            row = session.get_one(ApiAnswer, (client_id, key))
            row.status, row.headers = answer.status, dict(answer.headers)
            row.headers["Content-Type"] = answer.media_type
            row.body, row.document_id = answer.text, answer.document_id
        return self._response(answer, client_id, now)

    def purge(self, *, now: datetime) -> int:
        """Forget the answers that are older than a day; returns how many."""
        with self._database.transaction() as session:
            found = session.execute(delete(ApiAnswer).where(ApiAnswer.created_at < now - KEPT_FOR))
            return int(getattr(found, "rowcount", 0))

    def _response(
        self, answer: Answer, client_id: str, now: datetime, *, replayed: bool = False
    ) -> Response:
        body: str | bytes = answer.text or ""
        headers = {"Cache-Control": "no-store"} | dict(answer.headers)
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        if answer.document_id is not None:
            document = self._transit.find(answer.document_id, client_id=client_id, now=now)
            if document.size >= STREAMED:
                headers["Content-Length"] = str(document.size)
                pieces = self._transit.stream(document)
                return StreamingResponse(
                    pieces, answer.status, headers=headers, media_type=answer.media_type
                )
            body = self._transit.content(document)
        return Response(body, answer.status, headers=headers, media_type=answer.media_type)

    def _fingerprint(self, request: Iterable[str | bytes]) -> bytes:
        digest = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in request:
            data = part.encode() if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "big") + data)
        return digest.digest()

    def _claim(self, key: str, client_id: str, mine: bytes, now: datetime) -> Answer | None:
        try:
            with self._database.transaction() as session:
                row = session.get(ApiAnswer, (client_id, key))
                if row is not None and row.status == 0 and row.created_at < now - ABANDONED_AFTER:
                    session.delete(row)
                    session.flush()
                    row = None
                if row is None:
                    session.add(
                        ApiAnswer(
                            client_id=client_id,
                            key=key,
                            fingerprint=mine,
                            status=0,
                            headers={},
                            created_at=now,
                        )
                    )
                    return None
                if not hmac.compare_digest(row.fingerprint, mine):
                    raise ApiError("idempotency-key-reused")
                if row.status == 0:
                    raise ApiError("idempotency-in-progress")
                headers = dict(row.headers)
                media_type = headers.pop("Content-Type", "application/json")
                return Answer(row.status, media_type, headers, row.body, row.document_id)
        except IntegrityError as error:  # two at the same moment: the other one was first
            raise ApiError("idempotency-in-progress") from error

    def _forget(self, key: str, client_id: str) -> None:
        with self._database.transaction() as session:
            row = session.get(ApiAnswer, (client_id, key))
            if row is not None and row.status == 0:
                session.delete(row)
