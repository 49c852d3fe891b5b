"""What the demonstration leaves to be done at the screens: something for each of its people.

A notice waits for the deputy chairman's signature, after it for the clerk's number and seal; a
citizen has booked an hour at the counter. Her certified copies are in her store already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.demonstration.cast import AUTHORITY, CITIZEN, OFFICIAL_ID
from certify.counter import appointments, visits
from certify.counter.intake import Wanted
from certify.counter.viewers import Viewer
from signer.routing import delegations, step_routes, steps
from signer.routing.routed_documents import Actor
from signer.routing.step_routes import PlannedStep, StepKind
from signer.routing.steps import Submission

if TYPE_CHECKING:
    from datetime import datetime

    from api.demonstration.cast import Cast
    from api.house import House

ADMINISTRATOR = "official:038800000105"
DRAFTER = "CCCD:038800000104"
_TITLE = "Thông báo về việc tiếp nhận yêu cầu chứng thực bản sao điện tử"


def leave_work(house: House, cast: Cast, *, now: datetime) -> None:
    """A document on its route, and a visit with an hour of its own."""
    _document(house, cast, now=now)
    _visit(house, cast, now=now)


def _document(house: House, cast: Cast, *, now: datetime) -> None:
    unit = cast.unit.code
    delegations.give(
        house.desk,
        unit=unit,
        holder_id=OFFICIAL_ID,
        name=cast.official.common_name,
        authority_lines=AUTHORITY,
        basis="Quyết định phân công số 01/QĐ-UBND (TEST)",
        now=now,
        by=ADMINISTRATOR,
    )
    route = step_routes.define(
        house.desk,
        unit=unit,
        name="Thông báo",
        steps=(
            PlannedStep(StepKind.SIGNATURE, unit, OFFICIAL_ID, days=2),
            PlannedStep(StepKind.NUMBER, unit),
            PlannedStep(StepKind.SEAL, unit),
        ),
        now=now,
        by=ADMINISTRATOR,
    )
    steps.submit(
        house.desk,
        cast.draft,
        Submission(
            unit=unit,
            title=_TITLE,
            kind="TB",
            symbol="TB-UBND",
            name="thong-bao.pdf",
            drafter=DRAFTER,
            steps=route.steps,
        ),
        actor=Actor(
            by=f"official:{DRAFTER.removeprefix('CCCD:')}",
            holder_id=DRAFTER,
            name="Hoàng Văn Mẫu",
            unit=unit,
        ),
        now=now,
    )


def _visit(house: House, cast: Cast, *, now: datetime) -> None:
    """The next free hour: at night or on a day off it is not today's."""
    unit = cast.unit.code
    visits.open_visit(
        house.office,
        unit=unit,
        requester=CITIZEN,
        documents=[Wanted("diploma", cast.diploma)],
        slot=appointments.free_slots(house.office, unit, now=now)[0].starts_at,
        channel="citizen",
        viewer=Viewer.citizen(CITIZEN.owner_id),
        now=now,
        by=CITIZEN.owner_id,
    )
