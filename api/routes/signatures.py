"""Sign and seal: in steps (upload, authorise, sign, fetch), or in one call.

The holder's PIN authorises exactly the digests that were shown; the answer to the authorisation
holds the SAD, which is told once and is good for those digests, this client and a few minutes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import Field, SecretStr, ValidationError
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired
from api.errors import ApiError
from api.idempotency import Answer
from api.routes.documents import DocumentId, Signer, delivery_headers, digest_of, pieces_of
from api.routes.placement import How, HowForm
from api.routes.shapes import DocumentShape, IdempotencyKey, Shape, problems
from api.services import Services
from api.transit import Document
from signer import signing, workflow
from signer.keys import activation, credentials
from signer.keys.activation import Authorization
from signer.signature import SignatureRequest
from signer.signing import SignedDocument

router = APIRouter(prefix="/api/v1", tags=["signatures"])
PinForm = Annotated[SecretStr, Form(description="The holder's PIN; never logged, never kept")]
CredentialForm = Annotated[str, Form(max_length=64, examples=["4b1c7a…"])]


class AuthorizationRequest(Shape):
    """Which documents the holder lets this client sign with which credential."""

    credential_id: str = Field(max_length=64, examples=["4b1c7a…"])
    pin: SecretStr = Field(description="The holder's PIN", examples=["246813"])
    document_ids: list[Annotated[str, Field(max_length=64)]] = Field(
        min_length=1, max_length=1000, examples=[["doc_4aJmYx0c1yJr9hQbqXo2Vw7T"]]
    )
    minutes: int = Field(5, ge=1, le=60)


class AuthorizedDocument(Shape):
    """What was shown and is now authorised."""

    document_id: str
    digest: str = Field(description="SHA-256 in hex")


class AuthorizationShape(Shape):
    """`sad` is the signature activation data: told once, kept only as a hash."""

    id: str
    sad: str = Field(description="Send it with each signature; it ends with `expires_at`")
    expires_at: datetime
    documents: list[AuthorizedDocument]


class SignatureOrder(How):
    """Sign one document that an open authorisation covers."""

    sad: SecretStr = Field(description="From the authorisation")


@router.post(
    "/authorizations",
    status_code=201,
    summary="The holder authorises these documents with the PIN",
    response_model=AuthorizationShape,
    responses=problems(404, 410),
)
def authorize(
    order: AuthorizationRequest, wired: Wired, now: Now, client: Signer
) -> AuthorizationShape:
    """Five wrong PINs lock the credential. Not repeatable by key: the answer is a secret."""
    found = [
        wired.transit.find(one, client_id=client.client_id, now=now) for one in order.document_ids
    ]
    require_credential(wired, client, order.credential_id)
    authorization = activation.authorize(
        wired.house.desk,
        credential_id=order.credential_id,
        pin=order.pin.get_secret_value(),
        digests=[bytes.fromhex(one.digest) for one in found],
        client=client.by,
        minutes=order.minutes,
        now=now,
        by=client.by,
    )
    return AuthorizationShape(
        id=authorization.id,
        sad=authorization.token,
        expires_at=authorization.expires_at,
        documents=[AuthorizedDocument(document_id=one.id, digest=one.digest) for one in found],
    )


@router.post(
    "/documents/{document_id}/signatures",
    status_code=201,
    summary="Sign an authorised document",
    response_model=DocumentShape,
    responses=problems(404, 409, 410, 507),
)
def sign(
    document_id: DocumentId,
    order: SignatureOrder,
    wired: Wired,
    now: Now,
    client: Signer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The answer is a new document with the signature in it; the old one stays as it is."""
    sad = order.sad.get_secret_value()

    def act() -> Answer:
        source = wired.transit.find(document_id, client_id=client.client_id, now=now)
        authorization = activation.present(wired.house.desk, token=sad, client=client.by, now=now)
        made = _sign(wired, source, order.request(), authorization, now=now, by=client.by)
        return Answer(
            201,
            headers={"Location": f"/api/v1/documents/{made.id}"},
            text=DocumentShape.of(made).model_dump_json(),
        )

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("POST sign", document_id, sad, order.model_dump_json(exclude={"sad"})),
        act=act,
        now=now,
    )


@router.post(
    "/signatures",
    status_code=201,
    summary="Sign in one call: the file and the PIN go in, the signed file comes back",
    response_class=Response,
    responses={
        201: {"content": {"application/pdf": {}}, "description": "The signed PDF"},
        **problems(404, 507),
    },
)
def sign_at_once(
    wired: Wired,
    now: Now,
    client: Signer,
    file: Annotated[UploadFile, File(description="A PDF")],
    credential_id: CredentialForm,
    pin: PinForm,
    how: HowForm = "{}",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The PIN authorises the digest of exactly this file. `Content-Location` names the result."""
    digest = digest_of(file)
    request = _how(how).request()
    secret = pin.get_secret_value()

    def act() -> Answer:
        require_credential(wired, client, credential_id)
        source = wired.transit.put_chunks(
            pieces_of(file), client_id=client.client_id, name=file.filename, act="uploaded", now=now
        )
        authorization = _authorizer(wired, credential_id, secret, client, now=now)([digest])
        made = _sign(wired, source, request, authorization, now=now, by=client.by)
        return _delivered(made)

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=(
            "POST /signatures",
            file.filename or "",
            digest,
            credential_id,
            secret,
            how,
        ),
        act=act,
        now=now,
    )


@router.post(
    "/signatures/sealed",
    status_code=201,
    summary="The authorised person signs, then the agency seals",
    response_class=Response,
    responses={
        201: {"content": {"application/pdf": {}}, "description": "The signed and sealed PDF"},
        **problems(404, 507),
    },
)
def sign_and_seal(
    wired: Wired,
    now: Now,
    client: Signer,
    file: Annotated[UploadFile, File(description="A PDF")],
    credential_id: CredentialForm,
    pin: PinForm,
    seal_credential_id: CredentialForm,
    seal_pin: PinForm,
    how: HowForm = "{}",
    seal_how: HowForm = "{}",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """In the order of decree 30/2020: no seal without a valid signature of the person."""
    data = file.file.read()
    requests = (_how(how).request(), _how(seal_how).request())
    pins = (pin.get_secret_value(), seal_pin.get_secret_value())

    def act() -> Answer:
        for one in (credential_id, seal_credential_id):
            require_credential(wired, client, one)
        source = wired.transit.put(
            data, client_id=client.client_id, name=file.filename, act="uploaded", now=now
        )
        sealed = workflow.sign_then_seal(
            wired.house.desk,
            data,
            person=_authorizer(wired, credential_id, pins[0], client, now=now),
            person_request=requests[0],
            seal=_authorizer(wired, seal_credential_id, pins[1], client, now=now),
            seal_request=requests[1],
            now=now,
            by=client.by,
        )
        made = wired.transit.put(
            sealed.data,
            client_id=client.client_id,
            name=source.name,
            act="sealed",
            source_id=source.id,
            now=now,
        )
        return _delivered(made)

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=(
            *("POST /signatures/sealed", file.filename or "", data, credential_id, pins[0], how),
            *(seal_credential_id, pins[1], seal_how),
        ),
        act=act,
        now=now,
    )


def require_credential(wired: Services, client: Client, credential_id: str) -> None:
    """A client asks only holders of the units it works for."""
    unit = credentials.find(wired.house.desk, credential_id).unit
    if unit is not None and not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)


def _authorizer(
    wired: Services, credential_id: str, pin: str, client: Client, *, now: datetime
) -> workflow.Authorizer:
    return lambda digests: activation.authorize(
        wired.house.desk,
        credential_id=credential_id,
        pin=pin,
        digests=digests,
        client=client.by,
        now=now,
        by=client.by,
    )


def _sign(
    wired: Services,
    source: Document,
    request: SignatureRequest,
    authorization: Authorization,
    *,
    now: datetime,
    by: str,
) -> Document:
    """Sign and keep: the result is in transit before its outcome is recorded.

    The file is mapped, and the result written piece by piece: two hundred megabytes cost no more
    memory than two.
    """
    kept: list[Document] = []

    def keep(signed: SignedDocument) -> None:
        kept.append(
            wired.transit.put_chunks(
                signed.chunks(),
                client_id=source.client_id,
                name=source.name,
                act="signed",
                source_id=source.id,
                now=now,
            )
        )

    with wired.transit.original(source) as original:
        signing.sign_pdf(
            wired.house.desk,
            original,
            request,
            authorization=authorization,
            now=now,
            by=by,
            keep=keep,
        )
    return kept[0]


def _how(text: str) -> How:
    try:
        return How.model_validate_json(text)
    except ValidationError as error:
        places = [{**one, "loc": ("body", "how", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(places) from error


def _delivered(document: Document) -> Answer:
    return Answer(
        201,
        media_type="application/pdf",
        headers=delivery_headers(document),
        document_id=document.id,
    )
