"""The document security store: what a validator needs when the CA no longer answers.

EN 319 142-1 §5.4.2. OCSP answers of 2 kB go in, never a CRL of a whole province (PERFORMANCE.md).
The signer's own answer is fetched after the signature was made, so that it speaks of that moment;
those of CAs and the TSA may be a few minutes old. No VRI: it is optional and adds nothing to
validators that read the arrays.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from signer.pdf.nodes import ArrayNode, DictNode
from signer.pdf.revision import Appender
from signer.pdf.syntax import closed_stream, reference

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHELF_LIFE = timedelta(minutes=5)
_SHELF_SIZE = 256
_ESIC = b"<</BaseVersion/1.7/ExtensionLevel 5>>"


class Responder(Protocol):
    """`ca.status.ocsp.Responder`, or another source of OCSP answers."""

    def answer(self, certificate: x509.Certificate, *, now: datetime) -> bytes: ...


@dataclass(frozen=True)
class Material:
    """DER of what belongs in the store, each thing once."""

    certificates: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()

    def __add__(self, other: Material) -> Material:
        return Material(
            tuple(dict.fromkeys(self.certificates + other.certificates)),
            tuple(dict.fromkeys(self.ocsp + other.ocsp)),
            tuple(dict.fromkeys(self.crls + other.crls)),
        )


@dataclass
class RevocationShelf:
    """What is known of paths that change rarely (CAs, TSA), kept for five minutes."""

    kept: OrderedDict[tuple[x509.Certificate, ...], tuple[datetime, Material]] = field(
        default_factory=OrderedDict
    )

    def get(
        self, path: tuple[x509.Certificate, ...], now: datetime, *, this_second: bool = False
    ) -> Material | None:
        known = self.kept.get(path)
        if known is None or not timedelta(0) <= now - known[0] < _SHELF_LIFE:
            return None
        if this_second and known[0].replace(microsecond=0) != now.replace(microsecond=0):
            return None
        return known[1]

    def put(self, path: tuple[x509.Certificate, ...], found: Material, now: datetime) -> None:
        self.kept[path] = (now, found)
        while len(self.kept) > _SHELF_SIZE:
            self.kept.popitem(last=False)


def gather(
    path: Sequence[x509.Certificate],
    *,
    responder: Responder,
    shelf: RevocationShelf,
    fresh: bool,
    now: datetime,
) -> Material:
    """Certificates and status for one certification path, leaf first, root last.

    `fresh` wants an answer about the leaf whose thisUpdate is this very second (what OCSP can
    tell apart, RFC 6960 §4.2.2.1); a batch asks once a second. That answer is then the first one.
    """
    if not fresh:
        return _shelved(tuple(path), responder, shelf, now)
    leaf, above = tuple(path[:1]), tuple(path[1:])
    own = _shelved(leaf, responder, shelf, now, this_second=True)
    return own + _shelved(above, responder, shelf, now)


def _shelved(
    path: tuple[x509.Certificate, ...],
    responder: Responder,
    shelf: RevocationShelf,
    now: datetime,
    *,
    this_second: bool = False,
) -> Material:
    known = shelf.get(path, now, this_second=this_second)
    if known is None:
        # The trust anchor has nobody above it to ask.
        asked = [one for one in path if one.issuer != one.subject]
        answers = tuple(responder.answer(one, now=now) for one in asked)
        known = Material(tuple(map(_der, path)), answers)
        shelf.put(path, known, now)
    return known


def write(appender: Appender, material: Material) -> bool:
    """Add what is not there yet; False when the store already has everything."""
    existing = _Existing.of(appender)
    changed = False
    for key, values, known in (
        ("/Certs", material.certificates, existing.certificates),
        ("/OCSPs", material.ocsp, existing.ocsp),
        ("/CRLs", material.crls, existing.crls),
    ):
        fresh = [value for value in values if hashlib.sha256(value).digest() not in known]
        if not fresh:
            continue
        array = existing.array(appender, key)
        for value in fresh:
            stream = b"<</Length %d>>\nstream\n" % len(value) + closed_stream(value)
            appender.append(array, reference(appender.add(stream)))
            known.add(hashlib.sha256(value).digest())
        changed = True
    if changed:
        _announce_extension(appender)
    return changed


@dataclass
class _Existing:
    """The store as it is in the file, or as an earlier revision of this session left it."""

    node: DictNode
    object: pikepdf.Object | None
    certificates: set[bytes]
    ocsp: set[bytes]
    crls: set[bytes]

    @classmethod
    def of(cls, appender: Appender) -> _Existing:
        known = appender.notes.get("dss")
        if isinstance(known, cls):
            return known
        found = appender.document.of_catalog("/DSS")
        obj = found if isinstance(found, pikepdf.Dictionary) else None
        node = appender.child_dictionary(appender.root, "/DSS", obj)
        if obj is None:
            appender.assign(node, "/Type", b"/DSS")
        sets = [_digests(obj, key) for key in ("/Certs", "/OCSPs", "/CRLs")]
        appender.notes["dss"] = made = cls(node, obj, *sets)
        return made

    def array(self, appender: Appender, key: str) -> ArrayNode:
        return appender.child_array(
            self.node, key, self.object.get(key) if self.object is not None else None
        )


def _digests(store: pikepdf.Object | None, key: str) -> set[bytes]:
    streams = store.get(key) if store is not None else None
    if not isinstance(streams, pikepdf.Array):
        return set()
    return {
        hashlib.sha256(one.read_bytes()).digest()
        for one in streams
        if isinstance(one, pikepdf.Stream)
    }


def _announce_extension(appender: Appender) -> None:
    """EN 319 142-1 §5.4.1: a file with a DSS says so among its developer extensions."""
    found = appender.document.of_catalog("/Extensions")
    obj = found if isinstance(found, pikepdf.Dictionary) else None
    node = appender.child_dictionary(appender.root, "/Extensions", obj)
    if not node.has("/ESIC"):
        appender.assign(node, "/ESIC", _ESIC)


@lru_cache(maxsize=1024)
def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
