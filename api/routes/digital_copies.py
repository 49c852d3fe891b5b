"""SAO Y, SAO LỤC, TRÍCH SAO over HTTP: an agency's copy of a signed digital document.

docs/flows/sao-y.md. It is no certified copy: another record, another look, no register number.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Path, Security, UploadFile
from pydantic import SecretStr
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.idempotency import Answer
from api.routes.shapes import IdempotencyKey, problems
from api.routes.visit_shapes import DigitalCopyShape
from api.routes.visits import pdf_answer, viewer_of
from api.services import Services
from api.verdicts import judge
from certify import digital_copies
from certify.errors import CertifyError
from signer.verdicts.report import Report

router = APIRouter(prefix="/api/v1/digital-copies", tags=["copies of digital documents"])
Certifier = Annotated[Client, Security(caller, scopes=["certify"])]


@router.post(
    "",
    status_code=201,
    summary="Copy a signed digital document",
    response_model=DigitalCopyShape,
    responses=problems(404, 409, 507),
)
def make(
    wired: Wired,
    now: Now,
    client: Certifier,
    file: Annotated[UploadFile, File(description="The signed PDF")],
    unit: Annotated[str, Form(max_length=16)],
    form: Annotated[Literal["SAO Y", "SAO LỤC", "TRÍCH SAO"], Form()],
    title: Annotated[str, Form(min_length=1, max_length=400)],
    seal: Annotated[str, Form(max_length=64, description="The seal's credential")],
    pin: Annotated[SecretStr, Form(max_length=64)],
    pages: Annotated[
        str, Form(max_length=400, description="Pages of an extract: 1,3,4", pattern="^[0-9, ]*$")
    ] = "",
    owner_id: Annotated[
        str | None,
        Form(max_length=64, pattern="^(citizen|organisation):[0-9-]+$", description="Whose store"),
    ] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """All its signatures must be valid; the validation report is archived with it."""
    source = file.file.read()
    wanted = wanted_pages(pages)

    def act() -> Answer:
        made = digital_copies.make_digital_copy(
            wired.house.office,
            unit=unit,
            form=form,
            source=source,
            title=title,
            seal=(seal, pin.get_secret_value()),
            pages=wanted,
            owner_id=owner_id,
            judge=judge_of(wired, client.by),
            viewer=viewer_of(client),
            now=now,
            by=client.by,
        )
        return Answer(201, text=DigitalCopyShape.of(made).model_dump_json())

    said = (unit, form, title, seal, pages, owner_id or "", hashlib.sha256(source).hexdigest())
    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("digital-copy", *said),
        act=act,
        now=now,
    )


@router.get(
    "/{copy_id}/content",
    summary="Fetch a copy of a digital document",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "The sealed PDF"},
        **problems(404),
    },
)
def fetch(
    copy_id: Annotated[str, Path(max_length=32)], wired: Wired, client: Certifier
) -> Response:
    """For the unit's systems; its owner, where there is one, has it in the store."""
    made = digital_copies.find_digital_copy(wired.house.office, copy_id, viewer=viewer_of(client))
    return pdf_answer(made.data, f"sao-y-{made.id[:8]}.pdf")


def judge_of(wired: Services, by: str) -> digital_copies.Judge:
    """The validator in its confined children: the source is a stranger's file."""

    def judged(data: bytes, now: datetime) -> Report:
        return judge(wired.house, data, name="source.pdf", now=now, by=by).report

    return judged


def wanted_pages(text: str) -> list[int] | None:
    """`1, 3,4` → pages; nothing → the whole document."""
    parts = [part for part in text.replace(",", " ").split() if part]
    if any(len(part) > 5 for part in parts):
        raise CertifyError("extract-pages-invalid", pages="…")
    return [int(part) for part in parts] or None
