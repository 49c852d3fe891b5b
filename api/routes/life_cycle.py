"""A credential's life over HTTP: what its holder does, and what an officer does.

Holders prove themselves by their PIN or code through any client that may sign for their unit; an
officer's client has the scope `enrol`. Whatever makes a new key answers with a one-time activation
code, told once, for the holder to choose a PIN with.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import APIRouter, File, Form, Path, Security, UploadFile
from pydantic import BaseModel, Field, SecretStr

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import CredentialShape, Shape, problems
from api.services import Services
from ca.names import Subject
from ca.status.revocation import RevocationReason
from signer.holders import handovers, holder_acts, lifecycle
from signer.holders.handout import new_code
from signer.holders.handovers import Handover, Permission
from signer.holders.holder_acts import RekeyRequest
from signer.keys import credentials, pins
from signer.keys.credentials import Credential

router = APIRouter(prefix="/api/v1", tags=["life cycle"])
Holder = Annotated[Client, Security(caller, scopes=["sign"])]
Officer = Annotated[Client, Security(caller, scopes=["enrol"])]
CredentialId = Annotated[str, Path(max_length=64, examples=["4b1c7a…"])]
RequestId = Annotated[str, Path(max_length=64)]
HolderId = Annotated[str, Path(max_length=64, examples=["CCCD:038812345678"])]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class Activation(Shape):
    """The one-time code gives way to the holder's own PIN."""

    code: SecretStr
    pin: SecretStr


class PinChange(Shape):
    old: SecretStr
    new: SecretStr


class OwnStop(Shape):
    """The PIN proves that it is the holder who stops it."""

    pin: SecretStr
    reason: Reason


class WithReason(Shape):
    reason: Reason


class Revocation(Shape):
    """RFC 5280 §5.3.1; `invalidity_date` says since when the key is doubted (§5.3.2)."""

    reason: RevocationReason
    invalidity_date: datetime | None = None


class NewKey(Shape):
    """Why: `superseded`, or `keyCompromise` when somebody else may have had the key."""

    reason: RevocationReason = RevocationReason.SUPERSEDED


class Transfer(Shape):
    """The official's new place; the person stays the same."""

    unit: str = Field(max_length=64, examples=["14798"])
    unit_name: str = Field(max_length=64, examples=["UBND phường Đông Sơn"])
    title: str = Field("", max_length=64)
    email: str = Field("", max_length=255)


class Departure(Shape):
    decision: str = Field(min_length=1, max_length=200, examples=["123/QĐ-UBND"])


class Stopped(BaseModel):
    """What ended; `seals_held` are agency keys they kept, out of use until handed over."""

    credentials: list[str]
    certificates: list[str]
    seals_held: list[str]


class WithCode(BaseModel):
    """The code is told once; the holder chooses a PIN with it."""

    credential: CredentialShape
    activation_code: str


class RekeyRequestShape(BaseModel):
    """`state`: pending, done, rejected."""

    id: str
    credential_id: str
    reason: str
    state: str
    requested_at: datetime

    @classmethod
    def of(cls, request: RekeyRequest) -> Self:
        return cls(
            id=request.id,
            credential_id=request.credential_id,
            reason=request.reason,
            state=request.state,
            requested_at=request.requested_at,
        )


class RekeyRequests(BaseModel):
    requests: list[RekeyRequestShape]


class HandoverShape(BaseModel):
    """One entry of the record of an agency's key."""

    id: str
    given_by: str
    received_by: str
    permission_number: str
    permission_date: date
    permission_signer: str
    document: str = Field(description="SHA-256 of the written permission")
    at: datetime

    @classmethod
    def of(cls, made: Handover) -> Self:
        return cls(
            id=made.id,
            given_by=made.given_by,
            received_by=made.received_by,
            permission_number=made.permission_number,
            permission_date=made.permission_date,
            permission_signer=made.permission_signer,
            document=made.document,
            at=made.at,
        )


class HandedOver(BaseModel):
    handover: HandoverShape
    activation_code: str


class Handovers(BaseModel):
    handovers: list[HandoverShape]


# Holders --------------------------------------------------------------------------------------


@router.post(
    "/credentials/{credential_id}/activation",
    summary="First use: the code gives way to a PIN",
    response_model=CredentialShape,
    responses=problems(404, 409),
)
def activate(
    credential_id: CredentialId, activation: Activation, wired: Wired, now: Now, client: Holder
) -> CredentialShape:
    """Five wrong codes lock the credential."""
    _allowed(wired, client, credential_id)
    pins.activate(
        wired.house.desk,
        credential_id,
        code=activation.code.get_secret_value(),
        pin=activation.pin.get_secret_value(),
        now=now,
        by=client.by,
    )
    return _shape(wired, credential_id)


@router.post(
    "/credentials/{credential_id}/pin",
    summary="Change the PIN",
    response_model=CredentialShape,
    responses=problems(404),
)
def change_pin(
    credential_id: CredentialId, change: PinChange, wired: Wired, now: Now, client: Holder
) -> CredentialShape:
    """The old one opens nothing from then on."""
    _allowed(wired, client, credential_id)
    pins.change(
        wired.house.desk,
        credential_id,
        old=change.old.get_secret_value(),
        new=change.new.get_secret_value(),
        now=now,
        by=client.by,
    )
    return _shape(wired, credential_id)


@router.post(
    "/credentials/{credential_id}/suspension",
    summary="The holder stops their own credential",
    response_model=CredentialShape,
    responses=problems(404, 409),
)
def suspend_own(
    credential_id: CredentialId, stop: OwnStop, wired: Wired, now: Now, client: Holder
) -> CredentialShape:
    """The certificate is held (certificateHold); an officer lets both go on."""
    _allowed(wired, client, credential_id)
    holder_acts.suspend_own(
        wired.house.desk,
        credential_id,
        pin=stop.pin.get_secret_value(),
        reason=stop.reason,
        now=now,
        by=client.by,
    )
    return _shape(wired, credential_id)


@router.post(
    "/credentials/{credential_id}/rekey-requests",
    status_code=201,
    summary="The holder asks for a new key",
    response_model=RekeyRequestShape,
    responses=problems(404, 409),
)
def request_rekey(
    credential_id: CredentialId, asked: WithReason, wired: Wired, now: Now, client: Holder
) -> RekeyRequestShape:
    """A lost PIN leads here: there is no escrow. Another client grants it."""
    _allowed(wired, client, credential_id)
    made = holder_acts.request_rekey(
        wired.house.desk, credential_id, reason=asked.reason, now=now, by=client.by
    )
    return RekeyRequestShape.of(made)


# Officers -------------------------------------------------------------------------------------


@router.get(
    "/rekey-requests",
    summary="Requests for new keys that wait",
    response_model=RekeyRequests,
    responses=problems(),
)
def waiting(wired: Wired, client: Officer) -> RekeyRequests:
    """Oldest first, of the units the client works for."""
    desk = wired.house.desk
    found = [
        one
        for one in holder_acts.waiting_requests(desk)
        if _may(client, credentials.find(desk, one.credential_id))
    ]
    return RekeyRequests(requests=[RekeyRequestShape.of(one) for one in found])


@router.post(
    "/rekey-requests/{request_id}/grant",
    status_code=201,
    summary="Grant a new key",
    response_model=WithCode,
    responses=problems(404, 409),
)
def grant(request_id: RequestId, wired: Wired, now: Now, client: Officer) -> WithCode:
    """The old key ends; the code is told once. Not by the client that asked."""
    _allowed_request(wired, client, request_id)
    code = new_code()
    made = holder_acts.grant_rekey(
        wired.house.desk, request_id, activation_code=code, now=now, by=client.by
    )
    return WithCode(credential=CredentialShape.of(made), activation_code=code)


@router.post(
    "/rekey-requests/{request_id}/rejection",
    summary="Turn a request for a new key down",
    response_model=RekeyRequestShape,
    responses=problems(404, 409),
)
def reject(
    request_id: RequestId, why: WithReason, wired: Wired, now: Now, client: Officer
) -> RekeyRequestShape:
    _allowed_request(wired, client, request_id)
    made = holder_acts.reject_rekey(
        wired.house.desk, request_id, reason=why.reason, now=now, by=client.by
    )
    return RekeyRequestShape.of(made)


@router.post(
    "/credentials/{credential_id}/renewal",
    summary="A new certificate for the same key",
    response_model=CredentialShape,
    responses=problems(404, 409),
)
def renew(credential_id: CredentialId, wired: Wired, now: Now, client: Officer) -> CredentialShape:
    """PIN and identifier stay."""
    _allowed(wired, client, credential_id)
    return CredentialShape.of(
        lifecycle.renew(wired.house.desk, credential_id, now=now, by=client.by)
    )


@router.post(
    "/credentials/{credential_id}/rekeying",
    status_code=201,
    summary="A new key for the same holder",
    response_model=WithCode,
    responses=problems(404, 409),
)
def rekey(
    credential_id: CredentialId, wanted: NewKey, wired: Wired, now: Now, client: Officer
) -> WithCode:
    """The old key, certificate and credential end."""
    _allowed(wired, client, credential_id)
    code = new_code()
    made = lifecycle.rekey(
        wired.house.desk,
        credential_id,
        activation_code=code,
        reason=wanted.reason,
        now=now,
        by=client.by,
    )
    return WithCode(credential=CredentialShape.of(made), activation_code=code)


@router.post(
    "/credentials/{credential_id}/transfer",
    status_code=201,
    summary="An official goes to another unit",
    response_model=WithCode,
    responses=problems(404, 409),
)
def transfer(
    credential_id: CredentialId, wanted: Transfer, wired: Wired, now: Now, client: Officer
) -> WithCode:
    """New name in the certificate, new key; the old ones end (affiliationChanged)."""
    former = _allowed(wired, client, credential_id)
    if not client.may_touch(wanted.unit):
        raise ApiError("unit-not-allowed", unit=wanted.unit)
    if former.profile != "official":
        raise ApiError("parameter-invalid", name="credential_id", reason="not an official's")
    code = new_code()
    subject = Subject.official(
        former.name,
        citizen_id=former.holder.citizen_id,
        unit=wanted.unit_name,
        title=wanted.title,
        email=wanted.email,
    )
    made = lifecycle.transfer(
        wired.house.desk,
        credential_id,
        subject=subject,
        unit=wanted.unit,
        activation_code=code,
        now=now,
        by=client.by,
    )
    return WithCode(credential=CredentialShape.of(made), activation_code=code)


@router.post(
    "/credentials/{credential_id}/hold",
    summary="Take a credential out of use for a while",
    response_model=CredentialShape,
    responses=problems(404, 409),
)
def hold(
    credential_id: CredentialId, why: WithReason, wired: Wired, now: Now, client: Officer
) -> CredentialShape:
    """certificateHold, until `release`."""
    _allowed(wired, client, credential_id)
    lifecycle.suspend(wired.house.desk, credential_id, reason=why.reason, now=now, by=client.by)
    return _shape(wired, credential_id)


@router.post(
    "/credentials/{credential_id}/release",
    summary="Let a held credential go on",
    response_model=CredentialShape,
    responses=problems(404, 409),
)
def release(
    credential_id: CredentialId, wired: Wired, now: Now, client: Officer
) -> CredentialShape:
    _allowed(wired, client, credential_id)
    lifecycle.resume(wired.house.desk, credential_id, now=now, by=client.by)
    return _shape(wired, credential_id)


@router.post(
    "/credentials/{credential_id}/revocation",
    summary="End a credential and its certificates for good",
    response_model=CredentialShape,
    responses=problems(404, 409),
)
def revoke(
    credential_id: CredentialId, wanted: Revocation, wired: Wired, now: Now, client: Officer
) -> CredentialShape:
    """The sealed key is erased; CRL and OCSP say so at once."""
    _allowed(wired, client, credential_id)
    since = wanted.invalidity_date
    if since is not None and since.tzinfo is None:
        raise ApiError("parameter-invalid", name="invalidity_date", reason="no time zone")
    lifecycle.end(
        wired.house.desk,
        credential_id,
        reason=wanted.reason,
        invalidity_date=since,
        now=now,
        by=client.by,
    )
    return _shape(wired, credential_id)


@router.post(
    "/holders/{holder_id}/departure",
    summary="An official leaves: everything of theirs stops at once",
    response_model=Stopped,
    responses=problems(404, 409),
)
def leave(
    holder_id: HolderId, departure: Departure, wired: Wired, now: Now, client: Officer
) -> Stopped:
    """One act: credentials, certificates, mandates, open authorisations."""
    for one in credentials.by_holder(wired.house.desk, holder_id):
        if one.state != "revoked" and one.profile == "official" and not _may(client, one):
            raise ApiError("unit-not-allowed", unit=one.unit or "")
    left = lifecycle.leave(
        wired.house.desk, holder_id, decision=departure.decision, now=now, by=client.by
    )
    return Stopped(
        credentials=list(left.credentials),
        certificates=list(left.certificates),
        seals_held=list(left.seals),
    )


@router.post(
    "/credentials/{credential_id}/handovers",
    status_code=201,
    summary="An agency's key passes to another keeper",
    response_model=HandedOver,
    responses=problems(404, 409),
)
def hand_over(
    credential_id: CredentialId,
    wired: Wired,
    now: Now,
    client: Officer,
    pin: Annotated[SecretStr, Form(description="Of the keeper who gives it away")],
    given_by: Annotated[str, Form(max_length=64, examples=["CCCD:038800000003"])],
    received_by: Annotated[str, Form(max_length=64, examples=["CCCD:038800000004"])],
    permission_number: Annotated[str, Form(min_length=1, max_length=100)],
    permission_date: Annotated[date, Form()],
    permission_signer: Annotated[str, Form(min_length=1, max_length=100)],
    permission: Annotated[UploadFile, File(description="The written permission")],
) -> HandedOver:
    """By written permission only; mandates end, the new keeper chooses a PIN with the code."""
    _allowed(wired, client, credential_id)
    code = new_code()
    made = handovers.hand_over(
        wired.house.desk,
        credential_id,
        pin=pin.get_secret_value(),
        given_by=given_by,
        received_by=received_by,
        permission=Permission(
            permission_number, permission_date, permission_signer, permission.file.read()
        ),
        activation_code=code,
        now=now,
        by=client.by,
    )
    return HandedOver(handover=HandoverShape.of(made), activation_code=code)


@router.get(
    "/credentials/{credential_id}/handovers",
    summary="Who kept an agency's key, since when, by whose permission",
    response_model=Handovers,
    responses=problems(404),
)
def history(credential_id: CredentialId, wired: Wired, client: Officer) -> Handovers:
    _allowed(wired, client, credential_id)
    found = handovers.history(wired.house.desk, credential_id)
    return Handovers(handovers=[HandoverShape.of(one) for one in found])


def _allowed(wired: Services, client: Client, credential_id: str) -> Credential:
    credential = credentials.find(wired.house.desk, credential_id)
    if not _may(client, credential):
        raise ApiError("unit-not-allowed", unit=credential.unit or "")
    return credential


def _allowed_request(wired: Services, client: Client, request_id: str) -> None:
    request = holder_acts.find_request(wired.house.desk, request_id)
    _allowed(wired, client, request.credential_id)


def _may(client: Client, credential: Credential) -> bool:
    return credential.unit is None or client.may_touch(credential.unit)


def _shape(wired: Services, credential_id: str) -> CredentialShape:
    return CredentialShape.of(credentials.find(wired.house.desk, credential_id))
