"""Where the signatures of a document's steps will stand: decided before anybody signs.

A second signature never hides the first (decree 30/2020, annex I), and whoever signs second should
not be the one to find out: two boxes that meet are refused with the route, everything that depends
on the file (the last page, a name in the text, the blanks for number and date, where the seal will
come to lie) with the draft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from signer.errors import StepRefused
from signer.keys import credentials
from signer.looks import appearance, layouts, placement
from signer.looks.appearance import SEAL_DIAMETER, Appearance, Template
from signer.looks.boxes import meet, to_shown
from signer.routing import delegations, number_place
from signer.routing.step_routes import PlannedStep, StepKind

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.looks.boxes import Box
    from signer.looks.placement import Place
    from signer.pdf.document import Document


@dataclass(frozen=True)
class _Stamp:
    """What a step will draw: its page, all of it as shown, and the person's picture in it."""

    step: int
    page: int
    whole: Box
    picture: Box


def require_places(
    desk: Desk, document: Document, steps: Sequence[PlannedStep], names: Mapping[str, str]
) -> None:
    """Every signature has its place, on no text, and none lies on another's or on the number's.

    Raises StepRefused `route-boxes-overlap`, DocumentRefused `appearance-covers-text`,
    `box-outside-page`, SignerError `box-too-small`, `anchor-not-found`, `no-room-at-anchor`,
    `number-place-missing` and the like.
    """
    taken: list[tuple[int, Place]] = []
    for position, step in enumerate(steps):
        if step.kind is StepKind.NUMBER:
            taken.append((position, number_place.row(document)))
        elif step.kind is StepKind.SIGNATURE:
            name = names[step.holder_id or ""]
            earlier = [one for _, one in taken]
            taken.append((position, _place(document, step, name, earlier)))
    for (first, one), (second, other) in combinations(taken, 2):
        if one.page == other.page and meet(one.box, other.box):
            raise StepRefused("route-boxes-overlap", first=first + 1, second=second + 1)
    sealed = [position for position, step in enumerate(steps) if step.kind is StepKind.SEAL]
    if sealed:
        numbers = [
            _Stamp(position, place.page, place.box, place.box)
            for position, place in taken
            if steps[position].kind is StepKind.NUMBER
        ]
        _require_room_for_seal(desk, document, steps, names, numbers, sealed[0])


def _place(document: Document, step: PlannedStep, name: str, earlier: Sequence[Place]) -> Place:
    look = step.look
    asked = Appearance(Template.PERSON, look.page, look.box, look.anchor)
    place = appearance.person_place(document, asked, name, None, earlier=earlier)
    if look.box is not None:
        placement.require_no_text(document, place.page, place.rect)
        layouts.require_name_fits((place.width, place.height), name)
    return place


def _require_room_for_seal(
    desk: Desk,
    document: Document,
    steps: Sequence[PlannedStep],
    names: Mapping[str, str],
    numbers: Sequence[_Stamp],
    seal: int,
) -> None:
    """It lies over the last signer's picture, one third from the left, and over nobody else's."""
    people = [
        _stamp(desk, document, position, step, names[step.holder_id or ""])
        for position, step in enumerate(steps)
        if step.kind is StepKind.SIGNATURE
    ]
    last = people[-1]
    where = placement.over_picture(document, last.page, last.picture, SEAL_DIAMETER)
    for one in (*people[:-1], *numbers):
        if one.page == where.page and meet(one.whole, where.box):
            raise StepRefused("route-boxes-overlap", first=one.step + 1, second=seal + 1)


def _stamp(desk: Desk, document: Document, position: int, step: PlannedStep, name: str) -> _Stamp:
    """As it would be drawn today: with the picture and the authority lines there are now."""
    look, holder = step.look, step.holder_id or ""
    asked = Appearance(Template.PERSON, look.page, look.box, look.anchor)
    if look.box is not None:
        asked = replace(asked, lines=_lines(desk, step), name=name)
    own = [one for one in credentials.by_holder(desk, holder) if one.kind == "official"]
    picture = appearance.picture_for(desk, asked, own[0]) if own else None
    placed = appearance.place(document, asked, signer=name, picture=picture, shelf=desk.stamps)
    crop, rotation = document.geometry(placed.page)
    whole = to_shown(placed.rect, crop, rotation)
    inner = placed.stamp.layout.picture_box
    if inner is None:
        return _Stamp(position, placed.page, whole, whole)
    drawn = (whole[0] + inner[0], whole[1] + inner[1], whole[0] + inner[2], whole[1] + inner[3])
    return _Stamp(position, placed.page, whole, drawn)


def _lines(desk: Desk, step: PlannedStep) -> tuple[str, ...]:
    for one in delegations.of_unit(desk, step.unit):
        if one.holder_id == step.holder_id and one.ended_at is None:
            return one.authority_lines
    return ()
