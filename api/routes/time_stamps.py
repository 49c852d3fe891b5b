"""Time-stamps for the asking, and signatures raised to a higher level."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.errors import ApiError
from api.idempotency import Answer
from api.routes.documents import Signer
from api.routes.placement import level_named
from api.routes.shapes import DocumentShape, IdempotencyKey, Shape, problems
from signer.files import raising
from signer.files.file_kinds import Kind, kind_of
from signer.long_life import time_stamping

router = APIRouter(prefix="/api/v1", tags=["signatures"])
_Document = Annotated[str, Field(max_length=64, examples=["doc_4aJmYx0c1yJr9hQbqXo2Vw7T"])]


class TimeStampOrder(Shape):
    """A document of this client, or a digest of anything."""

    document_id: _Document | None = Field(
        None, description="A PDF gets a document time-stamp; of any other file, its digest is taken"
    )
    digest: str | None = Field(None, max_length=128, pattern="^([0-9a-fA-F]{2})+$", examples=[None])
    algorithm: Literal["sha256", "sha384", "sha512"] = "sha256"

    @model_validator(mode="after")
    def one_thing(self) -> TimeStampOrder:
        if (self.document_id is None) == (self.digest is None):
            raise ValueError("give document_id or digest")
        return self


class TimeStampShape(BaseModel):
    """The new document, or the token (RFC 3161, base64 of DER) and the time in it."""

    document: DocumentShape | None = None
    token: str | None = None
    time: datetime


class AugmentationOrder(Shape):
    """Raise every signature of a document of this client."""

    document_id: _Document
    content_document_id: _Document | None = Field(
        None, description="The file that a detached signature is about"
    )
    level: str = Field("B-LTA", description="B-T, B-LT or B-LTA; B-LTA again renews the archive")
    revocation: list[Annotated[str, Field(max_length=4 << 20)]] = Field(
        default_factory=list,
        max_length=50,
        description="CRLs and OCSP answers about certificates of others, base64 of DER",
    )


@router.post(
    "/time-stamps",
    status_code=201,
    summary="Time-stamp a document or a digest",
    response_model=TimeStampShape,
    responses=problems(404, 409, 410, 507),
)
def time_stamp(
    order: TimeStampOrder,
    wired: Wired,
    now: Now,
    client: Signer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """A PDF comes back as a new document; anything else gets a token to keep beside it."""
    desk, algorithm = wired.house.desk, order.algorithm

    def over(digest: bytes, name: str) -> Answer:
        given = time_stamping.time_stamp_digest(desk, digest, name, now=now, by=client.by)
        token = base64.b64encode(given.token).decode()
        return Answer(201, text=TimeStampShape(token=token, time=given.time).model_dump_json())

    def act() -> Answer:
        if order.document_id is None:
            return over(bytes.fromhex(order.digest or ""), algorithm)
        source = wired.transit.find(order.document_id, client_id=client.client_id, now=now)
        data = wired.transit.content(source)
        if kind_of(data) is not Kind.PDF or not data.startswith(b"%PDF-"):
            return over(bytes.fromhex(source.digest), "sha256")
        made = wired.transit.put(
            time_stamping.time_stamp_pdf(desk, data, now=now, by=client.by),
            client_id=client.client_id,
            name=source.name,
            act="time-stamped",
            source_id=source.id,
            now=now,
        )
        shape = TimeStampShape(document=DocumentShape.of(made), time=now)
        location = {"Location": f"/api/v1/documents/{made.id}"}
        return Answer(201, headers=location, text=shape.model_dump_json())

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("POST /time-stamps", order.model_dump_json()),
        act=act,
        now=now,
    )


@router.post(
    "/augmentations",
    status_code=201,
    summary="Raise the level of a document's signatures",
    response_model=DocumentShape,
    responses=problems(404, 409, 410, 507),
)
def augment(
    order: AugmentationOrder,
    wired: Wired,
    now: Now,
    client: Signer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """PDF, CAdES, XAdES and ASiC-E; the answer is a new document, checked before it is given."""

    def act() -> Answer:
        source = wired.transit.find(order.document_id, client_id=client.client_id, now=now)
        content = None
        if order.content_document_id is not None:
            about = wired.transit.find(
                order.content_document_id, client_id=client.client_id, now=now
            )
            content = wired.transit.content(about)
        raised = raising.raise_file(
            wired.house.desk,
            wired.transit.content(source),
            to=level_named(order.level),
            content=content,
            revocation=[_bytes(one) for one in order.revocation],
            now=now,
            by=client.by,
        )
        made = wired.transit.put(
            raised,
            client_id=client.client_id,
            name=source.name,
            act="augmented",
            source_id=source.id,
            now=now,
        )
        return Answer(
            201,
            headers={"Location": f"/api/v1/documents/{made.id}"},
            text=DocumentShape.of(made).model_dump_json(),
        )

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("POST /augmentations", order.model_dump_json()),
        act=act,
        now=now,
    )


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("base64-malformed", name="revocation") from None
