"""The methods of each version, and the routes made of them: `/csc/v1` is 1.0.4, `/csc/v2` 2.0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from api.auth.guard import Now
from api.csc import (
    announcement,
    authorization_methods,
    consent_pages,
    credential_methods,
    oauth2,
    operations,
    signature_methods,
)
from api.csc.calls import Call, CscRoute, Method, Parameters, Reply, read_bearer, read_json, remote
from api.csc.errors import PRIVATE, CscRefusal

_BOTH: dict[str, Method] = {
    "credentials/list": credential_methods.list_credentials,
    "credentials/info": credential_methods.describe_credential,
    "credentials/authorize": authorization_methods.authorize,
    "credentials/extendTransaction": authorization_methods.extend_transaction,
    "signatures/signHash": signature_methods.sign_hash,
    "signatures/timestamp": signature_methods.time_stamp,
}
METHODS: dict[str, dict[str, Method]] = {
    "v1": {**_BOTH, "credentials/sendOTP": authorization_methods.send_otp},
    "v2": {
        **_BOTH,
        "credentials/authorizeCheck": authorization_methods.check_authorization,
        "credentials/getChallenge": authorization_methods.challenge,
        "signatures/signDoc": signature_methods.sign_document,
        "signatures/signPolling": operations.poll,
    },
}

_methods = APIRouter(include_in_schema=False, route_class=CscRoute)
Body = Depends(read_json)


def _answered(reply: Reply) -> Response:
    if reply.body is None:
        return Response(status_code=reply.status, headers=PRIVATE, background=reply.afterwards)
    return JSONResponse(
        dict(reply.body), reply.status, headers=PRIVATE, background=reply.afterwards
    )


def _endpoint(version: str, method: Method) -> Callable[..., Response]:
    def endpoint(request: Request, now: Now, given: Mapping[str, Any] = Body) -> Response:
        wired = remote(request)
        bearer = read_bearer(request, wired.wired, now=now)
        return _answered(method(Call(version, Parameters(given), wired, now, bearer)))

    return endpoint


def _info(version: str) -> Callable[..., Response]:
    def info(request: Request, now: Now, given: Mapping[str, Any] = Body) -> Response:
        call = Call(version, Parameters(given), remote(request), now)
        return _answered(announcement.announce(call, tuple(METHODS[version])))

    return info


def _unknown() -> Response:
    """§10.1: 501 for a method that is not implemented."""
    raise CscRefusal("csc-method-unknown")


for _version, _table in METHODS.items():
    _methods.add_api_route(f"/csc/{_version}/info", _info(_version), methods=["POST"])
    for _name, _method in _table.items():
        _methods.add_api_route(
            f"/csc/{_version}/{_name}", _endpoint(_version, _method), methods=["POST"]
        )
    _methods.add_api_route(f"/csc/{_version}/{{method:path}}", _unknown, methods=["POST"])


ROUTERS = (_methods, oauth2.router, oauth2.pages, consent_pages.router)
