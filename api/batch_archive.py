"""All signed documents of a batch in one ZIP, made while it goes out: memory holds a pack or two.

The documents are stored, not compressed: a signed PDF does not get smaller.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from signer.batches import batch_reading
from signer.batches.batch_packs import PACK_BYTES
from signer.pdf.syntax import VIETNAM

if TYPE_CHECKING:
    from signer.batches.batch_packs import Shelves
    from signer.batches.batch_reading import Item
    from signer.desk import Desk

RESULTS = "ket-qua.csv"
_AT_A_TIME = 200
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)  # APPNOTE.TXT §4.4.6: no ZIP knows a time before it


class _Outgoing(RawIOBase):
    """What ZipFile writes, until it is taken away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # bytes are all ZipFile gives
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def archive(
    desk: Desk, shelves: Shelves, batch_id: str, *, client: str, results: str
) -> Iterator[bytes]:
    """The octets of the ZIP, document by document; `results` is the table of outcomes, in CSV."""
    out = _Outgoing()
    taken = {RESULTS}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        made.writestr(_entry(RESULTS, None), results.encode())
        for group in _groups(desk, batch_id, client):
            positions = [one.position for one in group]
            found = batch_reading.contents(desk, shelves, batch_id, positions, client=client)
            for one, data in zip(group, found, strict=True):
                made.writestr(_entry(_free(one.name, taken), one.finished_at), data)
            yield out.take()
    yield out.take()


def _groups(desk: Desk, batch_id: str, client: str) -> Iterator[list[Item]]:
    """Signed documents in order, as many at a time as lie in a few packs."""
    after, held = -1, 0
    group: list[Item] = []
    while found := batch_reading.items(
        desk, batch_id, client=client, after=after, limit=_AT_A_TIME
    ):
        after = found[-1].position
        for one in found:
            if one.result is None:
                continue
            if group and (held + one.size > PACK_BYTES or len(group) == _AT_A_TIME):
                yield group
                group, held = [], 0
            group.append(one)
            held += one.size
    if group:
        yield group


def _entry(name: str, moment: datetime | None) -> zipfile.ZipInfo:
    """Dated in Vietnamese time, as ZIP has no zones."""
    local = (moment or _EARLIEST).astimezone(VIETNAM)
    return zipfile.ZipInfo(name, local.timetuple()[:6])


def _free(name: str, taken: set[str]) -> str:
    """The document's name; a second one of that name gets a number."""
    path, wanted, number = PurePosixPath(name), name, 1
    while wanted in taken:
        number += 1
        wanted = f"{path.stem} ({number}){path.suffix}"
    taken.add(wanted)
    return wanted
