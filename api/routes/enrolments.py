"""Bulk enrolment over HTTP: send a list, see what would happen, start it, follow it, fetch codes.

A list goes on by the schedule of the service (`api.schedule`); whoever started it asks how far it
is. The hand-out secret is in the answer to the start and nowhere else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, File, Form, Path, Query, Security, UploadFile
from pydantic import BaseModel, Field, SecretStr
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import Shape, problems
from api.services import Services
from certify.units import units
from hsm.mechanisms import KeyAlgorithm
from signer.holders import (
    activation_slips,
    enrolment_intake,
    enrolment_list,
    enrolment_lists,
    enrolment_reading,
    enrolment_results,
)
from signer.holders.enrolment_models import LineState
from signer.holders.enrolment_reading import LineReport, Taken

router = APIRouter(prefix="/api/v1", tags=["enrolment"])
Officer = Annotated[Client, Security(caller, scopes=["enrol"])]
ListId = Annotated[str, Path(max_length=64, examples=["9f2c…"])]


class ListShape(BaseModel):
    """A list and how far it is."""

    id: str
    profile: str = Field(examples=["official"])
    algorithm: str = Field(examples=["p-256"])
    file_name: str
    state: str = Field(description="previewed, approved, running, done or cancelled")
    digest: str = Field(description="What an approval names: profile, algorithm and every line")
    lines: int
    finished: int = Field(description="Lines whose fate is decided")
    counts: dict[str, int] = Field(description="refused, present, waiting, enrolled, failed")
    needs_approval: bool
    handout_open: bool = Field(description="Whether the codes can still be fetched")
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, taken: Taken) -> Self:
        return cls(
            id=taken.id,
            profile=taken.profile,
            algorithm=taken.algorithm,
            file_name=taken.file_name,
            state=taken.state.value,
            digest=taken.digest,
            lines=taken.lines,
            finished=taken.finished,
            counts=taken.counts,
            needs_approval=taken.needs_approval,
            handout_open=taken.handout_open,
            started_at=taken.started_at,
            finished_at=taken.finished_at,
        )


class LineShape(BaseModel):
    """One line; `problems` in words, by language."""

    number: int = Field(description="As the spreadsheet counts")
    name: str
    unit: str
    state: str
    identity: str | None = Field(description="What the population registry said")
    credential_id: str | None
    keeper: str | None = Field(description="Who keeps an agency's seal")
    problems: dict[str, list[str]]

    @classmethod
    def of(cls, line: LineReport) -> Self:
        return cls(
            number=line.number,
            name=line.name,
            unit=line.unit,
            state=line.state.value,
            identity=line.identity,
            credential_id=line.credential_id,
            keeper=line.keeper,
            problems={
                language: [problem.message(language) for problem in line.problems]
                for language in ("vi", "en")
            },
        )


class Lists(BaseModel):
    lists: list[ListShape]


class Lines(BaseModel):
    """`next_after` goes into `after` for the lines that follow; null at the end."""

    lines: list[LineShape]
    next_after: int | None


class Approval(Shape):
    """A second client agrees to exactly this list."""

    digest: str = Field(min_length=64, max_length=64)


class Started(BaseModel):
    """Told once: without it nobody can open the activation codes."""

    list: ListShape
    handout_secret: str


class Handout(Shape):
    handout_secret: SecretStr
    unit: str | None = Field(None, max_length=64, description="Only this unit's lines")


@router.get(
    "/enrolments/template",
    summary="An empty list with the right headings",
    responses={**problems(), 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
def template(
    client: Officer, profile: Annotated[str, Query(pattern="^(official|agency-seal)$")] = "official"
) -> Response:
    """CSV as Excel reads it (UTF-8 with its mark)."""
    del client
    return _csv(enrolment_list.template(profile), f"mau-{profile}.csv")


@router.post(
    "/enrolments",
    status_code=201,
    summary="Send a list (CSV or XLSX); nothing is enrolled yet",
    response_model=ListShape,
    responses=problems(),
)
def take_in(
    wired: Wired,
    now: Now,
    client: Officer,
    file: Annotated[UploadFile, File(description="CSV (UTF-8, UTF-16) or XLSX")],
    profile: Annotated[str, Form(pattern="^(official|agency-seal)$")] = "official",
    algorithm: Annotated[str, Form(pattern="^p-(256|384)$")] = "p-256",
) -> ListShape:
    """The answer is the preview: how many lines would be enrolled, and how many not."""
    taken = enrolment_intake.take_in(
        wired.house.desk,
        file.file.read(),
        profile=profile,
        file_name=file.filename or "",
        algorithm=KeyAlgorithm(algorithm),
        known_unit=lambda code: code in units() and client.may_touch(code),
        now=now,
        by=client.by,
    )
    return ListShape.of(taken)


@router.get(
    "/enrolments",
    summary="The newest lists",
    response_model=Lists,
    responses=problems(),
)
def newest(wired: Wired, client: Officer) -> Lists:
    """A client that works for some units only sees its own lists."""
    found = enrolment_reading.newest(wired.house.desk)
    return Lists(lists=[ListShape.of(one) for one in found if _theirs(one, client)])


@router.get(
    "/enrolments/{list_id}",
    summary="A list and how far it is",
    response_model=ListShape,
    responses=problems(404),
)
def look(list_id: ListId, wired: Wired, client: Officer) -> ListShape:
    return ListShape.of(_found(wired, list_id, client))


@router.get(
    "/enrolments/{list_id}/lines",
    summary="The lines, all of them or those with problems",
    response_model=Lines,
    responses=problems(404),
)
def lines(
    list_id: ListId,
    wired: Wired,
    client: Officer,
    state: Annotated[list[LineState] | None, Query()] = None,
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Lines:
    """In the order of the file, from the line after `after`."""
    _found(wired, list_id, client)
    found = enrolment_reading.lines(
        wired.house.desk, list_id, states=state or (), after=after, limit=limit
    )
    more = found[-1].number if len(found) == limit else None
    return Lines(lines=[LineShape.of(one) for one in found], next_after=more)


@router.post(
    "/enrolments/{list_id}/approval",
    summary="A second client agrees to exactly this list",
    response_model=ListShape,
    responses=problems(404, 409),
)
def approve(
    list_id: ListId, approval: Approval, wired: Wired, now: Now, client: Officer
) -> ListShape:
    """Needed where the profile asks for a second person; not possible for one's own list."""
    desk = wired.house.desk
    if client.units is not None:
        raise ApiError("unit-not-allowed", unit="*")
    enrolment_lists.approve(desk, list_id, digest=approval.digest, now=now, by=client.by)
    return ListShape.of(enrolment_reading.look(desk, list_id))


@router.post(
    "/enrolments/{list_id}/start",
    status_code=202,
    summary="Let the enrolment begin",
    response_model=Started,
    responses=problems(404, 409),
)
def start(list_id: ListId, wired: Wired, now: Now, client: Officer) -> Started:
    """Not repeatable: the answer is a secret, told once."""
    _found(wired, list_id, client)
    secret = enrolment_lists.start(wired.house.desk, list_id, now=now, by=client.by)
    taken = enrolment_reading.look(wired.house.desk, list_id)
    return Started(list=ListShape.of(taken), handout_secret=secret)


@router.post(
    "/enrolments/{list_id}/cancellation",
    summary="Enrol no line more",
    response_model=ListShape,
    responses=problems(404, 409),
)
def cancel(list_id: ListId, wired: Wired, now: Now, client: Officer) -> ListShape:
    """Who is enrolled stays so."""
    _found(wired, list_id, client)
    enrolment_lists.cancel(wired.house.desk, list_id, now=now, by=client.by)
    return ListShape.of(enrolment_reading.look(wired.house.desk, list_id))


@router.post(
    "/enrolments/{list_id}/results",
    summary="The result file with the activation codes",
    responses={
        **problems(404, 410),
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    },
    response_class=Response,
)
def results(list_id: ListId, handout: Handout, wired: Wired, now: Now, client: Officer) -> Response:
    """CSV for Excel; audited each time. Codes that were used are not in it."""
    _found(wired, list_id, client)
    data = enrolment_results.results_csv(
        wired.house.desk,
        list_id,
        secret=handout.handout_secret.get_secret_value(),
        unit=handout.unit,
        now=now,
        by=client.by,
    )
    return _csv(data, f"ket-qua-{list_id[:8]}.csv")


@router.post(
    "/enrolments/{list_id}/results/slips",
    summary="The activation codes as slips of paper, unit by unit",
    responses={
        **problems(404, 410),
        200: {
            "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
            "description": "PDF/A-2b: a page to sign for receipt, then sheets to cut apart",
        },
    },
    response_class=Response,
)
def slips(list_id: ListId, handout: Handout, wired: Wired, now: Now, client: Officer) -> Response:
    """Audited each time, and kept nowhere. At most 2,000 in one file: ask unit by unit."""
    _found(wired, list_id, client)
    data = activation_slips.slips_pdf(
        wired.house.desk,
        list_id,
        secret=handout.handout_secret.get_secret_value(),
        address=wired.house.settings.base_url,
        unit=handout.unit,
        now=now,
        by=client.by,
    )
    headers = {
        "Content-Disposition": f'attachment; filename="phieu-{list_id[:8]}.pdf"',
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/pdf", headers=headers)


@router.post(
    "/enrolments/{list_id}/results/closing",
    summary="The codes are handed out: nobody can open them again",
    response_model=ListShape,
    responses=problems(404, 409, 410),
)
def close(list_id: ListId, wired: Wired, now: Now, client: Officer) -> ListShape:
    """Done by the service itself 60 days after the end."""
    _found(wired, list_id, client)
    enrolment_results.close(wired.house.desk, list_id, now=now, by=client.by)
    return ListShape.of(enrolment_reading.look(wired.house.desk, list_id))


def _found(wired: Services, list_id: str, client: Client) -> Taken:
    taken = enrolment_reading.look(wired.house.desk, list_id)
    if not _theirs(taken, client):
        raise ApiError("unit-not-allowed", unit="*")
    return taken


def _theirs(taken: Taken, client: Client) -> bool:
    return client.units is None or taken.created_by == client.by


def _csv(data: bytes, name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)
