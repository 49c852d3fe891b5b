"""How a signature looks and where it stands: one template for each case of decree 30/2020.

    Appearance.person(prefix="KT.", superior="CHỦ TỊCH", title="PHÓ CHỦ TỊCH", name="Lê Văn Thử")
    Appearance.seal()                       # on the person's signature, one third over it
    Appearance.annex(number="12/QĐ-UBND")   # top right, no picture
    Appearance.copy_note(form="SAO Y", agency="UBND phường Hạc Thành")
    Appearance.number(number=12, symbol="QĐ-UBND", day=date(2026, 11, 23))

A certified copy's statement is no signature template: it belongs to `certify` (DOMAIN.md §3).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from signer.errors import SignerError
from signer.holders import holder_images
from signer.keys import credentials, images
from signer.looks import layouts, placement
from signer.looks.drawing import Colours, Ground, Layout, Placed, Stamp, StampShelf
from signer.pdf import page_images
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.pdf.syntax import number, reference
from signer.routing import number_place
from signer.signature import SignatureRequest

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential
    from signer.keys.images import Picture
    from signer.looks.placement import Place

MILLIMETRE = 72 / 25.4
SEAL_DIAMETER = 36 * MILLIMETRE
PREFIXES = ("TM.", "Q.", "KT.", "TL.", "TUQ.")
COPY_FORMS = ("SAO Y", "SAO LỤC", "TRÍCH SAO")
_PICTURE_WIDTH, _PICTURE_HEIGHT = 130.0, 62.0


class Template(StrEnum):
    """Which case of annex I."""

    PERSON = "person"
    SEAL = "seal"
    ANNEX = "annex"
    COPY_NOTE = "copy-note"
    NUMBER = "number"


_TEMPLATES = frozenset(Template)


@dataclass(frozen=True)
class Appearance:
    """What is shown, and where.

    `page` counts from 1, -1 is the last. `box` is (x1, y1, x2, y2) in points from the lower left
    corner of the page as it is shown; `anchor` is text on the page instead: the full name (the
    picture goes above it) or the title (below it). With neither, each template has its own place.
    `lines` are the words of a note, or the titles above a person's picture; `name` goes below it.
    A seal's anchor is the name of the field that it lies over.
    """

    template: Template | str = Template.PERSON
    page: int = -1
    box: tuple[float, float, float, float] | None = None
    anchor: str | None = None
    lines: tuple[str, ...] = ()
    name: str | None = None
    show_time: bool | None = None

    @classmethod
    def person(
        cls,
        *,
        page: int = -1,
        box: tuple[float, float, float, float] | None = None,
        anchor: str | None = None,
        prefix: str | None = None,
        superior: str | None = None,
        title: str | None = None,
        name: str | None = None,
    ) -> Appearance:
        """The authorised person. Without title and name only the picture: the text has them.

        `prefix` is TM., Q., KT., TL. or TUQ.; `superior` whom it names: `KT.` + `CHỦ TỊCH`.
        """
        if prefix is not None and prefix not in PREFIXES:
            raise SignerError("prefix-unknown", prefix=prefix, known=", ".join(PREFIXES))
        lines = []
        if prefix is not None:
            lines.append(f"{prefix} {superior or title or ''}".strip())
        if title is not None and not (prefix is not None and superior is None):
            lines.append(title)
        return cls(Template.PERSON, page, box, anchor, tuple(one.upper() for one in lines), name)

    @classmethod
    def seal(
        cls,
        *,
        page: int = -1,
        box: tuple[float, float, float, float] | None = None,
        over: str | None = None,
    ) -> Appearance:
        """The agency's seal, at its true size, one third over the person's picture.

        `over` names the person's signature field where another signature is newer.
        """
        return cls(Template.SEAL, page, box, over)

    @classmethod
    def number(cls, *, number: int, symbol: str, day: date) -> Appearance:
        """The clerk's number and date, in the blanks that the first page leaves for them."""
        return cls(Template.NUMBER, page=1, lines=(str(number), symbol, day.isoformat()))

    @classmethod
    def annex(cls, *, number: str) -> Appearance:
        """On an annex in a file of its own: the document's number and symbol, then the time."""
        return cls(Template.ANNEX, page=1, lines=(number,))

    @classmethod
    def copy_note(cls, *, form: str, agency: str) -> Appearance:
        """SAO Y, SAO LỤC, TRÍCH SAO: form of copy, agency, time."""
        if form not in COPY_FORMS:
            raise SignerError("copy-form-unknown", form=form, known=", ".join(COPY_FORMS))
        return cls(Template.COPY_NOTE, page=1, lines=(form, agency))


def prepare(
    desk: Desk, document: Document, request: SignatureRequest, credential: Credential
) -> Placed | None:
    """The stamp of a request, made or taken from the shelf, with its place on the page.

    A box that somebody chose is held against the text here, where a document is inspected: `place`
    alone does not look, for the worker that places the same stamp on the same octets again.
    Raises what `place` raises, and DocumentRefused `appearance-covers-text`.
    """
    asked = request.appearance
    if asked is None:
        return None
    placed = place(
        document,
        asked,
        signer=credential.name,
        picture=picture_for(desk, asked, credential),
        shelf=desk.stamps,
    )
    require_off_text(document, asked, placed)
    return placed


def require_off_text(document: Document, asked: Appearance, placed: Placed) -> None:
    """Where a box was chosen: a seal may touch text, nothing else may."""
    if asked.box is not None and Template(asked.template) is not Template.SEAL:
        placement.require_no_text(document, placed.page, placed.rect)


def require_sound(asked: Appearance) -> None:
    """Before any document: a template there is, with the words that it wants.

    Raises SignerError `template-unknown`, `note-words`, `copy-form-unknown`, `glyph-missing`.
    """
    if asked.template not in _TEMPLATES:
        raise SignerError(
            "template-unknown", template=str(asked.template)[:40], known=", ".join(Template)
        )
    for text in (*asked.lines, asked.name or ""):
        if not text.isprintable():
            strange = next(one for one in text if not one.isprintable())
            raise SignerError("glyph-missing", letter=f"U+{ord(strange):04X}")
    wanted = {Template.ANNEX: 1, Template.COPY_NOTE: 2}.get(Template(asked.template), 0)
    if sum(bool(one.strip()) for one in asked.lines) < wanted:
        raise SignerError("note-words", template=str(asked.template), wanted=wanted)
    if asked.template == Template.COPY_NOTE and asked.lines[0] not in COPY_FORMS:
        raise SignerError("copy-form-unknown", form=asked.lines[0], known=", ".join(COPY_FORMS))


def picture_for(desk: Desk, appearance: Appearance, credential: Credential) -> Picture | None:
    """The holder's own picture, where the template shows one; a batch asks once for many."""
    require_sound(appearance)
    if Template(appearance.template) not in (Template.PERSON, Template.SEAL):
        return None
    digest = holder_images.image_digest(desk, credential.id)
    if digest is None:
        return None
    kind = "seal" if credential.kind == "agency" else "signature"
    return desk.stamps.picture(digest, lambda: images.check(desk.blobs.get(digest), kind))


def place(
    document: Document,
    appearance: Appearance,
    *,
    signer: str,
    picture: Picture | None,
    shelf: StampShelf,
) -> Placed:
    """Find the place, then take the stamp from the shelf or draw it."""
    require_sound(appearance)
    template = Template(appearance.template)
    show_time = appearance.show_time
    if template in (Template.ANNEX, Template.COPY_NOTE):
        layout = layouts.note(appearance.lines, show_time=show_time is not False)
        where = _note_place(document, appearance, layout)
    elif template is Template.NUMBER:
        where, layout = number_place.laid_out(document, appearance.lines)
    elif template is Template.SEAL:
        if picture is None:
            raise SignerError("image-missing", holder=signer)
        where = _seal_place(document, appearance)
        layout = None
    else:
        where = person_place(document, appearance, signer, picture)
        layout = None
    if template is Template.SEAL:
        placement.require_visible(document, where)
    else:
        placement.require_clear(document, where)
    ground = ground_of(document)
    size = (round(where.width, 2), round(where.height, 2))
    key = (
        signer,
        template,
        appearance.lines,
        appearance.name,
        show_time,
        size,
        where.rotation,
        ground,
        picture.name if picture is not None else None,
        layout if template is Template.NUMBER else None,  # the page decides where its words stand
    )

    def draw() -> Stamp:
        made = layout or _drawn(template, appearance, signer, picture, size)
        used = picture if made.picture_box is not None else None
        return Stamp(made, used, ground, rotation=where.rotation)

    return Placed(shelf.get(key, draw), where.page, where.rect)


def preview(
    desk: Desk,
    data: bytes,
    appearance: Appearance,
    *,
    credential_id: str,
    now: datetime,
) -> Preview:
    """The page as it will look, before anybody signs; and whether the stamp lies on text.

    A place that covers text is shown, so that the person sees why signing there is refused.
    """
    credential = credentials.find(desk, credential_id)
    with Document.open(Original.of(data), desk.limits) as document:
        document.require_signable()
        placed = place(
            document,
            appearance,
            signer=credential.name,
            picture=picture_for(desk, appearance, credential),
            shelf=desk.stamps,
        )
        appender = Appender(document)
        drawing = placed.put(appender, now)
        rect = b" ".join(number(one) for one in placed.rect)
        annotation = appender.add(
            b"<</Type/Annot/Subtype/Stamp/F 4/Rect[%s]/AP<</N %s>>>>" % (rect, reference(drawing))
        )
        node = appender.dictionary(document.leaf(placed.page))
        annotations = appender.child_array(node, "/Annots", document.annotations(placed.page))
        appender.append(annotations, reference(annotation))
        appender.commit_plain()
        covers = bool(placement.covered_text(document, placed.page, placed.rect))
        picture = page_images.page_image(appender.whole(), page=placed.page)
        return Preview(picture, placed, covers)


@dataclass(frozen=True)
class Preview:
    """A picture of the page, the stamp's place on it, and whether it would cover text."""

    picture: bytes = field(repr=False)
    placed: Placed
    covers_text: bool


def ground_of(document: Document) -> Ground:
    """Device colours and soft masks, except where the file's claim to PDF/A forbids them.

    ISO 19005-2 §6.2.4.3: DeviceRGB only under an RGB output intent; §6.2.10: transparency without
    an intent wants a page group. ISO 19005-1 §6.4 forbids transparency altogether.
    """
    part = document.pdfa_part
    if part is None:
        return Ground()
    intent = document.output_intent_components
    return Ground(
        Colours.DEVICE if intent == 3 else Colours.PROFILED,
        transparency=part >= 2 and intent is not None,
    )


def _note_place(document: Document, appearance: Appearance, layout: Layout) -> Place:
    if appearance.box is not None:
        x1, _, _, y2 = appearance.box
        box = (x1, y2 - layout.height, x1 + layout.width, y2)
        return placement.at_box(document, appearance.page, box)
    # "góc trên, bên phải, trang đầu" (annex I), whatever page a request fell back on.
    return placement.top_right(document, 1, (layout.width, layout.height))


def _seal_place(document: Document, appearance: Appearance) -> Place:
    """Always at its true size; a box gives the centre."""
    if appearance.box is None:
        return placement.over_person(document, SEAL_DIAMETER, appearance.anchor)
    x1, y1, x2, y2 = appearance.box
    left, bottom = (x1 + x2 - SEAL_DIAMETER) / 2, (y1 + y2 - SEAL_DIAMETER) / 2
    box = (left, bottom, left + SEAL_DIAMETER, bottom + SEAL_DIAMETER)
    return placement.at_box(document, appearance.page, box)


def person_place(
    document: Document,
    appearance: Appearance,
    signer: str,
    picture: Picture | None,
    *,
    earlier: Sequence[Place] = (),
) -> Place:
    """Where a person's signature stands; `earlier` are places of signatures still to be made."""
    if appearance.box is not None:
        return placement.at_box(document, appearance.page, appearance.box)
    anchor = appearance.anchor or signer
    # The name is what the picture stands above; a title it stands below.
    above = (
        unicodedata.normalize("NFC", anchor).casefold()
        == (unicodedata.normalize("NFC", signer).casefold())
        or not anchor.isupper()
    )
    page = appearance.page if appearance.anchor is not None else 0
    room = placement.beside_anchor(
        document, page, anchor, _PICTURE_WIDTH, above=above, earlier=earlier
    )
    height = min(_PICTURE_HEIGHT, room.box[3] - room.box[1])
    width = room.box[2] - room.box[0]
    if picture is not None and not appearance.lines and appearance.name is None:
        width = min(width, height * picture.width / picture.height)
        height = width * picture.height / picture.width
    return placement.within(document, room, (width, height))


def _drawn(
    template: Template,
    appearance: Appearance,
    signer: str,
    picture: Picture | None,
    size: tuple[float, float],
) -> Layout:
    words = bool(appearance.lines or appearance.name or appearance.show_time)
    if picture is not None and (template is Template.SEAL or not words):
        return layouts.picture_only(size, picture)
    details = () if appearance.name else (signer,)
    return layouts.person(
        size,
        titles=appearance.lines,
        name=appearance.name,
        picture=picture,
        details=details,
        show_time=appearance.show_time if appearance.show_time is not None else picture is None,
    )
