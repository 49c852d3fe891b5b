"""The shapes that several routes share: documents, credentials, problems, idempotency."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import Header
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.transit import Document
from signer.keys.credentials import Credential


class Problem(BaseModel):
    """RFC 9457. `code` never changes; `title` is in the language of Accept-Language."""

    type: str = Field(examples=["/problems/pin-wrong"])
    title: str = Field(examples=["Mã PIN không đúng. Còn 4 lần thử."])
    status: int = Field(examples=[403])
    instance: str = Field(examples=["/api/v1/authorizations"])
    code: str = Field(examples=["pin-wrong"])
    messages: dict[str, str] = Field(description="The same in `vi` and `en`")
    request_id: str | None = Field(description="Quote it when you report a problem")
    errors: list[dict[str, Any]] | None = Field(None, description="Where a request is not valid")


_WORDS = {
    400: "The request cannot be read",
    401: "No valid access token",
    403: "Not allowed, or a wrong PIN",
    404: "Not there, or not this client's",
    409: "In conflict with what has happened",
    410: "No longer kept",
    413: "Larger than this service takes",
    415: "Another media type is needed",
    422: "Understood, and cannot be done: see `code`",
    423: "Locked",
    500: "A failure of ours: quote request_id",
    429: "Too many requests: see Retry-After",
    503: "The token or the database does not answer: see Retry-After",
    507: "The disk is full",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route: every problem it may answer with."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    always = (400, 401, 403, 413, 422, 429, 503)
    return {
        status: {"description": _WORDS[status], "content": content}
        for status in sorted({*statuses, *always})
    }


class Shape(BaseModel):
    """Strict: a misspelt field is refused, not ignored, and so is NUL, which no PDF, CSV or
    PostgreSQL text can hold."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def without_nul(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, value in data.items():
                said = value if isinstance(value, list) else [value]
                if any(isinstance(one, str) and "\0" in one for one in said):
                    raise ValueError(f"NUL in {str(name)[:40]}")
        return data


class DocumentShape(BaseModel):
    """A document of this client; kept for a day."""

    id: str = Field(examples=["doc_4aJmYx0c1yJr9hQbqXo2Vw7T"])
    name: str = Field(examples=["quyet-dinh.pdf"])
    digest: str = Field(
        description="SHA-256 in hex: what the holder authorises",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    size: int = Field(examples=[24310])
    act: str = Field(description="uploaded, signed, sealed or certified", examples=["uploaded"])
    source_id: str | None = Field(description="The document that this one was made from")
    created_at: datetime
    expires_at: datetime
    content_url: str = Field(examples=["/api/v1/documents/doc_4aJm…/content"])

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(
            id=document.id,
            name=document.name,
            digest=document.digest,
            size=document.size,
            act=document.act,
            source_id=document.source_id,
            created_at=document.created_at,
            expires_at=document.expires_at,
            content_url=content_url(document),
        )


def content_url(document: Document) -> str:
    return f"/api/v1/documents/{document.id}/content"


class CredentialShape(BaseModel):
    """A holder's signing credential."""

    id: str = Field(examples=["4b1c7a…"])
    kind: str = Field(description="official, citizen or agency", examples=["official"])
    name: str = Field(examples=["Lê Văn Thử"])
    title: str | None = Field(examples=["Phó Chủ tịch"])
    unit: str | None = Field(examples=["14797"])
    state: str = Field(description="active, locked, suspended or revoked", examples=["active"])
    algorithm: str = Field(examples=["rsa-2048"])
    valid_from: datetime
    valid_to: datetime
    serial: str = Field(description="Certificate serial number in hex")
    certificates: list[str] = Field(description="Base64 DER: the holder's, then up to the root")

    @classmethod
    def of(cls, credential: Credential) -> Self:
        certificate = credential.certificate
        return cls(
            id=credential.id,
            kind=credential.kind,
            name=credential.name,
            title=credential.holder.title,
            unit=credential.unit,
            state=credential.state,
            algorithm=credential.algorithm.value,
            valid_from=certificate.not_valid_before_utc,
            valid_to=certificate.not_valid_after_utc,
            serial=f"{certificate.serial_number:x}",
            certificates=[
                base64.b64encode(one.public_bytes(Encoding.DER)).decode()
                for one in (certificate, *credential.chain)
            ],
        )


def _sensible(moment: datetime) -> datetime:
    """With a zone and a year that can be shown."""
    if not 2000 <= moment.year <= 2200:
        raise ValueError("a time of this century")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _zoned(moment: datetime) -> datetime:
    """A year that can be shown, and a zone: an hour without one means seven different things."""
    if moment.tzinfo is None or not 2000 <= moment.year <= 2200:
        raise ValueError("a time of this century with its zone, such as +07:00")
    return moment


Moment = Annotated[datetime, AfterValidator(_sensible)]
ZonedMoment = Annotated[datetime, AfterValidator(_zoned)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same request under the same key is done once (kept 24 hours)",
        examples=["9a1f0d1e-5b7c-4c64-8c56-1f0f1c7f2b61"],
    ),
]
