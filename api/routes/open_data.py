"""Numbers for everybody: the province's dashboard, its data, and their description."""

from __future__ import annotations

import calendar
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from api import open_data
from api.auth.guard import Now, Wired
from api.auth.people import Role, SignedIn, needs
from api.errors import ApiError
from api.pages import render
from api.services import Services
from certify.indicators import CODES, OWN, Row, indicators, totals
from signer.routing.working_days import local

router = APIRouter(include_in_schema=False)
_HEAD = ["GET", "HEAD"]
Year = Annotated[int | None, Query(ge=2025, le=2200)]
Month = Annotated[str, Query(pattern=r"^(0?[1-9]|1[0-2])?$")]
"""As the form sends it: nothing chosen is the whole year."""
_OPEN = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=300"}


def period(now: Now, year: Year = None, month: Month = "") -> tuple[date, date]:
    """A month, a year, or this year until today."""
    today = local(now).date()
    chosen = year or today.year
    if month:
        last = calendar.monthrange(chosen, int(month))[1]
        return date(chosen, int(month), 1), date(chosen, int(month), last)
    return date(chosen, 1, 1), min(date(chosen, 12, 31), max(today, date(chosen, 1, 1)))


@router.api_route("/open-data", methods=_HEAD)
def page(
    request: Request, wired: Wired, now: Now, year: Year = None, month: Month = ""
) -> Response:
    """The province's dashboard."""
    first, last = period(now, year, month)
    rows = indicators(wired.house.office, first=first, last=last)
    return _shown(request, rows, first, last, now=now, unit=None)


@router.get("/desk/figures")
def unit_page(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    year: Year = None,
    month: Month = "",
) -> Response:
    """The same for one's own unit."""
    needs(person, *Role)
    if person.unit is None:
        raise ApiError("role-missing", roles="unit")
    first, last = period(now, year, month)
    rows = indicators(wired.house.office, first=first, last=last, unit=person.unit)
    return _shown(request, rows, first, last, now=now, unit=person.unit)


@router.api_route("/open-data/indicators.{form}", methods=_HEAD)
def data(
    form: str, request: Request, wired: Wired, now: Now, year: Year = None, month: Month = ""
) -> Response:
    """CSV or JSON, for a month or a year."""
    if form not in open_data.FILE_TYPES:
        raise ApiError("page-not-found")
    _limited(request, wired)
    first, last = period(now, year, month)
    rows = indicators(wired.house.office, first=first, last=last)
    if form == "json":
        return JSONResponse(open_data.as_json(rows, first=first, last=last), headers=_OPEN)
    name = f'attachment; filename="indicators-{first}-{last}.csv"'
    return Response(
        open_data.as_csv(rows, first=first, last=last),
        media_type="text/csv; charset=utf-8",
        headers=_OPEN | {"Content-Disposition": name},
    )


@router.api_route("/open-data/catalog.{form}", methods=_HEAD)
def catalogue(form: str, wired: Wired, now: Now) -> Response:
    """DCAT-AP, for data portals that harvest it."""
    described = open_data.catalogue(wired.house.settings.base_url, now=now)
    if form == "jsonld":
        return JSONResponse(described, media_type="application/ld+json", headers=_OPEN)
    if form == "ttl":
        text = open_data.as_turtle(described)
        return Response(text, media_type="text/turtle; charset=utf-8", headers=_OPEN)
    raise ApiError("page-not-found")


def _shown(
    request: Request, rows: list[Row], first: date, last: date, *, now: Now, unit: str | None
) -> Response:
    most = max((row.values["ELECTRONIC_CERTIFIED_COPY"] for row in rows), default=0)
    return render(
        request,
        "figures-desk.html" if unit is not None else "figures.html",
        rows=sorted(rows, key=lambda row: -row.values["ELECTRONIC_CERTIFIED_COPY"]),
        totals=totals(rows),
        codes=CODES,
        own=OWN,
        first=first,
        last=last,
        most=max(most, 1),
        years=range(local(now).year, 2024, -1),
        period=f"year={first.year}"
        + (f"&month={first.month}" if first.month == last.month else ""),
        unit=unit,
    )


def _limited(request: Request, wired: Services) -> None:
    wired.rates.take("code", request.client.host if request.client else "unknown")
