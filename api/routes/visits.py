"""Visits over HTTP: hours, requests of the procedure system, appointments, the counter, slips.

A client sees and touches what its units do; the rule is asked in the domain
(`certify.counter.viewers`). docs/flows/visit.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Security
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.idempotency import Answer
from api.routes.shapes import IdempotencyKey, problems
from api.routes.visit_shapes import (
    AppointmentShape,
    CounterOrder,
    Hour,
    ReasonOrder,
    SlotList,
    SlotShape,
    VisitList,
    VisitOrder,
    VisitShape,
)
from api.services import Services
from certify.counter import appointments, visit_lookup, visits
from certify.counter.slip import slip
from certify.counter.viewers import Viewer

router = APIRouter(prefix="/api/v1/certified-copies", tags=["visits"])
Certifier = Annotated[Client, Security(caller, scopes=["certify"])]
VisitId = Annotated[str, Path(max_length=32, examples=["5f0c0e2d9b8f4f0e8a4a9d3f4b6c7d8e"])]


def viewer_of(client: Client) -> Viewer:
    """What a client may see: its units, or the whole province."""
    return Viewer.system(by=client.by, units=client.units)


@router.get(
    "/units/{unit}/slots",
    summary="Free hours of a unit's counter",
    response_model=SlotList,
    responses=problems(404),
)
def slots(
    unit: Annotated[str, Path(max_length=16, examples=["14797"])],
    wired: Wired,
    now: Now,
    _client: Certifier,
) -> SlotList:
    """Working days only; each hour says when the result would be due (15:00 rule)."""
    found = appointments.free_slots(wired.house.office, unit, now=now)
    return SlotList(slots=[SlotShape.of(one) for one in found])


@router.post(
    "/visits",
    status_code=201,
    summary="Open a visit for a dossier",
    response_model=VisitShape,
    responses=problems(404, 409),
)
def open_visit(
    order: VisitOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Several originals and copies in one coming, with an appointment where one is asked for."""

    def act() -> Answer:
        made = visits.open_visit(
            wired.house.office,
            unit=order.unit,
            requester=order.person(),
            documents=[one.wanted() for one in order.documents],
            slot=order.appointment.starts_at if order.appointment else None,
            dossier_code=order.dossier_code,
            channel="procedure-system",
            viewer=viewer_of(client),
            now=now,
            by=client.by,
        )
        return Answer(
            201,
            headers={"Location": f"/api/v1/certified-copies/visits/{made.id}"},
            text=_shape(wired, made).model_dump_json(),
        )

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("visit", order.model_dump_json()),
        act=act,
        now=now,
    )


@router.get("/visits", summary="A unit's visits", response_model=VisitList, responses=problems(404))
def listed(
    wired: Wired,
    client: Certifier,
    unit: Annotated[str, Query(max_length=16, examples=["14797"])],
) -> VisitList:
    """At most a hundred, newest first."""
    found = visit_lookup.list_visits(wired.house.office, viewer=viewer_of(client), unit=unit)
    return VisitList(visits=[_shape(wired, one) for one in found])


@router.get(
    "/visits/{visit_id}", summary="One visit", response_model=VisitShape, responses=problems(404)
)
def look(visit_id: VisitId, wired: Wired, client: Certifier) -> VisitShape:
    """Its cases, where they stand, and its appointment."""
    office = wired.house.office
    return _shape(wired, visit_lookup.find_visit(office, visit_id, viewer=viewer_of(client)))


@router.post(
    "/visits/{visit_id}/appointment",
    status_code=201,
    summary="Book an hour",
    response_model=AppointmentShape,
    responses=problems(404, 409),
)
def book(
    visit_id: VisitId, order: Hour, wired: Wired, now: Now, client: Certifier
) -> AppointmentShape:
    """A seat at the counter, held by nobody else."""
    made = appointments.book(
        wired.house.office,
        visit_id,
        order.starts_at,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return AppointmentShape.of(made)


@router.put(
    "/visits/{visit_id}/appointment",
    summary="Change the hour",
    response_model=AppointmentShape,
    responses=problems(404, 409),
)
def rebook(
    visit_id: VisitId, order: Hour, wired: Wired, now: Now, client: Certifier
) -> AppointmentShape:
    """The new seat and the end of the old one, or neither."""
    made = appointments.rebook(
        wired.house.office,
        visit_id,
        order.starts_at,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return AppointmentShape.of(made)


@router.post(
    "/visits/{visit_id}/appointment/cancellation",
    summary="Give the hour back",
    response_model=VisitShape,
    responses=problems(404, 409),
)
def cancel(
    visit_id: VisitId, order: ReasonOrder, wired: Wired, now: Now, client: Certifier
) -> VisitShape:
    """The request itself stays open."""
    return _acted(
        wired,
        client,
        visit_id,
        lambda viewer: appointments.cancel(
            wired.house.office,
            visit_id,
            reason=order.reason,
            viewer=viewer,
            now=now,
            by=client.by,
        ),
    )


@router.post(
    "/visits/{visit_id}/appointment/no-show",
    summary="Nobody came",
    response_model=VisitShape,
    responses=problems(404, 409),
)
def missed(visit_id: VisitId, wired: Wired, now: Now, client: Certifier) -> VisitShape:
    """After the hour and its grace; hours nobody kept are also recorded by themselves."""
    return _acted(
        wired,
        client,
        visit_id,
        lambda viewer: appointments.record_missed(
            wired.house.office, visit_id, viewer=viewer, now=now, by=client.by
        ),
    )


@router.post(
    "/visits/{visit_id}/presentation",
    summary="The originals have been presented in person",
    response_model=VisitShape,
    responses=problems(404, 409),
)
def present(
    visit_id: VisitId, order: CounterOrder, wired: Wired, now: Now, client: Certifier
) -> VisitShape:
    """The term of every case begins; the appointment is kept."""
    made = visits.present_visit(
        wired.house.office,
        visit_id,
        place=order.place,
        to=order.official,
        viewer=viewer_of(client),
        now=now,
        by=f"{client.by}/{order.official}",
    )
    return _shape(wired, made)


@router.post(
    "/visits/{visit_id}/withdrawal",
    summary="The requester no longer wants it",
    response_model=VisitShape,
    responses=problems(404, 409),
)
def withdraw(
    visit_id: VisitId, order: ReasonOrder, wired: Wired, now: Now, client: Certifier
) -> VisitShape:
    """Cases without a number end; the hour is free again."""
    made = visits.withdraw_visit(
        wired.house.office,
        visit_id,
        reason=order.reason,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return _shape(wired, made)


@router.get(
    "/visits/{visit_id}/slip",
    summary="The slip as a PDF",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "PDF/A with a QR code"},
        **problems(404, 409),
    },
)
def slip_of(visit_id: VisitId, wired: Wired, now: Now, client: Certifier) -> Response:
    """The appointment; once the originals were presented, hour and date of the result."""
    visit = visit_lookup.find_visit(wired.house.office, visit_id, viewer=viewer_of(client))
    return pdf_answer(slip(wired.house.office, visit, now=now), f"phieu-hen-{visit.code}.pdf")


def pdf_answer(data: bytes, name: str) -> Response:
    """A personal document: shown or saved, kept by nobody between."""
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}",
    }
    return Response(data, media_type="application/pdf", headers=headers)


def _acted(
    wired: Services, client: Client, visit_id: str, act: Callable[[Viewer], object]
) -> VisitShape:
    viewer = viewer_of(client)
    act(viewer)
    return _shape(wired, visit_lookup.find_visit(wired.house.office, visit_id, viewer=viewer))


def _shape(wired: Services, visit: visit_lookup.Visit) -> VisitShape:
    return VisitShape.of(visit, wired.house.settings.base_url)
