"""What requests and answers about batches look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import Path
from pydantic import Field, SecretStr

from api.routes.placement import How
from api.routes.shapes import Shape
from signer.batches import batch
from signer.batches.batch_reading import Batch, Item

BatchId = Annotated[str, Path(max_length=64, examples=["bat_0d3cb1a2…"])]
Position = Annotated[int, Field(ge=0, lt=batch.MOST_DOCUMENTS)]


class BatchOrder(Shape):
    """Who signs, and how each document is to be signed."""

    credential_id: str = Field(max_length=64, examples=["4b1c7a…"])
    how: How | None = Field(None, description="Absent: B-LTA, not shown")


class BatchShape(Shape):
    """A batch as it stands."""

    id: str
    credential_id: str
    state: str = Field(description="open, running, paused, done or cancelled")
    counts: dict[str, int] = Field(
        description="Documents: waiting, left-out, signing, signed, refused, cancelled",
        examples=[{"signed": 4998, "refused": 2}],
    )
    total: int
    paused_because: str | None = Field(description="A code, when the state is paused")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, one: Batch) -> Self:
        return cls(
            id=one.id,
            credential_id=one.credential_id,
            state=one.state,
            counts=one.counts,
            total=one.total,
            paused_because=one.failure,
            created_at=one.created_at,
            finished_at=one.finished_at,
        )


class BatchItemShape(Shape):
    """One document of a batch and its outcome."""

    position: int
    name: str
    digest: str = Field(description="SHA-256 in hex: what the holder authorises")
    size: int
    pages: int | None
    state: str
    result: str | None = Field(description="SHA-256 of the signed document")
    code: str | None = Field(description="Why it was refused")
    messages: dict[str, str] | None
    content_url: str | None = Field(description="The signed document")

    @classmethod
    def of(cls, batch_id: str, one: Item) -> Self:
        failure = one.failure
        return cls(
            position=one.position,
            name=one.name,
            digest=one.digest,
            size=one.size,
            pages=one.pages,
            state=one.state,
            result=one.result,
            code=failure.code if failure else None,
            messages={lang: failure.message(lang) for lang in ("vi", "en")} if failure else None,
            content_url=content_url(batch_id, one) if one.result else None,
        )


class Choice(Shape):
    """Positions to take in and to leave out."""

    tick: list[Position] = Field(default_factory=list, max_length=batch.MOST_DOCUMENTS)
    untick: list[Position] = Field(default_factory=list, max_length=batch.MOST_DOCUMENTS)


class BatchAuthorization(Shape):
    """The holder's PIN, once for all ticked documents."""

    pin: SecretStr = Field(description="Never logged, never kept", examples=["246813"])
    minutes: int = Field(60, ge=1, le=60, description="After these, what is left needs a new PIN")


def content_url(batch_id: str, one: Item) -> str:
    return f"/api/v1/batches/{batch_id}/items/{one.position}/content"
