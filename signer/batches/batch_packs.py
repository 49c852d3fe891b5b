"""Where a batch's documents lie: many in one blob, so that one fsync serves them all.

A document of twenty kilobytes costs four fsyncs as a blob of its own, more than its signature. A
pack holds the documents of one upload, or what one chunk's signatures appended to them: a signed
document is its original and its revisions, joined when it is fetched and checked by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from records.blobs import BlobStore
from records.errors import RecordsError

PACK_BYTES = 8 << 20
"""A pack is read whole, whichever document in it is wanted."""


@dataclass(frozen=True)
class Place:
    """A document, or what was appended to one, in a pack."""

    pack: str
    offset: int
    size: int


class Shelves:
    """The documents of batches, one store for each, apart from what the law keeps."""

    def __init__(self, location: str) -> None:
        self._location = location.rstrip("/")
        self._known: dict[str, BlobStore] = {}

    def of(self, batch_id: str) -> BlobStore:
        store = self._known.get(batch_id)
        if store is None:
            if len(self._known) > 256:
                self._known.clear()
            store = self._known[batch_id] = BlobStore(f"{self._location}/{batch_id}")
        return store


def put(store: BlobStore, parts: Sequence[bytes]) -> list[Place]:
    """Keep them, on disk when this returns; where each is, in order."""
    places: list[Place] = []
    waiting: list[bytes] = []
    held = 0
    for number, one in enumerate(parts):
        waiting.append(one)
        held += len(one)
        if held >= PACK_BYTES or number == len(parts) - 1:
            pack, offset = store.put(b"".join(waiting)), 0
            for each in waiting:
                places.append(Place(pack, offset, len(each)))
                offset += len(each)
            waiting, held = [], 0
    return places


def get(store: BlobStore, places: Sequence[Place]) -> list[bytes]:
    """The parts again, each pack read once and checked."""
    packs = {pack: store.get(pack) for pack in dict.fromkeys(one.pack for one in places)}
    return [packs[one.pack][one.offset : one.offset + one.size] for one in places]


def joined(store: BlobStore, documents: Sequence[tuple[Sequence[Place], str]]) -> list[bytes]:
    """Originals and revisions as whole files, each by its places and its digest.

    Raises RecordsError `blob-damaged`.
    """
    parts = iter(get(store, [place for places, _ in documents for place in places]))
    found = [b"".join(islice(parts, len(places))) for places, _ in documents]
    for data, (_, digest) in zip(found, documents, strict=True):
        if hashlib.sha256(data).hexdigest() != digest:
            raise RecordsError("blob-damaged", digest=digest)
    return found
