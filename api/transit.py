"""Documents on their way through the API: uploaded, signed, fetched, gone within two days.

Their bytes lie in a store per day, apart from what the law keeps: a day that is over takes no
new document, so removing it can never remove what somebody has just uploaded again.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import delete, select

from api.errors import ApiError
from api.models import ApiDocument
from records import audit
from records.blobs import BlobStore
from records.database import Database
from records.errors import RecordsError
from records.tags import Tag
from signer.pdf.original import Original

KEPT_FOR = timedelta(hours=24)
STREAMED = 8 << 20
"""A document from this size on goes out piece by piece."""
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\/:*?<>|]+')


@dataclass(frozen=True)
class Document:
    """What a client may know of one of its documents. ``digest`` is SHA-256 in hex."""

    id: str
    client_id: str
    name: str
    digest: str
    size: int
    act: str
    source_id: str | None
    created_at: datetime
    expires_at: datetime


class Transit:
    """The documents of all clients; each sees its own."""

    def __init__(self, database: Database, location: str) -> None:
        self._database = database
        self._location = location.rstrip("/")
        self._stores: dict[date, BlobStore] = {}

    def put(
        self,
        data: bytes,
        *,
        client_id: str,
        name: str | None,
        act: str,
        source_id: str | None = None,
        now: datetime,
    ) -> Document:
        """Keep a document for a day; `document-empty` when there is nothing in it."""
        if not data:
            raise ApiError("document-empty")
        digest = self._store(now).put(data)
        return self._kept(
            digest, len(data), client_id=client_id, name=name, act=act, source_id=source_id, now=now
        )

    def put_chunks(
        self,
        chunks: Iterable[bytes],
        *,
        client_id: str,
        name: str | None,
        act: str,
        source_id: str | None = None,
        now: datetime,
    ) -> Document:
        """The same for a document that is too big to be held: it goes to the store as it comes."""
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for one in chunks:
                size += len(one)
                yield one

        digest = self._store(now).put_chunks(counted())
        if not size:
            raise ApiError("document-empty")
        return self._kept(
            digest, size, client_id=client_id, name=name, act=act, source_id=source_id, now=now
        )

    def _kept(
        self,
        digest: str,
        size: int,
        *,
        client_id: str,
        name: str | None,
        act: str,
        source_id: str | None,
        now: datetime,
    ) -> Document:
        document = Document(
            id=f"doc_{secrets.token_urlsafe(18)}",
            client_id=client_id,
            name=safe_name(name),
            digest=digest,
            size=size,
            act=act,
            source_id=source_id,
            created_at=now,
            expires_at=now + KEPT_FOR,
        )
        with self._database.transaction() as session:
            session.add(ApiDocument(**document.__dict__))
            audit.record(
                session,
                tag=Tag.DOCUMENT_RECEIVED,
                by=f"client:{client_id}",
                subject=document.id,
                details={"digest": digest, "act": act, "source": source_id},
                now=now,
            )
        return document

    def find(self, document_id: str, *, client_id: str, now: datetime) -> Document:
        """One of the client's documents; anybody else's does not exist for it."""
        with self._database.reading() as session:
            row = session.get(ApiDocument, document_id)
            if row is None or row.client_id != client_id:
                raise ApiError("document-not-found", id=document_id[:64])
            if row.expires_at <= now:
                raise ApiError("document-expired", id=document_id[:64])
            return _document(row)

    def content(self, document: Document) -> bytes:
        """The bytes, checked against the digest."""
        return self._store(document.created_at).get(document.digest)

    @contextmanager
    def original(self, document: Document) -> Iterator[Original]:
        """The document mapped into memory, hashed and checked, for as long as the block lasts."""
        with self._store(document.created_at).file(document.digest) as path:
            found = Original.at(path)
            if found.sha256.hex() != document.digest:
                raise RecordsError("blob-damaged", digest=document.digest)
            yield found

    def stream(self, document: Document) -> Iterator[bytes]:
        """The bytes piece by piece; damage ends the stream with an error."""
        return self._store(document.created_at).stream(document.digest)

    def delivered(self, document: Document, *, now: datetime) -> None:
        """Every view of a person's document says who and when (DOMAIN.md §6)."""
        with self._database.transaction() as session:
            audit.record(
                session,
                tag=Tag.DOCUMENT_DELIVERED,
                by=f"client:{document.client_id}",
                subject=document.id,
                details={"digest": document.digest},
                now=now,
            )

    def purge(self, *, now: datetime) -> int:
        """Remove the documents of days that are over; returns how many."""
        yesterday = now.astimezone(UTC).date() - timedelta(days=1)
        before = datetime(yesterday.year, yesterday.month, yesterday.day, tzinfo=UTC)
        with self._database.reading() as session:
            rows = session.scalars(
                select(ApiDocument).where(ApiDocument.created_at < before).limit(1000)
            ).all()
        for row in rows:
            self._store(row.created_at).delete(row.digest)
        with self._database.transaction() as session:
            session.execute(delete(ApiDocument).where(ApiDocument.id.in_([r.id for r in rows])))
        for day in [day for day in self._stores if day < yesterday]:
            del self._stores[day]
        return len(rows)

    def _store(self, moment: datetime) -> BlobStore:
        day = moment.astimezone(UTC).date()
        store = self._stores.get(day)
        if store is None:
            store = self._stores[day] = BlobStore(f"{self._location}/{day.isoformat()}")
        return store


def safe_name(name: str | None) -> str:
    """A file name fit for a header and a disk: no path, no control characters, not long."""
    base = unicodedata.normalize("NFC", (name or "").replace("\\", "/").rsplit("/", 1)[-1])
    cleaned = " ".join(_UNSAFE.sub(" ", base).split()).strip(" .")
    return cleaned[:150] or "document.pdf"


def _document(row: ApiDocument) -> Document:
    return Document(
        id=row.id,
        client_id=row.client_id,
        name=row.name,
        digest=row.digest,
        size=row.size,
        act=row.act,
        source_id=row.source_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
