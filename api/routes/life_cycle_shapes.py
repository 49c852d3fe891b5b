"""What requests and answers about a credential's life look like, and whose a client may touch."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self

from fastapi import Path
from pydantic import BaseModel, Field, SecretStr

from api.auth.clients import Client
from api.errors import ApiError
from api.routes.shapes import CredentialShape, Shape, ZonedMoment
from api.services import Services
from ca.status.revocation import RevocationReason
from signer.holders import holder_acts
from signer.holders.handovers import Handover
from signer.holders.holder_acts import RekeyRequest
from signer.keys import credentials
from signer.keys.credentials import Credential

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
    invalidity_date: ZonedMoment | None = None


class NewKey(Shape):
    """Why: `superseded`, or `keyCompromise` when somebody else may have had the key."""

    reason: RevocationReason = RevocationReason.SUPERSEDED
    keeper: str | None = Field(
        None,
        max_length=64,
        examples=["CCCD:038800000004"],
        description="Who keeps the new key of an agency's seal whose keeper left",
    )


class Keeper(Shape):
    """Who keeps an agency's seal: the văn thư, by citizen number."""

    keeper: str = Field(max_length=64, examples=["CCCD:038800000003"])


class Transfer(Shape):
    """The official's new place; the person stays the same."""

    unit: str = Field(max_length=64, examples=["16378"])
    unit_name: str = Field(max_length=64, examples=["UBND phường Đông Sơn"])
    title: str = Field("", max_length=64)
    email: str = Field("", max_length=255)


class Departure(Shape):
    decision: str = Field(min_length=1, max_length=200, examples=["123/QĐ-UBND"])


class Stopped(BaseModel):
    """What ended; `seals_held` are seals they kept, out of use until the next keeper's key."""

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
    """`keeper` has it now, null where nobody wrote it down; `keeper_left`: held until a new key."""

    keeper: str | None
    keeper_left: bool
    handovers: list[HandoverShape]


def allowed_credential(wired: Services, client: Client, credential_id: str) -> Credential:
    credential = credentials.find(wired.house.desk, credential_id)
    if not may_touch(client, credential):
        raise ApiError("unit-not-allowed", unit=credential.unit or "")
    return credential


def allowed_request(wired: Services, client: Client, request_id: str) -> None:
    request = holder_acts.find_request(wired.house.desk, request_id)
    allowed_credential(wired, client, request.credential_id)


def may_touch(client: Client, credential: Credential) -> bool:
    return credential.unit is None or client.may_touch(credential.unit)


def credential_shape(wired: Services, credential_id: str) -> CredentialShape:
    return CredentialShape.of(credentials.find(wired.house.desk, credential_id))
