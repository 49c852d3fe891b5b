"""A credential's life over HTTP, what an officer's client (scope `enrol`) does.

Whatever makes a new key answers with a one-time activation code, told once, for the holder to
choose a PIN with. What holders do themselves: `api.routes.own_credentials`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, File, Form, Security, UploadFile
from pydantic import SecretStr

from api import departures
from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.life_cycle_shapes import (
    CredentialId,
    Departure,
    HandedOver,
    Handovers,
    HandoverShape,
    HolderId,
    Keeper,
    NewKey,
    RekeyRequests,
    RekeyRequestShape,
    RequestId,
    Revocation,
    Stopped,
    Transfer,
    WithCode,
    WithReason,
    allowed_credential,
    allowed_request,
    credential_shape,
    may_touch,
)
from api.routes.shapes import CredentialShape, problems
from ca.names import Subject
from certify.units import units
from signer.holders import handovers, holder_acts, keepers, lifecycle, successors
from signer.holders.handout import new_code
from signer.holders.handovers import Permission
from signer.keys import credentials

router = APIRouter(prefix="/api/v1", tags=["life cycle"])
Officer = Annotated[Client, Security(caller, scopes=["enrol"])]


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
        if may_touch(client, credentials.find(desk, one.credential_id))
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
    allowed_request(wired, client, request_id)
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
    allowed_request(wired, client, request_id)
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
    allowed_credential(wired, client, credential_id)
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
    """The old key, certificate and credential end. A seal whose keeper left needs the next one."""
    allowed_credential(wired, client, credential_id)
    code = new_code()
    made = successors.rekey(
        wired.house.desk,
        credential_id,
        activation_code=code,
        reason=wanted.reason,
        keeper=wanted.keeper,
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
    former = allowed_credential(wired, client, credential_id)
    if not client.may_touch(wanted.unit):
        raise ApiError("unit-not-allowed", unit=wanted.unit)
    if wanted.unit not in units():
        raise ApiError("unit-not-known", unit=wanted.unit)
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
    made = successors.transfer(
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
    allowed_credential(wired, client, credential_id)
    lifecycle.suspend(wired.house.desk, credential_id, reason=why.reason, now=now, by=client.by)
    return credential_shape(wired, credential_id)


@router.post(
    "/credentials/{credential_id}/release",
    summary="Let a held credential go on",
    response_model=CredentialShape,
    responses=problems(404, 409),
)
def release(
    credential_id: CredentialId, wired: Wired, now: Now, client: Officer
) -> CredentialShape:
    allowed_credential(wired, client, credential_id)
    lifecycle.resume(wired.house.desk, credential_id, now=now, by=client.by)
    return credential_shape(wired, credential_id)


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
    allowed_credential(wired, client, credential_id)
    lifecycle.end(
        wired.house.desk,
        credential_id,
        reason=wanted.reason,
        invalidity_date=wanted.invalidity_date,
        now=now,
        by=client.by,
    )
    return credential_shape(wired, credential_id)


@router.post(
    "/holders/{holder_id}/departure",
    summary="An official leaves: everything of theirs stops at once",
    response_model=Stopped,
    responses=problems(404, 409),
)
def leave(
    holder_id: HolderId, departure: Departure, wired: Wired, now: Now, client: Officer
) -> Stopped:
    """One act: credentials, certificates, mandates, authorisations, delegations, the account."""
    for one in credentials.by_holder(wired.house.desk, holder_id):
        if one.state != "revoked" and one.profile == "official" and not may_touch(client, one):
            raise ApiError("unit-not-allowed", unit=one.unit or "")
    for seal in keepers.kept_by(wired.house.desk, holder_id):
        allowed_credential(wired, client, seal)
    left = departures.leave(
        wired.house, holder_id, decision=departure.decision, now=now, by=client.by
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
    allowed_credential(wired, client, credential_id)
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
    seal = allowed_credential(wired, client, credential_id)
    found = handovers.history(wired.house.desk, credential_id)
    return Handovers(
        keeper=seal.keeper,
        keeper_left=seal.keeper_left,
        handovers=[HandoverShape.of(one) for one in found],
    )


@router.put(
    "/credentials/{credential_id}/keeper",
    summary="Write down who keeps a seal that was enrolled without it",
    response_model=Handovers,
    responses=problems(404, 409),
)
def name_keeper(
    credential_id: CredentialId, wanted: Keeper, wired: Wired, now: Now, client: Officer
) -> Handovers:
    """Once: after that, only a hand-over by written permission makes it another's."""
    allowed_credential(wired, client, credential_id)
    keepers.name_first(wired.house.desk, credential_id, keeper=wanted.keeper, now=now, by=client.by)
    return history(credential_id, wired, client)
