"""Pictures of signatures and seals: their holders send them in, an administrator approves them.

Whoever approves compares with the specimen the office keeps; nobody approves what they sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.keys import require_own
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.pages import render
from api.screens.own_certificates import CredentialId, acted
from api.services import Services
from records.errors import DomainError
from signer.errors import SignerError
from signer.holders import holder_images
from signer.holders.holder_images import HolderImage
from signer.keys import credentials

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
_HEAD = ["GET", "HEAD"]
_PATH = "/desk/images"
ImageId = Annotated[str, Path(max_length=64, pattern="^[0-9a-f]+$")]


@router.post("/desk/certificates/{credential_id}/image")
def send(
    credential_id: CredentialId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    file: Annotated[UploadFile, File()],
) -> Response:
    """The holder's picture, checked at once; it waits for somebody else."""

    def act() -> None:
        data = file.file.read()
        holder_images.submit(wired.house.desk, credential_id, data, now=now, by=person.by)

    return acted(request, wired, person, credential_id, act, "image", now=now)


@router.api_route("/desk/certificates/{credential_id}/image/{which}.png", methods=_HEAD)
def own(
    credential_id: CredentialId,
    which: Annotated[str, Path(pattern="^(drawn|waiting)$")],
    wired: Wired,
    person: SignedIn,
) -> Response:
    """The one that is drawn, or the one that waits."""
    desk = wired.house.desk
    require_own(desk, person, credential_id)
    drawn, waits = holder_images.of_credential(desk, credential_id)
    found = drawn if which == "drawn" else waits
    if found is None:
        raise SignerError("image-unknown")
    return _picture(wired, found)


@router.api_route(_PATH, methods=_HEAD)
def waiting(
    request: Request,
    wired: Wired,
    person: SignedIn,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """What waits for approval, of this administrator's unit."""
    needs(person, Role.ADMIN)
    return _page(request, wired, person, done=done)


@router.api_route(f"{_PATH}/{{image_id}}.png", methods=_HEAD)
def picture(image_id: ImageId, wired: Wired, person: SignedIn) -> Response:
    """One of them."""
    return _picture(wired, _of_unit(wired, person, image_id))


@router.post(f"{_PATH}/{{image_id}}/approval")
def approve(
    image_id: ImageId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """It agrees with the specimen."""
    try:
        _of_unit(wired, person, image_id)
        holder_images.approve(wired.house.desk, image_id, now=now, by=person.by)
    except DomainError as error:
        return _refused(request, wired, person, error, now=now)
    return RedirectResponse(f"{_PATH}?done=approved", status_code=303)


@router.post(f"{_PATH}/{{image_id}}/rejection")
def reject(
    image_id: ImageId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """It does not, and why."""
    try:
        _of_unit(wired, person, image_id)
        holder_images.reject(wired.house.desk, image_id, reason=reason, now=now, by=person.by)
    except DomainError as error:
        return _refused(request, wired, person, error, now=now)
    return RedirectResponse(f"{_PATH}?done=rejected", status_code=303)


def units_of(person: Person) -> list[str] | None:
    """An administrator of a unit sees that unit's; one without a unit, everybody's."""
    return None if person.unit is None else [person.unit]


def _of_unit(wired: Services, person: Person, image_id: str) -> HolderImage:
    needs(person, Role.ADMIN)
    found = holder_images.find(wired.house.desk, image_id)
    unit = credentials.find(wired.house.desk, found.credential_id).unit
    if person.unit is not None and unit != person.unit:
        raise SignerError("image-unknown")
    return found


def _picture(wired: Services, image: HolderImage) -> Response:
    return Response(
        holder_images.content(wired.house.desk, image),
        media_type="image/png",
        headers={"Cache-Control": "private, no-store"},
    )


def _refused(
    request: Request, wired: Services, person: Person, error: DomainError, *, now: datetime
) -> Response:
    status = record_refusal(request, wired, person, error, now=now)
    return _page(request, wired, person, problem=error, status=status)


def _page(
    request: Request,
    wired: Services,
    person: Person,
    *,
    done: str = "",
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    desk = wired.house.desk
    found = [
        (one, credentials.find(desk, one.credential_id))
        for one in holder_images.waiting(desk, units=units_of(person))
    ]
    return render(
        request,
        "images.html",
        status=status,
        images=found,
        own=person.by,
        done=done if done in ("approved", "rejected") else "",
        problem=problem,
    )
