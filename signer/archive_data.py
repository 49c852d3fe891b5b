"""What a file carries for its own long life: the DSS of each revision (EN 319 142-1, 5.4.2)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import pikepdf

from signer.structure import Document, ObjectId

_LARGEST = 64 << 20
_MOST = 20_000


@dataclass
class ArchiveData:
    """Certificates and revocation data in the DSS as it stood at each revision."""

    document: Document

    def __post_init__(self) -> None:
        self._streams: dict[tuple[int, ObjectId], bytes | None] = {}
        self._revisions: dict[int, tuple[frozenset[bytes], frozenset[bytes]]] = {}

    def at(self, end: int) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """(certificates, revocation data) in the DSS of the revision ending there."""
        if end not in self._revisions:
            self._revisions[end] = self._read(self.document.pdf_at(end))
        return self._revisions[end]

    @cached_property
    def now(self) -> tuple[frozenset[bytes], frozenset[bytes]]:
        return self.at(len(self.document.data))

    def _read(self, pdf: pikepdf.Pdf) -> tuple[frozenset[bytes], frozenset[bytes]]:
        dss = pdf.Root.get("/DSS")
        if not isinstance(dss, pikepdf.Dictionary):
            return frozenset(), frozenset()
        places = pdf.get_xref_table()
        kinds: list[set[bytes]] = []
        for keys in (("/Certs",), ("/CRLs", "/OCSPs")):
            found: set[bytes] = set()
            for key in keys:
                values = dss.get(key)
                for one in list(values)[:_MOST] if isinstance(values, pikepdf.Array) else ():
                    if isinstance(one, pikepdf.Stream):
                        entry = places.get(one.objgen)
                        place = (entry.offset if entry else 0, one.objgen)
                        if place not in self._streams:
                            self._streams[place] = decoded(one)
                        value = self._streams[place]
                        if value is not None:
                            found.add(value)
            kinds.append(found)
        return frozenset(kinds[0]), frozenset(kinds[1])


def decoded(stream: pikepdf.Stream) -> bytes | None:
    """The bytes of a stream, plain or Flate; None when it is anything else or a bomb."""
    name = stream.get("/Filter")
    if isinstance(name, pikepdf.Array):
        if len(name) > 1:
            return None
        name = name[0] if len(name) else None
    raw = stream.read_raw_bytes()
    if name is None:
        return raw if len(raw) <= _LARGEST else None
    if name != "/FlateDecode" or "/DecodeParms" in stream:
        return None
    inflate = zlib.decompressobj()
    try:
        value = inflate.decompress(raw, _LARGEST)
    except zlib.error:
        return None
    return None if inflate.unconsumed_tail or not inflate.eof else value
