"""Sign any file (CAdES), XML (XAdES), or several files together (ASiC-E).

As with PDF: in one call with the PIN, or in steps (upload, authorise, sign, fetch). Every file's
digest is in the authorisation; one signature covers all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import Field, SecretStr, ValidationError
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.idempotency import Answer
from api.routes.documents import Signer, delivery_headers
from api.routes.placement import level_named
from api.routes.shapes import DocumentShape, IdempotencyKey, Shape, problems
from api.routes.signatures import CredentialForm, PinForm, require_credential
from api.services import Services
from api.transit import Document, safe_name
from signer.cms import Scheme
from signer.files.file_signing import FileRequest, Format, SignedFiles, SourceFile, sign_files
from signer.files.formats import Canonicalization
from signer.keys import activation
from signer.keys.activation import Authorization

router = APIRouter(prefix="/api/v1", tags=["signatures"])
_MEDIA_TYPE = re.compile(r"[a-zA-Z0-9][\w.+-]{0,60}/[a-zA-Z0-9][\w.+-]{0,100}")
_CANONICALIZATIONS = {
    "exclusive": Canonicalization.EXCLUSIVE,
    "inclusive": Canonicalization.INCLUSIVE,
    "inclusive-1.1": Canonicalization.INCLUSIVE_1_1,
}
_FORMATS = Literal[
    "cades-detached",
    "cades-enveloping",
    "xades-enveloped",
    "xades-enveloping",
    "xades-detached",
    "asic-e-cades",
    "asic-e-xades",
]
MOST_FILES = 500


class FileHow(Shape):
    """How files are to be signed."""

    format: _FORMATS = Field("cades-detached", examples=["asic-e-cades"])
    level: str = Field("B-LTA", description="B-B, B-T, B-LT or B-LTA", examples=["B-LTA"])
    scheme: Literal["rsa-pss"] | None = Field(
        None, description="RSA-PSS instead of PKCS#1 v1.5; only for RSA keys"
    )
    canonicalization: Literal["exclusive", "inclusive", "inclusive-1.1"] = Field(
        "exclusive", description="XAdES only"
    )
    more_may_follow: bool = Field(
        False, description="Enveloped XAdES: leave room for signatures of others"
    )

    def request(self) -> FileRequest:
        return FileRequest(
            format=Format(self.format),
            level=level_named(self.level),
            scheme=Scheme(self.scheme) if self.scheme else None,
            canonicalization=_CANONICALIZATIONS[self.canonicalization],
            more_may_follow=self.more_may_follow,
        )


class FilesOrder(FileHow):
    """Sign uploaded documents that an open authorisation covers."""

    sad: SecretStr = Field(description="From the authorisation")
    document_ids: list[Annotated[str, Field(max_length=64)]] = Field(
        min_length=1, max_length=MOST_FILES, examples=[["doc_4aJmYx0c1yJr9hQbqXo2Vw7T"]]
    )


FileHowForm = Annotated[
    str,
    Form(
        description="JSON: format, level, scheme, canonicalization, more_may_follow",
        examples=['{"format": "asic-e-cades", "level": "B-LTA"}'],
        max_length=2048,
    ),
]


@router.post(
    "/signatures/files",
    status_code=201,
    summary="Sign any file, XML, or several files together, in one call",
    response_class=Response,
    responses={
        201: {
            "content": {one.media_type: {} for one in Format},
            "description": "The signature, the signed document or the container",
        },
        **problems(404, 507),
    },
)
def sign_at_once(
    wired: Wired,
    now: Now,
    client: Signer,
    files: Annotated[list[UploadFile], File(description="One file; several for a container")],
    credential_id: CredentialForm,
    pin: PinForm,
    how: FileHowForm = "{}",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The PIN authorises the digests of exactly these files."""
    request = _how(how).request()
    chosen = [_source(one) for one in files[: MOST_FILES + 1]]
    secret = pin.get_secret_value()

    def act() -> Answer:
        require_credential(wired, client, credential_id)
        authorization = activation.authorize(
            wired.house.desk,
            credential_id=credential_id,
            pin=secret,
            digests=list(dict.fromkeys(one.digest for one in chosen)),
            client=client.by,
            now=now,
            by=client.by,
        )
        made = _sign(wired, chosen, request, authorization, client.client_id, now=now)
        return Answer(
            201,
            media_type=request.format.media_type,
            headers=delivery_headers(made),
            document_id=made.id,
        )

    asked: list[str | bytes] = ["POST /signatures/files", credential_id, secret, how]
    for one in chosen:
        asked += [one.name, one.data]
    return wired.idempotency.once(
        idempotency_key, client_id=client.client_id, request=asked, act=act, now=now
    )


@router.post(
    "/signatures/documents",
    status_code=201,
    summary="Sign authorised documents in a format of your choice",
    response_model=DocumentShape,
    responses=problems(404, 409, 410, 507),
)
def sign_documents(
    order: FilesOrder,
    wired: Wired,
    now: Now,
    client: Signer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The answer is a new document: the signature, the signed XML or the container."""
    sad = order.sad.get_secret_value()

    def act() -> Answer:
        found = [
            wired.transit.find(one, client_id=client.client_id, now=now)
            for one in order.document_ids
        ]
        chosen = [SourceFile(one.name, wired.transit.content(one)) for one in found]
        authorization = activation.present(wired.house.desk, token=sad, client=client.by, now=now)
        made = _sign(
            wired,
            chosen,
            order.request(),
            authorization,
            client.client_id,
            source_id=found[0].id,
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
        request=("POST /signatures/documents", sad, order.model_dump_json(exclude={"sad"})),
        act=act,
        now=now,
    )


def _sign(
    wired: Services,
    files: Sequence[SourceFile],
    request: FileRequest,
    authorization: Authorization,
    client_id: str,
    *,
    now: datetime,
    source_id: str | None = None,
) -> Document:
    """Sign and keep: the result is in transit before its outcome is recorded."""
    kept: list[Document] = []

    def keep(signed: SignedFiles) -> None:
        kept.append(
            wired.transit.put(
                signed.data,
                client_id=client_id,
                name=signed.name,
                act="signed",
                source_id=source_id,
                now=now,
            )
        )

    sign_files(
        wired.house.desk,
        files,
        request,
        authorization=authorization,
        now=now,
        by=f"client:{client_id}",
        keep=keep,
    )
    return kept[0]


def _source(upload: UploadFile) -> SourceFile:
    kind = upload.content_type or ""
    return SourceFile(
        safe_name(upload.filename),
        upload.file.read(),
        kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream",
    )


def _how(text: str) -> FileHow:
    try:
        return FileHow.model_validate_json(text)
    except ValidationError as error:
        places = [{**one, "loc": ("body", "how", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(places) from error
