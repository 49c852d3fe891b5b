"""Signature and seal images over HTTP: a holder's client sends one, an officer's approves it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, File, Path, Security, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.routes.life_cycle_shapes import CredentialId, WithReason, allowed_credential
from api.routes.shapes import problems
from api.services import Services
from signer.holders import holder_images
from signer.holders.holder_images import HolderImage

router = APIRouter(prefix="/api/v1", tags=["life cycle"])
Holder = Annotated[Client, Security(caller, scopes=["sign"])]
Officer = Annotated[Client, Security(caller, scopes=["enrol"])]
ImageId = Annotated[str, Path(max_length=64, pattern="^[0-9a-f]+$")]


class ImageShape(BaseModel):
    """A checked picture; the newest approved one is drawn on documents."""

    id: str
    credential_id: str
    kind: str = Field(description="signature or seal", examples=["signature"])
    digest: str = Field(description="SHA-256 of the PNG in hex")
    width: int = Field(description="Of what is drawn, in pixels")
    height: int
    uploaded_at: datetime
    uploaded_by: str
    approved_at: datetime | None = Field(description="Absent: it waits")
    approved_by: str | None

    @classmethod
    def of(cls, one: HolderImage) -> Self:
        return cls(**one.__dict__)


class CredentialImages(BaseModel):
    """What is drawn on documents, and what waits to be."""

    drawn: ImageShape | None
    waiting: ImageShape | None


@router.put(
    "/credentials/{credential_id}/image",
    status_code=202,
    summary="Send in the image of a signature or a seal",
    response_model=ImageShape,
    responses=problems(404, 507),
)
def send(
    credential_id: CredentialId,
    wired: Wired,
    now: Now,
    client: Holder,
    file: Annotated[UploadFile, File(description="PNG: a signature blue, a seal red, transparent")],
) -> ImageShape:
    """Checked at once (decree 30/2020 annex I); drawn once another client has approved it."""
    allowed_credential(wired, client, credential_id)
    sent = holder_images.submit(
        wired.house.desk, credential_id, file.file.read(), now=now, by=client.by
    )
    return ImageShape.of(sent)


@router.get(
    "/credentials/{credential_id}/image",
    summary="The image that is drawn, and the one that waits",
    response_model=CredentialImages,
    responses=problems(404),
)
def look(credential_id: CredentialId, wired: Wired, client: Holder) -> CredentialImages:
    allowed_credential(wired, client, credential_id)
    drawn, waits = holder_images.of_credential(wired.house.desk, credential_id)
    return CredentialImages(
        drawn=ImageShape.of(drawn) if drawn else None,
        waiting=ImageShape.of(waits) if waits else None,
    )


@router.get(
    "/holder-images",
    summary="Images that wait for approval",
    response_model=list[ImageShape],
    responses=problems(),
)
def waiting(wired: Wired, client: Officer) -> list[ImageShape]:
    """Oldest first, of the units the client works for."""
    found = holder_images.waiting(wired.house.desk, units=client.units)
    return [ImageShape.of(one) for one in found]


@router.get(
    "/holder-images/{image_id}/content",
    summary="The picture itself",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The PNG"}, **problems(404)},
)
def fetch(image_id: ImageId, wired: Wired, client: Officer) -> Response:
    """To be compared with the specimen that the office keeps."""
    found = _allowed(wired, client, image_id)
    return Response(
        holder_images.content(wired.house.desk, found),
        media_type="image/png",
        headers={"Cache-Control": "private, no-store"},
    )


@router.post(
    "/holder-images/{image_id}/approval",
    summary="Approve an image",
    response_model=ImageShape,
    responses=problems(404, 409),
)
def approve(image_id: ImageId, wired: Wired, now: Now, client: Officer) -> ImageShape:
    """Not by the client that sent it."""
    _allowed(wired, client, image_id)
    return ImageShape.of(holder_images.approve(wired.house.desk, image_id, now=now, by=client.by))


@router.post(
    "/holder-images/{image_id}/rejection",
    summary="Turn an image down",
    response_model=ImageShape,
    responses=problems(404, 409),
)
def reject(
    image_id: ImageId, why: WithReason, wired: Wired, now: Now, client: Officer
) -> ImageShape:
    """It waits no longer; the audit log keeps the reason."""
    _allowed(wired, client, image_id)
    return ImageShape.of(
        holder_images.reject(wired.house.desk, image_id, reason=why.reason, now=now, by=client.by)
    )


def _allowed(wired: Services, client: Client, image_id: str) -> HolderImage:
    found = holder_images.find(wired.house.desk, image_id)
    allowed_credential(wired, client, found.credential_id)
    return found
