"""What a holder does with their own credential over HTTP: activate, change the PIN, stop, ask.

Holders prove themselves by their PIN or code, through any client that may sign for their unit.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Security

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.routes.life_cycle_shapes import (
    Activation,
    CredentialId,
    OwnStop,
    PinChange,
    RekeyRequestShape,
    WithReason,
    allowed_credential,
    credential_shape,
)
from api.routes.shapes import CredentialShape, problems
from signer.holders import holder_acts
from signer.keys import pins

router = APIRouter(prefix="/api/v1", tags=["life cycle"])
Holder = Annotated[Client, Security(caller, scopes=["sign"])]


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
    allowed_credential(wired, client, credential_id)
    pins.activate(
        wired.house.desk,
        credential_id,
        code=activation.code.get_secret_value(),
        pin=activation.pin.get_secret_value(),
        now=now,
        by=client.by,
    )
    return credential_shape(wired, credential_id)


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
    allowed_credential(wired, client, credential_id)
    pins.change(
        wired.house.desk,
        credential_id,
        old=change.old.get_secret_value(),
        new=change.new.get_secret_value(),
        now=now,
        by=client.by,
    )
    return credential_shape(wired, credential_id)


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
    allowed_credential(wired, client, credential_id)
    holder_acts.suspend_own(
        wired.house.desk,
        credential_id,
        pin=stop.pin.get_secret_value(),
        reason=stop.reason,
        now=now,
        by=client.by,
    )
    return credential_shape(wired, credential_id)


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
    allowed_credential(wired, client, credential_id)
    made = holder_acts.request_rekey(
        wired.house.desk, credential_id, reason=asked.reason, now=now, by=client.by
    )
    return RekeyRequestShape.of(made)
