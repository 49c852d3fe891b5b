"""Evidence records of documents, and whether a document will still validate in decades."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, UploadFile
from pydantic import BaseModel, Field

from api.auth.guard import Now, Wired
from api.errors import ApiError
from api.routes.shapes import problems
from api.routes.validations import Validator, originals_of
from signer.long_life.evidence_store import evidence_of
from signer.long_life.preview import preview

router = APIRouter(prefix="/api/v1", tags=["validation"])
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 in hex")]


class EvidenceShape(BaseModel):
    """An evidence record (RFC 4998) and the other objects of its data group, in base64."""

    digest: str
    record: str = Field(description="EvidenceRecord, DER")
    companions: list[str] = Field(
        description="What shows the authorities' status: keep it with the record"
    )


class StepShape(BaseModel):
    """One renewal that must be done."""

    by: datetime
    cause: str = Field(examples=["certificate"])
    what: str
    holds_until: datetime


class PreviewShape(BaseModel):
    """What will be of a document. `text` says it in words."""

    at: datetime
    answer: str = Field(
        description="stands, with-renewals, policy-ends, too-late or not-time-stamped"
    )
    proof: str
    stands_until: datetime | None
    ends_because: dict[str, Any] | None
    steps: list[StepShape]
    policy: str
    text: dict[str, str]


@router.get(
    "/evidence-records/{digest}",
    summary="The evidence record of a document",
    response_model=EvidenceShape,
    responses=problems(404),
)
def record(digest: Digest, wired: Wired, _client: Validator) -> EvidenceShape:
    """For whoever keeps the document elsewhere: with both, its age can be proven to anybody."""
    evidence = evidence_of(wired.house, digest)
    if evidence is None:
        raise ApiError("evidence-none")
    return EvidenceShape(
        digest=digest,
        record=base64.b64encode(evidence.record).decode(),
        companions=[base64.b64encode(one).decode() for one in evidence.companions],
    )


@router.post(
    "/validations/preview",
    summary="Will this still validate then?",
    response_model=PreviewShape,
    responses=problems(),
)
def look_ahead(
    wired: Wired,
    now: Now,
    _client: Validator,
    file: Annotated[UploadFile, File(description="A signed PDF, CAdES, XAdES or ASiC file")],
    at: Annotated[str, Form(description="The day to look ahead to (ISO 8601)", max_length=40)],
    content: Annotated[
        list[UploadFile] | None, File(description="What a detached signature is about")
    ] = None,
) -> PreviewShape:
    """Dates of certificates and algorithms, and the renewals that must happen before them."""
    moment = _day(at)
    if moment <= now:
        raise ApiError("preview-time-past")
    data = file.file.read()
    kept = evidence_of(wired.house, hashlib.sha256(data).hexdigest())
    about = originals_of(content or [])
    trust = wired.house.trust
    seen = preview(data, at=moment, now=now, trust=trust, content=about, evidence=kept)
    words = {language: seen.to_text(language) for language in ("vi", "en")}
    return PreviewShape.model_validate({**seen.to_json(), "text": words})


def _day(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError("time-unreadable", value=text) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
