"""Sign with a key elsewhere: prepare here, sign there, complete here.

For a citizen's own token and for other providers of signatures. What comes back is a raw value over
`to_be_signed`, or a whole CMS over `document_digest`; the result is checked before it is given out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.errors import ApiError
from api.idempotency import Answer as Told
from api.routes.documents import Signer
from api.routes.formats import FileHow
from api.routes.placement import How
from api.routes.shapes import DocumentShape, IdempotencyKey, Shape, problems
from api.services import Services
from api.transit import Document
from signer.elsewhere import prepared, prepared_rows
from signer.elsewhere.foreign_values import LARGEST_CMS, LARGEST_VALUE
from signer.elsewhere.prepared import Answer, Completed
from signer.elsewhere.prepared_rows import Waiting
from signer.files.formats import SourceFile

router = APIRouter(prefix="/api/v1", tags=["signatures"])
PreparationId = Annotated[str, Path(max_length=64, examples=["prp_0f3c…"])]
Certificates = Annotated[
    list[Annotated[str, Field(max_length=16_384)]], Field(max_length=prepared.MOST_CERTIFICATES)
]
Statements = Annotated[
    list[Annotated[str, Field(max_length=4 << 20)]], Field(max_length=prepared.MOST_STATEMENTS)
]


class PreparationOrder(Shape):
    """What is to be signed elsewhere: a PDF (`pdf`), or files in another format (`files`)."""

    document_ids: list[Annotated[str, Field(max_length=64)]] = Field(
        min_length=1, max_length=500, examples=[["doc_4aJmYx0c1yJr9hQbqXo2Vw7T"]]
    )
    pdf: How | None = Field(None, description="PAdES: how the PDF is signed")
    files: FileHow | None = Field(None, description="CAdES, XAdES or a container")
    certificate: str | None = Field(
        None,
        max_length=16_384,
        description="The signer's, base64 of DER. Without it only a CMS can complete",
    )
    certificates: Certificates = Field(
        default_factory=list, description="Those above it, base64 of DER"
    )
    minutes: int = Field(10, ge=1, le=prepared.LONGEST_MINUTES)

    @model_validator(mode="after")
    def one_way(self) -> PreparationOrder:
        if (self.pdf is None) == (self.files is None):
            raise ValueError("give pdf or files")
        return self


class PreparationShape(BaseModel):
    """Sign `to_be_signed` with `signature_scheme` and `digest_algorithm`, or make a CMS."""

    id: str = Field(examples=["prp_0f3c…"])
    state: str = Field(description="open, taken, completed or void", examples=["open"])
    format: str = Field(examples=["pades"])
    level: str = Field(examples=["B-LTA"])
    to_be_signed: str | None = Field(description="Base64 of the octets that the key signs")
    to_be_signed_digest: str | None = Field(
        description="Base64 of their digest, for keys that sign hashes"
    )
    document_digest: str | None = Field(
        description="Base64: the message-digest of a CMS made elsewhere"
    )
    digest_algorithm: str = Field(examples=["sha256"])
    signature_scheme: str | None = Field(description="rsa-pkcs1, rsa-pss or ecdsa")
    signer_status: str | None = Field(
        description="good: proven; unknown: send revocation data with the completion, which "
        "levels from B-LT on need",
        examples=["good"],
    )
    expires_at: datetime

    @classmethod
    def of(cls, one: Waiting) -> PreparationShape:
        signed = hashlib.new(one.digest_name, one.to_sign).digest() if one.to_sign else None
        return cls(
            id=one.id,
            state="open",
            format=one.format,
            level=one.level.value,
            to_be_signed=_text(one.to_sign),
            to_be_signed_digest=_text(signed),
            document_digest=_text(one.digest),
            digest_algorithm=one.digest_name,
            signature_scheme=one.scheme.value if one.scheme else None,
            signer_status=None if one.proven is None else "good" if one.proven else "unknown",
            expires_at=one.expires_at,
        )


class PreparationState(BaseModel):
    """How far a prepared signature is."""

    id: str
    state: str = Field(description="open, taken, completed or void", examples=["completed"])
    format: str
    level: str
    tries: int
    expires_at: datetime
    finished_at: datetime | None
    result: str | None = Field(description="SHA-256 of the signed file in hex")
    failure: str | None = Field(description="The code of the last refusal")


class CompletionOrder(Shape):
    """The signature value, or a whole CMS; one of the two."""

    signature: str | None = Field(
        None,
        max_length=LARGEST_VALUE * 4 // 3 + 4,
        description="Base64 of the value; ECDSA as DER or as r and s side by side",
    )
    cms: str | None = Field(None, max_length=LARGEST_CMS * 4 // 3 + 4, description="Base64 of DER")
    certificates: Certificates = Field(default_factory=list)
    revocation: Statements = Field(
        default_factory=list, description="CRLs and OCSP answers, base64 of DER"
    )

    @model_validator(mode="after")
    def one_answer(self) -> CompletionOrder:
        if (self.signature is None) == (self.cms is None):
            raise ValueError("give signature or cms")
        return self


class CompletedShape(BaseModel):
    """The signed document, and what validation said of the signature before it was given out."""

    document: DocumentShape
    signer: str | None = Field(examples=["Lê Văn Thử"])
    level: str | None = Field(examples=["PAdES-BASELINE-LTA"])
    indication: str = Field(examples=["TOTAL_PASSED"])
    sub_indication: str | None = Field(examples=[None])


@router.post(
    "/signatures/prepared",
    status_code=201,
    summary="Prepare a signature that a key elsewhere will make",
    response_model=PreparationShape,
    responses=problems(404, 410, 507),
)
def prepare(order: PreparationOrder, wired: Wired, now: Now, client: Signer) -> PreparationShape:
    """The signer's certificate must lead to a configured anchor and be in force."""
    found, files = _files(wired, order.document_ids, client.client_id, now=now)
    how = order.pdf.request() if order.pdf else order.files.request() if order.files else None
    assert how is not None
    made = prepared.prepare(
        wired.house.desk,
        files,
        how,
        certificate=_bytes(order.certificate, "certificate") if order.certificate else None,
        others=[_bytes(one, "certificates") for one in order.certificates],
        sources=[one.id for one in found],
        client=client.by,
        minutes=order.minutes,
        now=now,
        by=client.by,
    )
    return PreparationShape.of(made)


@router.get(
    "/signatures/prepared/{preparation_id}",
    summary="How far a prepared signature is",
    response_model=PreparationState,
    responses=problems(404),
)
def look(preparation_id: PreparationId, wired: Wired, client: Signer) -> PreparationState:
    """Only the client's own exist for it."""
    row = prepared_rows.look(wired.house.desk, preparation_id, client=client.by)
    return PreparationState(
        id=row.id,
        state=row.state,
        format=row.format,
        level=row.level,
        tries=row.tries,
        expires_at=row.expires_at,
        finished_at=row.finished_at,
        result=row.result,
        failure=row.failure,
    )


@router.post(
    "/signatures/prepared/{preparation_id}/completion",
    status_code=201,
    summary="Complete it with the value or the CMS that was made elsewhere",
    response_model=CompletedShape,
    responses=problems(404, 409, 410, 507),
)
def complete(
    preparation_id: PreparationId,
    order: CompletionOrder,
    wired: Wired,
    now: Now,
    client: Signer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Once. A value that does not fit may be sent again, five times in all."""

    def act() -> Told:
        row = prepared_rows.look(wired.house.desk, preparation_id, client=client.by)
        found, files = _files(wired, row.sources, client.client_id, now=now)
        kept: list[Document] = []

        def keep(done: Completed) -> None:
            kept.append(
                wired.transit.put(
                    done.data,
                    client_id=client.client_id,
                    name=done.name,
                    act="signed",
                    source_id=found[0].id,
                    now=now,
                )
            )

        done = prepared.complete(
            wired.house.desk,
            preparation_id,
            files,
            _answer(order),
            client=client.by,
            now=now,
            by=client.by,
            keep=keep,
        )
        verdict = done.verdict
        shape = CompletedShape(
            document=DocumentShape.of(kept[0]),
            signer=verdict.signer,
            level=verdict.level,
            indication=verdict.indication.value,
            sub_indication=verdict.sub_indication.value if verdict.sub_indication else None,
        )
        return Told(
            201,
            headers={"Location": f"/api/v1/documents/{kept[0].id}"},
            text=shape.model_dump_json(),
        )

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("POST completion", preparation_id, order.model_dump_json()),
        act=act,
        now=now,
    )


def _answer(order: CompletionOrder) -> Answer:
    """What was sent, as octets."""
    return Answer(
        value=_bytes(order.signature, "signature") if order.signature is not None else None,
        cms=_bytes(order.cms, "cms") if order.cms is not None else None,
        certificates=tuple(_bytes(one, "certificates") for one in order.certificates),
        revocation=tuple(_bytes(one, "revocation") for one in order.revocation),
    )


def _files(
    wired: Services, ids: list[str], client_id: str, *, now: datetime
) -> tuple[list[Document], list[SourceFile]]:
    """The documents as they are signed: named and typed alike at both ends."""
    found = [wired.transit.find(one, client_id=client_id, now=now) for one in ids]
    return found, [SourceFile(one.name, wired.transit.content(one)) for one in found]


def _bytes(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("base64-malformed", name=name) from None


def _text(value: bytes | None) -> str | None:
    return base64.b64encode(value).decode() if value is not None else None
