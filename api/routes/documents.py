"""Upload a document, look at it, fetch it. What is uploaded here is gone after a day."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, File, Path, Request, Security, UploadFile
from starlette.responses import Response, StreamingResponse

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.idempotency import Answer
from api.routes.shapes import DocumentShape, IdempotencyKey, content_url, problems
from api.services import Services
from api.transit import STREAMED, Document
from signer.files.file_kinds import Kind, kind_of

router = APIRouter(prefix="/api/v1", tags=["documents"])
_MEDIA_TYPES = {
    Kind.CMS: "application/pkcs7-mime",
    Kind.XML: "application/xml",
    Kind.CONTAINER: "application/zip",
}
_PIECE = 1 << 20
Signer = Annotated[Client, Security(caller, scopes=["sign"])]
DocumentId = Annotated[str, Path(max_length=64, examples=["doc_4aJmYx0c1yJr9hQbqXo2Vw7T"])]


@router.post(
    "/documents",
    status_code=201,
    summary="Upload a document",
    response_model=DocumentShape,
    responses=problems(409, 507),
)
def upload(
    wired: Wired,
    now: Now,
    client: Signer,
    file: Annotated[UploadFile, File(description="A PDF")],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The answer shows the digest: it is what the holder authorises, and what is signed."""
    digest = digest_of(file).hex()

    def act() -> Answer:
        document = wired.transit.put_chunks(
            pieces_of(file), client_id=client.client_id, name=file.filename, act="uploaded", now=now
        )
        return Answer(
            201,
            headers={"Location": f"/api/v1/documents/{document.id}"},
            text=DocumentShape.of(document).model_dump_json(),
        )

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("POST /documents", file.filename or "", digest),
        act=act,
        now=now,
    )


@router.get(
    "/documents/{document_id}",
    summary="What is known of a document",
    response_model=DocumentShape,
    responses=problems(404, 410),
)
def look(document_id: DocumentId, wired: Wired, now: Now, client: Signer) -> DocumentShape:
    """Only the client's own documents exist for it."""
    return DocumentShape.of(wired.transit.find(document_id, client_id=client.client_id, now=now))


@router.get(
    "/documents/{document_id}/content",
    summary="Fetch the document itself",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "The bytes"},
        **problems(404, 410),
    },
)
def fetch(
    document_id: DocumentId, request: Request, wired: Wired, now: Now, client: Signer
) -> Response:
    """Every fetch is recorded: who and when."""
    document = wired.transit.find(document_id, client_id=client.client_id, now=now)
    etag = f'"{document.digest}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    if document.size >= STREAMED:
        return _streamed(wired, document, now=now)
    data = wired.transit.content(document)
    wired.transit.delivered(document, now=now)
    return Response(data, media_type=media_type_of(data), headers=delivery_headers(document))


def pieces_of(file: UploadFile) -> Iterator[bytes]:
    """An upload from its beginning; large ones lie on disk, not in memory."""
    file.file.seek(0)
    while piece := file.file.read(_PIECE):
        yield piece


def digest_of(file: UploadFile) -> bytes:
    """The SHA-256 of an upload, read piece by piece."""
    found = hashlib.sha256()
    for piece in pieces_of(file):
        found.update(piece)
    return found.digest()


def _streamed(wired: Services, document: Document, *, now: datetime) -> Response:
    pieces = wired.transit.stream(document)
    first = next(pieces)
    wired.transit.delivered(document, now=now)
    headers = {**delivery_headers(document), "Content-Length": str(document.size)}
    return StreamingResponse(
        chain([first], pieces), media_type=media_type_of(first), headers=headers
    )


def media_type_of(data: bytes) -> str:
    """By what the octets are, never by what a name claims."""
    if b"%PDF-" in data[:1024]:
        return "application/pdf"
    return _MEDIA_TYPES.get(kind_of(data), "application/octet-stream")


def delivery_headers(document: Document) -> dict[str, str]:
    """How a PDF travels: named, with its digest (RFC 9530), never cached by anybody else."""
    digest = base64.b64encode(bytes.fromhex(document.digest)).decode()
    return {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(document.name)}",
        "Content-Location": content_url(document),
        "ETag": f'"{document.digest}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }
