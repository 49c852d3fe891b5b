"""Which credentials a client may ask a holder to use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Security
from pydantic import BaseModel

from api.auth.clients import Client
from api.auth.guard import Wired, caller
from api.errors import ApiError
from api.routes.shapes import CredentialShape, problems
from signer.keys import credentials

router = APIRouter(prefix="/api/v1", tags=["credentials"])
Signer = Annotated[Client, Security(caller, scopes=["sign"])]


class CredentialList(BaseModel):
    """Newest first."""

    credentials: list[CredentialShape]


@router.get(
    "/credentials",
    summary="A unit's or a holder's credentials",
    response_model=CredentialList,
    responses=problems(),
)
def find(
    wired: Wired,
    client: Signer,
    unit: Annotated[str | None, Query(max_length=64, examples=["14797"])] = None,
    holder: Annotated[
        str | None,
        Query(max_length=64, description="Prefix and number", examples=["CCCD:038812345678"]),
    ] = None,
    kind: Annotated[str | None, Query(pattern="^(official|citizen|agency)$")] = None,
) -> CredentialList:
    """Ask by `unit` or by `holder`; a client sees only the units it works for."""
    if (unit is None) == (holder is None):
        raise ApiError("parameter-invalid", name="unit, holder", reason="exactly one is needed")
    desk = wired.house.desk
    if unit is not None:
        if not client.may_touch(unit):
            raise ApiError("unit-not-allowed", unit=unit)
        found = credentials.of_unit(desk, unit, kind)
    else:
        found = credentials.by_holder(desk, holder or "")
    visible = [
        one
        for one in found
        if (kind is None or one.kind == kind) and (one.unit is None or client.may_touch(one.unit))
    ]
    return CredentialList(credentials=[CredentialShape.of(one) for one in visible])


@router.get(
    "/credentials/{credential_id}",
    summary="One credential",
    response_model=CredentialShape,
    responses=problems(404),
)
def look(
    credential_id: Annotated[str, Path(max_length=64)], wired: Wired, client: Signer
) -> CredentialShape:
    """Its state, its validity, its certificates."""
    credential = credentials.find(wired.house.desk, credential_id)
    if credential.unit is not None and not client.may_touch(credential.unit):
        raise ApiError("unit-not-allowed", unit=credential.unit)
    return CredentialShape.of(credential)
