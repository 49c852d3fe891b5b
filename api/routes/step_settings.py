"""What the steps go by: routes, delegations to sign, and the register of outgoing numbers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Security

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.documents import Signer
from api.routes.shapes import problems
from api.routes.step_orders import DelegationOrder, RouteOrder, UnitCode
from api.routes.step_shapes import DelegationShape, NumberShape, RouteShape
from signer.routing import delegations, outgoing_numbers, step_routes

router = APIRouter(prefix="/api/v1", tags=["steps"])
Officer = Annotated[Client, Security(caller, scopes=["enrol"])]
HexId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f]+$", examples=["0d3cb1a2…"])]
UnitQuery = Annotated[UnitCode, Query(examples=["14797"])]


@router.post(
    "/signing-routes",
    status_code=201,
    summary="Define a route",
    response_model=RouteShape,
    responses=problems(),
)
def define(order: RouteOrder, wired: Wired, now: Now, client: Signer) -> RouteShape:
    """A template; documents copy its steps when they are submitted."""
    for unit in {order.unit, *(one.unit for one in order.steps)}:
        _require_unit(client, unit)
    made = step_routes.define(
        wired.house.desk,
        unit=order.unit,
        name=order.name,
        steps=[one.planned() for one in order.steps],
        now=now,
        by=client.by,
    )
    return RouteShape.of(made)


@router.get(
    "/signing-routes",
    summary="The routes of a unit",
    response_model=list[RouteShape],
    responses=problems(),
)
def routes(unit: UnitQuery, wired: Wired, client: Signer) -> list[RouteShape]:
    """Those that new documents may take."""
    _require_unit(client, unit)
    return [RouteShape.of(one) for one in step_routes.of_unit(wired.house.desk, unit)]


@router.post(
    "/signing-routes/{route_id}/retirement",
    summary="Retire a route",
    response_model=RouteShape,
    responses=problems(404),
)
def retire(route_id: HexId, wired: Wired, now: Now, client: Signer) -> RouteShape:
    """What is under way goes on as it was planned."""
    _require_unit(client, step_routes.find(wired.house.desk, route_id).unit)
    return RouteShape.of(step_routes.retire(wired.house.desk, route_id, now=now, by=client.by))


@router.post(
    "/signing-delegations",
    status_code=201,
    summary="Let an official sign for a unit",
    response_model=DelegationShape,
    responses=problems(),
)
def delegate(order: DelegationOrder, wired: Wired, now: Now, client: Officer) -> DelegationShape:
    """Under these authority lines, for these kinds of documents, from when to when."""
    _require_unit(client, order.unit)
    made = delegations.give(
        wired.house.desk,
        unit=order.unit,
        holder_id=order.official,
        name=order.name,
        authority_lines=order.authority_lines,
        kinds=order.kinds,
        basis=order.basis,
        valid_from=order.valid_from,
        valid_to=order.valid_to,
        now=now,
        by=client.by,
    )
    return DelegationShape.of(made)


@router.get(
    "/signing-delegations",
    summary="Who may sign for a unit",
    response_model=list[DelegationShape],
    responses=problems(),
)
def delegated(unit: UnitQuery, wired: Wired, client: Officer) -> list[DelegationShape]:
    """Ended ones too, newest first."""
    _require_unit(client, unit)
    return [DelegationShape.of(one) for one in delegations.of_unit(wired.house.desk, unit)]


@router.post(
    "/signing-delegations/{delegation_id}/end",
    summary="End a delegation",
    response_model=DelegationShape,
    responses=problems(404, 409),
)
def end(delegation_id: HexId, wired: Wired, now: Now, client: Officer) -> DelegationShape:
    """From this moment nothing is signed under it."""
    desk = wired.house.desk
    _require_unit(client, delegations.find(desk, delegation_id).unit)
    return DelegationShape.of(delegations.end(desk, delegation_id, now=now, by=client.by))


@router.get(
    "/outgoing-numbers",
    summary="The register of outgoing documents",
    response_model=list[NumberShape],
    responses=problems(),
)
def numbers(
    unit: UnitQuery,
    year: Annotated[int, Query(ge=2025, le=2200, examples=[2026])],
    wired: Wired,
    client: Signer,
) -> list[NumberShape]:
    """By series and number; void numbers stay in it."""
    _require_unit(client, unit)
    found = outgoing_numbers.lines(wired.house.desk, unit=unit, year=year)
    return [NumberShape.of(one) for one in found]


def _require_unit(client: Client, unit: str) -> None:
    if not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)
