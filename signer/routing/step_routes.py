"""Routes: which steps a document goes through, by whom, and within how many working days.

    route = define(desk, unit="14797", name="Quyết định", steps=(
        PlannedStep(StepKind.INITIAL, unit="14797", holder_id="CCCD:…", days=1),
        PlannedStep(StepKind.SIGNATURE, unit="14797", holder_id="CCCD:…", days=2),
        PlannedStep(StepKind.NUMBER, unit="14797", days=1),
        PlannedStep(StepKind.SEAL, unit="14797", days=1)), now=now, by=by)

A route is a template: a document copies its steps when it is submitted, so that changing or
retiring a route never changes what is under way. A step belongs to one person, or to whoever in a
unit has the role for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from records import audit
from records.tags import Tag
from signer.errors import SignerError
from signer.looks.boxes import meet
from signer.routing.steps_models import StepRouteRow

if TYPE_CHECKING:
    from signer.desk import Desk

MOST_STEPS = 20
LONGEST_DAYS = 60
Box = tuple[float, float, float, float]


class StepKind(StrEnum):
    """What is done at a step."""

    INITIAL = "initial"
    SIGNATURE = "signature"
    NUMBER = "number"
    SEAL = "seal"


ORDER = tuple(StepKind)
ROLES = {
    StepKind.INITIAL: "signer",
    StepKind.SIGNATURE: "signer",
    StepKind.NUMBER: "clerk",
    StepKind.SEAL: "clerk",
}
"""Who in a unit does a step that names nobody."""


@dataclass(frozen=True)
class Look:
    """Where a signature stands. Without a box: at the person's name found in the text.

    With a box the authority lines and the name are drawn too; without, the text must have them.
    """

    page: int = -1
    box: Box | None = None
    anchor: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"page": self.page, "box": self.box and list(self.box), "anchor": self.anchor}

    @classmethod
    def from_json(cls, value: Any) -> Look:
        """As it was kept."""
        box = value.get("box")
        return cls(
            page=int(value.get("page", -1)),
            box=tuple(float(one) for one in box) if box else None,  # type: ignore[arg-type]  # four
            anchor=value.get("anchor"),
        )


@dataclass(frozen=True)
class PlannedStep:
    """A step of a route; `holder_id` None leaves it to the unit's signers or clerks."""

    kind: StepKind
    unit: str
    holder_id: str | None = None
    days: int = 1
    look: Look = field(default_factory=Look)

    @property
    def role(self) -> str:
        return ROLES[self.kind]


@dataclass(frozen=True)
class Route:
    """A named template."""

    id: str
    unit: str
    name: str
    steps: tuple[PlannedStep, ...]
    retired: bool


def require_order(steps: Sequence[PlannedStep]) -> None:
    """Decree 30/2020: initials, then who signs, then number and date, then the seal, each in turn.

    Two signatures may not lie on each other. Raises SignerError `route-order`, `route-too-long`,
    `route-days`, `route-signer-missing`, `route-boxes-overlap`.
    """
    if len(steps) > MOST_STEPS:
        raise SignerError("route-too-long", limit=MOST_STEPS)
    kinds = [one.kind for one in steps]
    once = all(kinds.count(one) <= 1 for one in (StepKind.NUMBER, StepKind.SEAL))
    if kinds != sorted(kinds, key=ORDER.index) or StepKind.SIGNATURE not in kinds or not once:
        raise SignerError("route-order")
    if any(not 0 <= one.days <= LONGEST_DAYS for one in steps):
        raise SignerError("route-days", limit=LONGEST_DAYS)
    if any(one.holder_id is None for one in steps if one.kind is StepKind.SIGNATURE):
        raise SignerError("route-signer-missing")
    boxed = [
        (position, one.look.page, one.look.box)
        for position, one in enumerate(steps, start=1)
        if one.kind is StepKind.SIGNATURE and one.look.box is not None
    ]
    for (first, page, box), (second, other_page, other) in combinations(boxed, 2):
        if page == other_page and meet(box, other):
            raise SignerError("route-boxes-overlap", first=first, second=second)


def define(
    desk: Desk,
    *,
    unit: str,
    name: str,
    steps: Sequence[PlannedStep],
    now: datetime,
    by: str,
) -> Route:
    """A new template for a unit's documents."""
    require_order(steps)
    row = StepRouteRow(
        id=secrets.token_hex(16),
        unit=unit,
        name=name,
        steps=[{**asdict(one), "look": one.look.to_json()} for one in steps],
        created_at=now,
        created_by=by,
    )
    with desk.database.transaction() as session:
        session.add(row)
        audit.record(
            session,
            tag=Tag.ROUTE_DEFINED,
            by=by,
            subject=f"route:{row.id}",
            details={"unit": unit, "steps": [one.kind.value for one in steps]},
            now=now,
        )
    return _route(row)


def retire(desk: Desk, route_id: str, *, now: datetime, by: str) -> Route:
    """No new document takes this route; what is under way goes on. Raises `route-not-found`."""
    with desk.database.transaction() as session:
        row = session.get(StepRouteRow, route_id, with_for_update=True)
        if row is None:
            raise SignerError("route-not-found")
        if row.retired_at is None:
            row.retired_at = now
            audit.record(
                session,
                tag=Tag.ROUTE_RETIRED,
                by=by,
                subject=f"route:{row.id}",
                details={"unit": row.unit},
                now=now,
            )
    return _route(row)


def find(desk: Desk, route_id: str) -> Route:
    """Raises SignerError `route-not-found`."""
    with desk.database.reading() as session:
        row = session.get(StepRouteRow, route_id)
    if row is None:
        raise SignerError("route-not-found")
    return _route(row)


def of_unit(desk: Desk, unit: str) -> list[Route]:
    """The routes that a unit's new documents may take, by name."""
    wanted = select(StepRouteRow).where(
        StepRouteRow.unit == unit, StepRouteRow.retired_at.is_(None)
    )
    with desk.database.reading() as session:
        rows = session.scalars(wanted.order_by(StepRouteRow.name, StepRouteRow.id))
        return [_route(row) for row in rows]


def _route(row: StepRouteRow) -> Route:
    steps = tuple(
        PlannedStep(
            kind=StepKind(one["kind"]),
            unit=one["unit"],
            holder_id=one["holder_id"],
            days=one["days"],
            look=Look.from_json(one["look"]),
        )
        for one in row.steps
    )
    return Route(row.id, row.unit, row.name, steps, row.retired_at is not None)
