"""One person at a time over HTTP: an officer's system registers them, the registry is asked.

Where the service keeps the key, the answer is a one-time activation code for the holder to choose
a PIN with; where the holder has a key of their own, a PKCS#10 request brings the certificate.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Security
from pydantic import Field
from starlette.responses import JSONResponse, Response

from api.adapters.population_registry import registry_of
from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.certificates import RequestShape, pem
from api.routes.life_cycle_shapes import WithCode
from api.routes.shapes import CredentialShape, Shape, problems
from ca import registration as own_keys
from ca.names import Subject
from certify.units import units
from hsm.mechanisms import KeyAlgorithm
from signer.holders import registration
from signer.holders.handout import new_code

router = APIRouter(prefix="/api/v1", tags=["enrolment"])
Officer = Annotated[Client, Security(caller, scopes=["enrol"])]
_PRIVATE = {"Cache-Control": "no-store"}


class Person(Shape):
    """Who it is, as their papers and the registry have it; the certificate says the same."""

    profile: Literal["official", "citizen"] = "official"
    name: str = Field(min_length=1, max_length=64, examples=["Nguyễn Thị Mẫu"])
    citizen_id: str = Field(pattern=r"^[0-9]{12}$", examples=["038812345678"])
    born: date | None = Field(None, description="Compared with the registry; in no certificate")
    unit: str | None = Field(None, max_length=64, examples=["14797"])
    unit_name: str = Field("", max_length=64, examples=["UBND phường Hạc Thành"])
    title: str = Field("", max_length=64)
    email: str = Field("", max_length=255)
    state: str = Field("", max_length=64, description="A citizen's province")
    locality: str = Field("", max_length=64, description="A citizen's commune")

    def subject(self) -> Subject:
        if self.profile == "citizen":
            return Subject.citizen(
                self.name, citizen_id=self.citizen_id, state=self.state, locality=self.locality
            )
        return Subject.official(
            self.name,
            citizen_id=self.citizen_id,
            unit=self.unit_name,
            title=self.title,
            email=self.email,
        )


class NewCredential(Person):
    """The key is made on the token and sealed under the activation code."""

    algorithm: Literal["rsa-2048", "rsa-3072", "p-256", "p-384"] = "rsa-2048"


class OwnKey(Person):
    """The holder's own key, on a token or card of theirs; possession is proven."""

    csr: str = Field(max_length=32_768, description="PKCS#10, PEM")


@router.post(
    "/credentials",
    status_code=201,
    summary="Register one person; the service keeps their key",
    operation_id="register_person",
    response_model=WithCode,
    responses=problems(409, 503),
)
def register(body: NewCredential, wired: Wired, now: Now, client: Officer) -> Response:
    """The registry is asked first, where one is set. The code in the answer is told once."""
    _may_touch(client, body)
    code = new_code()
    made = registration.register(
        wired.house.desk,
        profile=body.profile,
        subject=body.subject(),
        unit=body.unit,
        born=body.born,
        registry=registry_of(wired.house.settings),
        activation_code=code,
        algorithm=KeyAlgorithm(body.algorithm),
        now=now,
        by=client.by,
    )
    told = WithCode(credential=CredentialShape.of(made), activation_code=code)
    return JSONResponse(told.model_dump(mode="json"), 201, headers=_PRIVATE)


@router.post(
    "/holder-certificates",
    status_code=201,
    summary="A certificate for a person's own key (PKCS#10)",
    operation_id="register_own_key",
    response_model=RequestShape,
    responses=problems(409, 503),
)
def register_own_key(body: OwnKey, wired: Wired, now: Now, client: Officer) -> Response:
    """The name is the one the officer gives, not the request's; the registry is asked first."""
    _may_touch(client, body)
    authority = wired.house.authority
    made = own_keys.register(
        authority,
        profile=body.profile,
        csr=body.csr.encode(),
        subject=body.subject(),
        born=body.born,
        registry=registry_of(wired.house.settings),
        now=now,
        by=client.by,
    )
    more: dict[str, object] = {}
    if made.certificate is not None:
        more["certificate"] = pem(made.certificate)
        more["chain"] = [pem(one) for one in authority.chain(made.certificate)]
    shape = RequestShape.of(made.request, **more)
    return JSONResponse(shape.model_dump(), 201, headers=_PRIVATE)


def _may_touch(client: Client, body: Person) -> None:
    """A client of some units registers their officials only, and no citizens."""
    if client.units is not None and not (body.unit and client.may_touch(body.unit)):
        raise ApiError("unit-not-allowed", unit=body.unit or "*")
    if body.profile == "official" and body.unit not in units():
        raise ApiError("unit-not-known", unit=body.unit or "")
