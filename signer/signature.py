"""One signature on one document: the field, the dictionary, the CMS, the time-stamps. No database.

This is the part that must keep up with the token. `signing.sign_pdf` wraps it in who may do it and
what is remembered of it; `augmentation.augment` uses its time-stamp and DSS revisions alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pikepdf
from cryptography.hazmat.primitives.serialization import Encoding

from signer.errors import DocumentRefused, SignerError
from signer.levels import Level
from signer.pdf.nodes import DictNode
from signer.pdf.revision import Appender, Pending, SignatureDictionary
from signer.pdf.syntax import number, pdf_date, reference, text_string

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from cryptography import x509

    from hsm.private_key import PrivateKey
    from signer.cms import CmsTemplate, Scheme
    from signer.looks.appearance import Appearance
    from signer.pdf.form_fields import SignatureField

_TOKEN_ROOM = 1_536
"""What a time-stamp token takes beside the certificates in it, with room to spare."""
_FLAGS = 132  # Print and Locked (ISO 32000-1 table 165); PDF/A wants Print
_SIGNATURES_EXIST_APPEND_ONLY = b"3"


class TimeStamper(Protocol):
    """What signing needs of a time-stamping authority; `ca.time.tsa.TimeStampAuthority` is one."""

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def chain(self) -> Sequence[x509.Certificate]: ...

    def stamp(self, digest: bytes, algorithm: str = "sha256", *, now: datetime) -> bytes: ...


@dataclass(frozen=True)
class SignatureRequest:
    """How one document is to be signed.

    `signing_time` is the time claimed and shown (default: `now`); `certify` makes this a
    certification signature leaving DocMDP permission 1, 2 or 3; `lock_fields` locks form fields
    (FieldMDP): the empty tuple locks all of them, None locks nothing. `lock_fields_except` locks
    every field but these. Without either, the /Lock of a prepared field is honoured. `scheme` asks
    for RSA-PSS; otherwise it follows from the key.
    """

    level: Level = Level.B_B
    appearance: Appearance | None = None
    reason: str | None = None
    location: str | None = None
    field_name: str | None = None
    certify: int | None = None
    lock_fields: tuple[str, ...] | None = None
    lock_fields_except: tuple[str, ...] | None = None
    signing_time: datetime | None = None
    scheme: Scheme | None = None


@dataclass(frozen=True)
class Pen:
    """A key and the CMS template of its certificate: everything that writes one hand.

    `key` may be what opens it: then it is open around the signature and no longer.
    """

    template: CmsTemplate
    key: PrivateKey | Callable[[], AbstractContextManager[PrivateKey]]
    name: str

    def sign(self, attributes: bytes) -> bytes:
        """The signature value over a SET OF signed attributes."""
        if not callable(self.key):
            return self.template.sign(self.key, attributes)
        with self.key() as opened:
            return self.template.sign(opened, attributes)


class PlacedStamp(Protocol):
    """A drawn appearance with its place: `signer.looks.appearance` makes them."""

    @property
    def page(self) -> int: ...

    @property
    def rect(self) -> tuple[float, float, float, float]: ...

    def put(self, appender: Appender, when: datetime) -> int:
        """Write the form XObject and what it needs; returns its object number."""


class Begun(NamedTuple):
    """A signature whose field, page and dictionary are written: the revision can be laid out."""

    appender: Appender
    field: str
    dictionary: SignatureDictionary

    def lay_out(self, template: CmsTemplate) -> LaidOut:
        """The revision with a hole for the CMS, and the digest of everything else, to be signed."""
        pending = self.appender.commit(self.dictionary)
        attributes = template.attributes(pending.digest(template.digest_name))
        return LaidOut(self.appender, self.field, pending, attributes)


class LaidOut(NamedTuple):
    """A signature in its place, complete but for its value: `attributes` are what is signed."""

    appender: Appender
    field: str
    pending: Pending
    attributes: bytes

    def close(self, template: CmsTemplate, signature: bytes, token: bytes | None) -> None:
        """The checked value, and the time-stamp over it, in their place."""
        self.pending.fill(template.wrap(self.attributes, signature, token))


def place_signature(
    appender: Appender,
    pen: Pen,
    request: SignatureRequest,
    *,
    stamp: PlacedStamp | None,
    time_stamper: TimeStamper | None,
    now: datetime,
) -> str:
    """One revision with one signature; returns the name of its field.

    The signature is verified with the certificate's public key before it enters the file.
    """
    begun = begin(appender, pen, request, stamp=stamp, time_stamper=time_stamper, now=now)
    laid = begun.lay_out(pen.template)
    signature = pen.sign(laid.attributes)
    pen.template.check(signature, laid.attributes)
    token = None
    if request.level.time_stamped:
        token = stamp_value(time_stamper, signature, now=now)
    laid.close(pen.template, signature, token)
    return laid.field


def begin(
    appender: Appender,
    pen: Pen,
    request: SignatureRequest,
    *,
    stamp: PlacedStamp | None,
    time_stamper: TimeStamper | None,
    now: datetime,
) -> Begun:
    """`begin_signature` with the room that this hand and the level asked for need."""
    # No dry run: the template knows how long its CMS can become.
    room = token_room(time_stamper) if request.level.time_stamped else 0
    return begin_signature(
        appender,
        request,
        signer=pen.name,
        room=pen.template.size_limit + room,
        stamp=stamp,
        when=request.signing_time or now,
    )


def begin_signature(
    appender: Appender,
    request: SignatureRequest,
    *,
    signer: str,
    room: int,
    stamp: PlacedStamp | None,
    when: datetime,
) -> Begun:
    """The objects of a signature with room for a CMS of `room` bytes."""
    value = appender.allocate()
    lock = _lock_wanted(appender, request)
    name = _put_field(appender, request, value, stamp, when, lock)
    head = _signature_head(appender, signer, request, value, when, lock)
    return Begun(appender, name, SignatureDictionary(value, head, 2 * room))


def place_document_time_stamp(
    appender: Appender, time_stamper: TimeStamper | None, *, now: datetime
) -> str:
    """A revision with a document time-stamp (EN 319 142-1 §5.4.3), in an invisible field."""
    if time_stamper is None:
        raise SignerError("time-stamping-not-configured")
    value = appender.allocate()
    request = SignatureRequest(field_name=free_name(appender, "Timestamp"))
    name = _put_field(appender, request, value, None, now, None)
    head = b"<</Type/DocTimeStamp/Filter/Adobe.PPKLite/SubFilter/ETSI.RFC3161"
    pending = appender.commit(SignatureDictionary(value, head, 2 * token_room(time_stamper)))
    pending.fill(time_stamper.stamp(pending.digest(), "sha256", now=now))
    return name


def stamp_value(time_stamper: TimeStamper | None, signature: bytes, *, now: datetime) -> bytes:
    """A token over the signature value. Without an authority there is no silent B-B (DOMAIN.md)."""
    if time_stamper is None:
        raise SignerError("time-stamping-not-configured")
    return time_stamper.stamp(hashlib.sha256(signature).digest(), "sha256", now=now)


def token_room(time_stamper: TimeStamper | None) -> int:
    """Bytes to keep for a token of this authority, all its certificates included."""
    if time_stamper is None:
        raise SignerError("time-stamping-not-configured")
    return _TOKEN_ROOM + _size_of((time_stamper.certificate, *time_stamper.chain))


@lru_cache(maxsize=16)
def _size_of(certificates: tuple[x509.Certificate, ...]) -> int:
    return sum(len(one.public_bytes(Encoding.DER)) for one in certificates)


def free_name(appender: Appender, stem: str) -> str:
    """`Signature1`, `Signature2`…: the first that no field of the form bears."""
    numbered = (f"{stem}{number}" for number in count(1))
    return next(name for name in numbered if not _taken(appender, name))


def _taken(appender: Appender, name: str) -> bool:
    return name in appender.document.top_level_names or name in appender.new_names


def _put_field(
    appender: Appender,
    request: SignatureRequest,
    value: int,
    stamp: PlacedStamp | None,
    when: datetime,
    lock: bytes | None,
) -> str:
    existing = _existing_field(appender, request.field_name)
    drawing = stamp.put(appender, when) if stamp is not None else None
    form = _form(appender)
    if existing is not None:
        _fill_field(appender, existing, value, drawing)
        return existing.name
    name = request.field_name or free_name(appender, "Signature")
    if "." in name or _taken(appender, name):
        raise DocumentRefused("field-name-unusable", field=name)
    document = appender.document
    if stamp is not None and document.doc_mdp == 2:
        raise DocumentRefused("document-certified-no-new-visible-field")
    on = stamp.page if stamp is not None else 1
    page = document.leaf(on)
    parts = [
        b"<</Type/Annot/Subtype/Widget/FT/Sig/F %d/T%s/V %s/P %s"
        % (_FLAGS, text_string(name), reference(value), reference(*page.objgen))
    ]
    if stamp is not None and drawing is not None:
        rect = b" ".join(number(one) for one in stamp.rect)
        parts.append(b"/Rect[%s]/AP<</N %s>>" % (rect, reference(drawing)))
    else:
        parts.append(b"/Rect[0 0 0 0]")
    if lock is not None:
        parts.append(b"/Lock<</Type/SigFieldLock%s>>" % lock)
    field = appender.add(b"".join((*parts, b">>")))
    form_object = document.form
    fields = appender.child_array(
        form, "/Fields", form_object.get("/Fields") if form_object is not None else None
    )
    appender.append(fields, reference(field))
    page_node = appender.dictionary(page)
    annotations = appender.child_array(page_node, "/Annots", document.annotations(on))
    appender.append(annotations, reference(field))
    appender.new_names.add(name)
    return name


def _form(appender: Appender) -> DictNode:
    form = appender.child_dictionary(appender.root, "/AcroForm", appender.document.form)
    if "/SigFlags" not in form.changed:
        appender.assign(form, "/SigFlags", _SIGNATURES_EXIST_APPEND_ONLY)
    return form


def _existing_field(appender: Appender, name: str | None) -> SignatureField | None:
    """An empty signature field that the document's author put there for us, by its full name."""
    if name is None:
        return None
    for one in appender.document.fields:
        if one.name == name:
            if one.signed:
                raise DocumentRefused("field-already-signed", field=name)
            return one
    return None


def _fill_field(
    appender: Appender, existing: SignatureField, value: int, drawing: int | None
) -> None:
    field = appender.dictionary(existing.object)
    appender.assign(field, "/V", reference(value))
    kids = existing.object.get("/Kids")
    widget = appender.dictionary(kids[0]) if kids is not None and len(kids) == 1 else field
    if drawing is not None:
        appender.assign(widget, "/AP", b"<</N %s>>" % reference(drawing))
    appender.assign(widget, "/F", b"%d" % _FLAGS)


def _signature_head(
    appender: Appender,
    signer: str,
    request: SignatureRequest,
    value: int,
    when: datetime,
    lock: bytes | None,
) -> bytes:
    parts = [
        b"<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M",
        pdf_date(when),
        b"/Name",
        text_string(signer),
    ]
    if request.reason:
        parts += (b"/Reason", text_string(request.reason))
    if request.location:
        parts += (b"/Location", text_string(request.location))
    references = []
    root = reference(appender.root.number, appender.root.generation)
    if request.certify is not None:
        _require_first(appender, request.certify)
        existing = appender.document.of_catalog("/Perms")
        permissions = appender.child_dictionary(appender.root, "/Perms", existing)
        appender.assign(permissions, "/DocMDP", reference(value))
        references.append(
            b"<</Type/SigRef/TransformMethod/DocMDP/TransformParams"
            b"<</Type/TransformParams/P %d/V/1.2>>>>" % request.certify
        )
    if lock is not None:
        references.append(
            b"<</Type/SigRef/TransformMethod/FieldMDP/Data %s/TransformParams"
            b"<</Type/TransformParams/V/1.2%s>>>>" % (root, lock)
        )
    if references:
        parts.append(b"/Reference[%s]" % b"".join(references))
    return b"".join(parts)


def _require_first(appender: Appender, permission: int) -> None:
    """Certification comes before every other signature, once (ISO 32000-1 §12.8.2.2.1)."""
    if permission not in (1, 2, 3):
        raise SignerError("certification-level-unknown", level=permission)
    document = appender.document
    if document.doc_mdp is not None or document.signatures:
        raise DocumentRefused("certification-not-first")


def _lock_wanted(appender: Appender, request: SignatureRequest) -> bytes | None:
    """What the request locks, or else what the author of a prepared field wants locked with it."""
    nothing = request.lock_fields is None and request.lock_fields_except is None
    if nothing and request.field_name is None:
        return None
    if request.lock_fields is not None:
        if request.lock_fields_except is not None:
            raise SignerError("lock-ambiguous")
        return _lock("Include", request.lock_fields)
    if request.lock_fields_except is not None:
        return _lock("Exclude", request.lock_fields_except)
    existing = _existing_field(appender, request.field_name)
    prepared = existing.object.get("/Lock") if existing is not None else None
    if not isinstance(prepared, pikepdf.Dictionary):
        return None
    names = prepared.get("/Fields")
    listed = [str(one) for one in names] if isinstance(names, pikepdf.Array) else []
    action = str(prepared.get("/Action", "/All")).removeprefix("/")
    if action not in ("All", "Include", "Exclude"):
        raise DocumentRefused("field-lock-unknown", action=action[:20])
    return _lock(action, () if action == "All" else listed)


def _lock(action: str, fields: Sequence[str]) -> bytes:
    """A SigFieldLock's entries, the same in a FieldMDP transform (ISO 32000-1 tables 233, 256)."""
    if not fields:
        return b"/Action/All"
    names = b"".join(text_string(one) for one in fields)
    return b"/Action/%s/Fields[%s]" % (action.encode(), names)
