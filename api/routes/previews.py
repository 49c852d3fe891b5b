"""Where a signature will stand and how the page will look, before anybody signs."""

from __future__ import annotations

import base64

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.auth.guard import Now, Wired
from api.routes.documents import DocumentId, Signer
from api.routes.placement import Placement
from api.routes.shapes import Shape, problems
from api.routes.signatures import require_credential
from signer.looks import appearance
from signer.pdf import page_images

router = APIRouter(prefix="/api/v1", tags=["signatures"])


class PreviewOrder(Shape):
    """How the signature is to be shown, and whose it is."""

    credential_id: str = Field(max_length=64, examples=["4b1c7a…"])
    appearance: Placement


class PreviewShape(BaseModel):
    """The page with the stamp on it; nothing is signed or kept."""

    page: int = Field(examples=[1])
    box: tuple[float, float, float, float] = Field(description="x1, y1, x2, y2 in points")
    covers_text: bool = Field(description="Signing there is refused, unless it is a seal")
    media_type: str = Field(examples=["image/png"])
    picture: str = Field(description="Base64")


@router.post(
    "/documents/{document_id}/previews",
    summary="Preview a signature at its place",
    response_model=PreviewShape,
    responses=problems(404, 410),
)
def preview(
    document_id: DocumentId, order: PreviewOrder, wired: Wired, now: Now, client: Signer
) -> PreviewShape:
    """By page and box, by template, or at the signature block found by its text (`anchor`)."""
    require_credential(wired, client, order.credential_id)
    document = wired.transit.find(document_id, client_id=client.client_id, now=now)
    found = appearance.preview(
        wired.house.desk,
        wired.transit.content(document),
        order.appearance.appearance(),
        credential_id=order.credential_id,
        now=now,
    )
    x1, y1, x2, y2 = found.placed.rect
    return PreviewShape(
        page=found.placed.page,
        box=(x1, y1, x2, y2),
        covers_text=found.covers_text,
        media_type=page_images.media_type(found.picture),
        picture=base64.b64encode(found.picture).decode(),
    )
