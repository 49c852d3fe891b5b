"""What a file carries for its own long life: the DSS of each revision (EN 319 142-1, 5.4.2)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import pikepdf

from signer.pdf.byte_range import ObjectId
from signer.trust.certificates import Certificate, issued, read_certificate
from signer.trust.revocation_status import vouched
from signer.verdicts.structure import Document
from signer.verdicts.verdict import Finding, SubIndication, fails

_LARGEST = 64 << 20
_MOST = 20_000
_DSS_KEYS = frozenset({"/Type", "/Certs", "/CRLs", "/OCSPs", "/VRI", "/Extensions"})
_VRI_KEYS = frozenset({"/Type", "/Cert", "/CRL", "/OCSP", "/TU", "/TS"})


@dataclass
class ArchiveData:
    """Certificates and revocation data in the DSS as it stood at each revision."""

    document: Document

    def __post_init__(self) -> None:
        self._streams: dict[tuple[int, ObjectId], bytes | None] = {}
        self._revisions: dict[int, tuple[frozenset[bytes], frozenset[bytes]]] = {}

    def at(self, end: int) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """(certificates, revocation data) in the DSS and its VRI of the revision ending there."""
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
        vri = dss.get("/VRI")
        named = list(vri.as_dict().values())[:_MOST] if isinstance(vri, pikepdf.Dictionary) else []
        holders = [dss, *(one for one in named if isinstance(one, pikepdf.Dictionary))]
        for keys in (("/Certs", "/Cert"), ("/CRLs", "/OCSPs", "/CRL", "/OCSP")):
            found: set[bytes] = set()
            for holder, key in product(holders, keys):
                values = holder.get(key)
                for one in list(values)[:_MOST] if isinstance(values, pikepdf.Array) else ():
                    if isinstance(one, pikepdf.Stream):
                        entry = places.get(one.objgen)
                        place = ((entry.offset if entry else None) or 0, one.objgen)
                        if place not in self._streams:
                            self._streams[place] = decoded(one)
                        value = self._streams[place]
                        if value is not None:
                            found.add(value)
            kinds.append(found)
        return frozenset(kinds[0]), frozenset(kinds[1])


def damage(
    archive: ArchiveData, protected: frozenset[bytes], known: list[Certificate]
) -> list[Finding]:
    """Archive data that nobody signed and that are not what an authority issued.

    Until a document time-stamp covers it, the DSS can be altered by anyone. An altered value
    proves nothing and so changes no verdict by itself, but no honest program writes one:
    a file with one is not passed.
    """
    certificates, statements = archive.now
    dss = archive.document.pdf.Root.get("/DSS")
    sound = not isinstance(dss, pikepdf.Dictionary) or _well_built(dss)
    for der in certificates - protected:
        one = read_certificate(der)
        sound = sound and one is not None and any(issued(one, issuer) for issuer in known)
    for der in statements - protected:
        sound = sound and vouched(der, known)
    if sound:
        return []
    return [fails("validation-archive-damaged", SubIndication.SIG_CONSTRAINTS_FAILURE)]


def _well_built(dss: pikepdf.Object) -> bool:
    """Only the standard's keys, each a list of streams that can be decoded."""
    if set(dss.keys()) - _DSS_KEYS or dss.get("/Type", "/DSS") != "/DSS":
        return False
    vri = dss.get("/VRI")
    if vri is not None and not isinstance(vri, pikepdf.Dictionary):
        return False
    lists = [dss.get(key) for key in ("/Certs", "/CRLs", "/OCSPs")]
    for key, one in vri.items() if isinstance(vri, pikepdf.Dictionary) else ():
        if key == "/Type":
            continue
        if not isinstance(one, pikepdf.Dictionary) or set(one.keys()) - _VRI_KEYS:
            return False
        lists += [one.get(name) for name in ("/Cert", "/CRL", "/OCSP")]
    for values in lists:
        if values is not None and not isinstance(values, pikepdf.Array):
            return False
        for stream in list(values)[:_MOST] if values is not None else ():
            if not isinstance(stream, pikepdf.Stream) or decoded(stream) is None:
                return False
    return True


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
