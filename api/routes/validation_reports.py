"""Validation for programs beyond one file: by digest, many files, kept reports, policies."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, File, Form, Header, Path, Query, Security, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from api import report_archive
from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.report_forms import ReportForm, answer, form_for
from api.routes.shapes import Shape, problems
from api.routes.validations import ValidationShape, moment_of
from api.transit import safe_name
from api.verdicts import Judged, judge
from records.errors import DomainError
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.policy import CURRENT, load_policy, policy_ids, policy_text
from signer.verdicts.sandbox import shared_pool

router = APIRouter(prefix="/api/v1", tags=["validation"])
Validator = Annotated[Client, Security(caller, scopes=["validate"])]
Accepted = Annotated[str, Header(alias="accept", max_length=400)]
MOST_FILES = 200
_DIGESTS = {
    "SHA1": "sha1", "SHA224": "sha224", "SHA256": "sha256", "SHA384": "sha384",
    "SHA512": "sha512", "SHA3-256": "sha3_256", "SHA3-384": "sha3_384", "SHA3-512": "sha3_512",
}  # fmt: skip
_POLICY = Field(CURRENT, max_length=60, description="See /api/v1/validation-policies")


class DigestShape(Shape):
    """One document that stays with its owner."""

    name: str = Field("", max_length=400, description="Its name in the signature, if it has one")
    algorithm: str = Field("SHA256", max_length=20, examples=["SHA256"])
    value: str = Field(max_length=200, description="Base64", examples=["n4bQgYhMfWWaL+qgxVrQFaO…"])


class ByDigest(Shape):
    """A detached CAdES or XAdES signature, or the /Contents of a PDF signature, and digests.

    For a PDF, the digest is over the octets of the signature's /ByteRange.
    """

    signature: str = Field(description="Base64")
    name: str = Field("signature", max_length=200)
    digests: list[DigestShape] = Field(min_length=1, max_length=1000)
    at: str = Field("", max_length=40)
    policy: str = _POLICY
    report: str = Field("", max_length=20)
    language: str = Field("vi", pattern="^(vi|en)$")
    details: bool = False


class SeenPageShape(BaseModel):
    page: int = Field(description="From 1")
    changed: list[tuple[float, float, float, float]] = Field(
        description="What the file shows differently now: left, top, width, height in shares"
    )
    seen: str = Field("", description="PNG in Base64: the page as it was signed")
    shown: str = Field("", description="PNG in Base64: the page now, where it differs")


class SeenRevisionShape(BaseModel):
    field: str
    covered_bytes: int
    pages: int
    complete: bool = Field(description="Whether every page was drawn")
    drawn: list[SeenPageShape]


class RevisionsShape(BaseModel):
    """Per signature the pages its signer saw."""

    pages: int = Field(description="Of the file as it is now")
    complete: bool
    revisions: list[SeenRevisionShape]


@router.post(
    "/validations/by-digest",
    summary="Validate a signature without its document",
    response_model=ValidationShape,
    responses=problems(404),
)
def by_digest(
    request: ByDigest, wired: Wired, now: Now, client: Validator, accept: Accepted = ""
) -> ValidationShape | Response:
    """The document stays with the client. Digest and signature are judged as everywhere else; the
    verdict is on whatever has that digest, and says so."""
    form = form_for(request.report, accept)
    judged = judge(
        wired.house,
        octets_of(request.signature, "signature"),
        name=safe_name(request.name),
        now=now,
        at=moment_of(request.at),
        by=client.by,
        digests=digests_of(request.digests),
        policy=request.policy,
        reports=None if form is ReportForm.SUMMARY else request.language,
    )
    if form is ReportForm.SUMMARY:
        return ValidationShape.of(judged, details=request.details)
    name = safe_name(request.name)
    return answer(
        wired.house, judged, form, name=name, accept=accept, language=request.language, now=now
    )


@router.post(
    "/validations/batch",
    summary="Validate many files",
    responses={
        **problems(404),
        200: {
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            "description": "One JSON object a file, in their order, each as soon as it is known",
        },
    },
)
def batch(
    wired: Wired,
    now: Now,
    client: Validator,
    files: Annotated[list[UploadFile], File(description="At most 200 files in one request")],
    policy: Annotated[str, Form(max_length=60)] = CURRENT,
    details: Annotated[bool, Form(description="Every finding and the policy")] = False,
) -> StreamingResponse:
    """Lines of JSON, streamed: a file that cannot be read is a line like any other."""
    if len(files) > MOST_FILES:
        raise ApiError("validation-files-too-many", limit=MOST_FILES)
    load_policy(policy)
    wanted = [(safe_name(one.filename), one.file.read()) for one in files]

    def lines() -> Iterator[bytes]:
        for name, data in wanted:
            try:
                judged = judge(wired.house, data, name=name, now=now, by=client.by, policy=policy)
            except DomainError as refusal:
                told = {"file": name, "code": refusal.code, "text": refusal.message("en")}
                yield json.dumps(told, ensure_ascii=False).encode() + b"\n"
                continue
            shape = ValidationShape.of(judged, details=details)
            yield shape.model_dump_json().encode() + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@router.get(
    "/validations/{identifier}",
    summary="A report that was kept",
    response_model=ValidationShape,
    responses=problems(404),
)
def kept(
    identifier: Annotated[str, Path(max_length=40, examples=["val_4aJmYx0c1yJr9hQbqXo2Vw7T"])],
    wired: Wired,
    client: Validator,
    report: Annotated[str, Query(max_length=20, description="As for a new validation")] = "",
    details: Annotated[bool, Query()] = False,
    accept: Accepted = "",
) -> ValidationShape | Response:
    """As it was found then, in any form; the PDF is the one that was sealed then."""
    found = report_archive.read(wired.house, identifier, client_id=client.client_id)
    form = form_for(report, accept)
    if form is ReportForm.PDF:
        return Response(wired.house.blobs.get(found.row.paper), media_type="application/pdf")
    judged = Judged(found.report, None, found.row.document)
    if form is ReportForm.SUMMARY:
        shape = ValidationShape.of(judged, details=details)
        return shape.model_copy(update={"id": identifier})
    made_at = found.row.created_at
    name = found.row.name
    return answer(wired.house, judged, form, name=name, accept=accept, language="vi", now=made_at)


@router.post(
    "/validations/pages",
    summary="What each signer of a PDF saw, page by page",
    response_model=RevisionsShape,
    responses=problems(),
)
def pages(
    client: Validator,
    file: Annotated[UploadFile, File(description="A signed PDF")],
    page: Annotated[
        list[int] | None, Form(description="These pages only (from 1)", max_length=50)
    ] = None,
    width: Annotated[int, Form(ge=100, le=1600, description="Of the pictures, in pixels")] = 620,
) -> RevisionsShape:
    """Each signed revision drawn from the octets its signature covers, and what differs now. The
    pictures are for people; the verdict does not depend on them."""
    del client
    drawn = shared_pool().pages(file.file.read(), width=width, pages=page)
    if drawn is None or "refused" in drawn:
        raise ApiError("pages-not-drawn")
    return RevisionsShape.model_validate(drawn)


class PolicyShape(BaseModel):
    """One version of the validation rules; old ones stay, so that old reports stay explainable."""

    id: str = Field(examples=["dauso-2026-3"])
    title: str = Field(examples=["dauso 2026-3"])
    description: dict[str, str]
    current: bool = Field(description="What is used when none is named")
    url: str = Field(examples=["/api/v1/validation-policies/dauso-2026-3"])


@router.get(
    "/validation-policies",
    summary="The validation policies there are",
    response_model=list[PolicyShape],
    responses=problems(),
)
def policies() -> list[PolicyShape]:
    """Without an account."""
    found = []
    for identifier in policy_ids():
        policy = load_policy(identifier)
        found.append(
            PolicyShape(
                id=identifier,
                title=policy.title,
                description={one: policy.description(one) for one in ("vi", "en")},
                current=identifier == CURRENT,
                url=f"/api/v1/validation-policies/{identifier}",
            )
        )
    return found


@router.get(
    "/validation-policies/{identifier}",
    summary="One validation policy, as the data it is",
    responses={**problems(404), 200: {"content": {"application/yaml": {}}, "description": "YAML"}},
)
def policy(
    identifier: Annotated[str, Path(max_length=60, examples=["dauso-2026-3"])],
) -> Response:
    """Algorithms and sizes with their end dates, purposes, limits, and how constraints weigh."""
    return Response(policy_text(identifier), media_type="application/yaml")


def digests_of(given: list[DigestShape]) -> DocumentDigests:
    """Raises ApiError `digest-algorithm-unknown`, `parameter-invalid`."""
    named: dict[str, dict[str, bytes]] = {}
    for one in given:
        algorithm = _DIGESTS.get(one.algorithm.upper().replace("SHA-", "SHA"))
        if algorithm is None:
            raise ApiError("digest-algorithm-unknown", algorithm=one.algorithm[:20])
        named.setdefault(one.name, {})[algorithm] = octets_of(one.value, "value")
    return DocumentDigests(named)


def octets_of(text: str, field: str) -> bytes:
    """Base64; raises ApiError `parameter-invalid` naming the field."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("parameter-invalid", name=field, reason="Base64") from None
