"""Where the signatures of a document's steps will stand: decided before anybody signs.

A second signature never hides the first (decree 30/2020, annex I), and whoever signs second should
not be the one to find out: two boxes that meet are refused with the route, everything that depends
on the file (the last page, a name in the text, the blanks for number and date) with the draft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from signer.errors import StepRefused
from signer.looks import appearance, layouts, placement
from signer.looks.appearance import Appearance, Template
from signer.routing import number_place
from signer.routing.step_routes import PlannedStep, StepKind

if TYPE_CHECKING:
    from signer.looks.placement import Place
    from signer.pdf.document import Document


def require_places(
    document: Document, steps: Sequence[PlannedStep], names: Mapping[str, str]
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
        if one.page == other.page and placement.meet(one.box, other.box):
            raise StepRefused("route-boxes-overlap", first=first + 1, second=second + 1)


def _place(document: Document, step: PlannedStep, name: str, earlier: Sequence[Place]) -> Place:
    look = step.look
    asked = Appearance(Template.PERSON, look.page, look.box, look.anchor)
    place = appearance.person_place(document, asked, name, None, earlier=earlier)
    if look.box is not None:
        placement.require_no_text(document, place.page, place.rect)
        layouts.require_name_fits((place.width, place.height), name)
    return place
