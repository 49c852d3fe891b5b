"""credentials/list and credentials/info: which keys a bearer may ask for, and what they need."""

from __future__ import annotations

from typing import Any

from api.csc import tokens
from api.csc.calls import Call, Reply
from api.csc.credential_shapes import shape, usable
from api.csc.errors import CscRefusal
from signer.keys import credentials
from signer.keys.credentials import Credential

_CERTIFICATES = ("none", "single", "chain")
_PAGE = 100


def list_credentials(call: Call) -> Reply:
    """§11.4: the bearer's own, or those of the `userID` a trusted client names."""
    bearer = call.bearer
    if bearer.scope != tokens.SERVICE:
        raise CscRefusal("csc-scope-insufficient")
    given = call.given
    if bearer.holder_id is not None:
        if "userID" in given:
            raise CscRefusal("csc-user-not-null")
        holder_id = bearer.holder_id
    else:
        holder_id = given.text("userID", longest=64)
    detailed = given.flag("credentialInfo") if call.version == "v2" else False
    only_valid = given.flag("onlyValid") if call.version == "v2" else False
    shown = _how(call)
    authority = call.wired.house.authority
    found = [
        one
        for one in credentials.by_holder(call.wired.house.desk, holder_id)
        if one.unit is None or bearer.client.may_touch(one.unit)
    ]
    if only_valid:
        found = [one for one in found if usable(one, authority, now=call.now)]
    if call.version == "v1":
        return _paged(call, [one.id for one in found])
    answer: dict[str, Any] = {"credentialIDs": [one.id for one in found]}
    if detailed:
        answer["credentialInfos"] = [
            {"credentialID": one.id, **shape(one, bearer, authority, **shown)} for one in found
        ]
    if only_valid:
        answer["onlyValid"] = True
    return Reply(answer)


def describe_credential(call: Call) -> Reply:
    """§11.5."""
    credential = visible(call)
    authority = call.wired.house.authority
    return Reply(shape(credential, call.bearer, authority, **_how(call)))


def visible(call: Call) -> Credential:
    """The credential a call names, if its bearer may ask for it.

    CscRefusal `csc-parameter-invalid` for one that is not there or not the bearer's: which of the
    two is nobody's business.
    """
    credential_id = call.given.text("credentialID", longest=64)
    credential = credentials.find(call.wired.house.desk, credential_id)
    bearer = call.bearer
    strange = (
        (bearer.holder_id is not None and bearer.holder_id != credential.holder_id)
        or (bearer.credential_id is not None and bearer.credential_id != credential.id)
        or (credential.unit is not None and not bearer.client.may_touch(credential.unit))
    )
    if strange:
        raise CscRefusal("csc-parameter-invalid", name="credentialID")
    return credential


def language_of(call: Call) -> str:
    """`lang` (RFC 5646); Vietnamese unless English is asked for."""
    asked = call.given.maybe("lang", longest=64) or "vi"
    return "en" if asked.lower().startswith("en") else "vi"


def _how(call: Call) -> dict[str, Any]:
    given = call.given
    return {
        "version": call.version,
        "certificates": given.choice("certificates", _CERTIFICATES, "single"),
        "details": given.flag("certInfo"),
        "authorization": given.flag("authInfo"),
        "language": language_of(call),
        "now": call.now,
    }


def _paged(call: Call, found: list[str]) -> Reply:
    """1.0.4 §11.4: `maxResults`, `pageToken`; the token is the place to go on from."""
    most = call.given.number("maxResults", _PAGE)
    token = call.given.maybe("pageToken", longest=12) or "0"
    if most < 1:
        raise CscRefusal("csc-parameter-invalid", name="maxResults")
    if not token.isascii() or not token.isdigit():
        raise CscRefusal("csc-parameter-invalid", name="pageToken")
    start, end = int(token), int(token) + min(most, _PAGE)
    answer: dict[str, Any] = {"credentialIDs": found[start:end]}
    if end < len(found):
        answer["nextPageToken"] = str(end)
    return Reply(answer)
