"""credentials/authorize and what belongs to it: from what the holder knows and has, a SAD.

Only for clients that the province trusts with people's PINs (the client scope `csc-explicit`);
everybody else goes through OAuth, where the PIN never leaves our own page.
"""

from __future__ import annotations

import secrets
from typing import Any

from api.csc import consent, tokens
from api.csc.algorithms import hash_algorithm, read_hash, require_length
from api.csc.calls import Call, Reply
from api.csc.consent import PAGE_LIFE
from api.csc.credential_methods import visible
from api.csc.credential_shapes import APPROVAL, CODE, PIN
from api.csc.errors import CscRefusal
from api.csc.models import Token
from api.csc.one_time_codes import channel, needs_code
from api.csc.outbox import Message
from signer import hash_signing
from signer.hash_signing import MOST_SIGNATURES
from signer.keys import activation, extension
from signer.keys.activation import Authorization, token_hash
from signer.keys.credentials import Credential

_INVALID = "csc-authentication-invalid"


def authorize(call: Call) -> Reply:
    """§11.6: a SAD for exactly these hashes, this client and this bearer; or a handle (202)."""
    # 1. Who may ask, and for which credential.
    credential = _explicit(call)
    # 2. What for: the hashes are part of it always (SCAL2).
    signatures = call.given.number("numSignatures")
    if signatures < 1:
        raise CscRefusal("csc-signatures-invalid")
    if signatures > MOST_SIGNATURES:
        raise CscRefusal("csc-signatures-too-many")
    hashes = read_hashes(call)
    if len(set(hashes)) > signatures:
        raise CscRefusal("csc-signatures-too-many")
    # 3. With what: PIN and code, or the holder's approval on our page.
    pin, code, elsewhere = _authentication(call)
    if elsewhere:
        return _ask_elsewhere(call, credential, hashes, signatures)
    client_id = call.bearer.client.client_id
    has_code = needs_code(credential)
    if has_code:
        if not code:
            raise CscRefusal("csc-otp-invalid" if call.version == "v1" else _INVALID)
        call.remote.codes.check(credential, code, client_id=client_id, now=call.now, by=call.by)
    authorization = hash_signing.authorize_hashes(
        call.wired.house.desk,
        credential_id=credential.id,
        pin=pin,
        digests=hashes,
        signatures=signatures,
        client=call.bearer.binding,
        now=call.now,
        by=call.by,
    )
    if has_code:
        call.remote.codes.spend(credential, client_id=client_id)
    # 4. Told once.
    return _told(call, authorization)


def check_authorization(call: Call) -> Reply:
    """§11.7: the SAD once the holder has approved, 202 until then."""
    handle = call.given.text("handle", longest=128)
    _require_service(call)
    found = consent.check_handle(call.remote, handle, binding=call.bearer.binding, now=call.now)
    if found is None:
        return Reply({"handle": handle}, status=202)
    return _told(call, found)


def challenge(call: Call) -> Reply:
    """§11.8: the one-time code goes out of band, hence 204."""
    credential = _explicit(call)
    if call.given.text("authObjectID", longest=64) != CODE or not needs_code(credential):
        raise CscRefusal("csc-parameter-invalid", name="authObjectID")
    return _send_code(call, credential)


def send_otp(call: Call) -> Reply:
    """1.0.4 §11.8 credentials/sendOTP."""
    credential = _explicit(call)
    if not needs_code(credential):
        raise CscRefusal("csc-parameter-invalid", name="credentialID")
    return _send_code(call, credential)


def extend_transaction(call: Call) -> Reply:
    """§11.9: the next hashes of a transaction, for a new SAD; never more than were agreed to."""
    _require_service(call, also=tokens.CREDENTIAL)
    credential = visible(call)
    hashes = read_hashes(call)
    authorization = presented(call, credential, required=True)
    extended = extension.extend(
        call.wired.house.desk, authorization, hashes, now=call.now, by=call.by
    )
    with call.wired.house.database.transaction() as session:
        tokens.follow(session, authorization.token, extended, now=call.now)
    return _told(call, extended)


def presented(call: Call, credential: Credential, *, required: bool = False) -> Authorization:
    """The authorisation behind the SAD of a call (§11.10).

    The SAD is the parameter, or the bearer token itself when its scope is `credential`. It opens
    only for the client and the bearer it was given to.
    """
    bearer = call.bearer
    desk = call.wired.house.desk
    if required or bearer.scope != tokens.CREDENTIAL or "SAD" in call.given:
        sad = call.given.text("SAD", longest=512)
    else:
        sad = bearer.token
    binding = _binding_of(call, sad) or bearer.binding
    authorization = activation.present(desk, token=sad, client=binding, now=call.now)
    if authorization.credential_id != credential.id:
        raise CscRefusal("csc-parameter-invalid", name="SAD")
    return authorization


def read_hashes(call: Call) -> list[bytes]:
    """The hashes of a call, each with the length of the algorithm named."""
    name = call.hashes_name
    listed = call.given.texts(name)
    if not listed:
        raise CscRefusal("csc-hash-empty")
    if len(listed) > MOST_SIGNATURES:
        raise CscRefusal("csc-signatures-too-many")
    hashes = [read_hash(one, name="hash") for one in listed]
    algorithm = call.given.maybe(call.hash_algorithm_name)
    if algorithm is not None:
        require_length(hashes, hash_algorithm(algorithm, name=call.hash_algorithm_name))
    elif call.version == "v2" and "signAlgo" not in call.given:
        # v2 §14.1: each time hashes are given, their algorithm is too
        raise CscRefusal("csc-parameter-missing", kind="string", name="hashAlgorithmOID")
    return hashes


def _explicit(call: Call) -> Credential:
    _require_service(call)
    if not call.bearer.explicit:
        raise CscRefusal("csc-client-unauthorized")
    return visible(call)


def _require_service(call: Call, *, also: str = "") -> None:
    if call.bearer.scope not in {tokens.SERVICE, also}:
        raise CscRefusal("csc-scope-insufficient")


def _binding_of(call: Call, sad: str) -> str | None:
    """The binding of a SAD that came as an access token, if this bearer may use it."""
    with call.wired.house.database.reading() as session:
        row = session.get(Token, token_hash(sad))
        if row is None:
            return None
        foreign = row.client_id != call.bearer.client.client_id or (
            call.bearer.holder_id not in {None, row.holder_id}
        )
        if row.scope != tokens.CREDENTIAL or row.kind != tokens.ACCESS or foreign:
            raise CscRefusal("csc-parameter-invalid", name="SAD")
        if row.revoked_at is not None or row.expires_at <= call.now:
            raise CscRefusal("csc-sad-expired")
        return tokens.binding(row.client_id, row.holder_id)


def _authentication(call: Call) -> tuple[str, str, bool]:
    """PIN, one-time code, and whether the holder is to approve on our own page."""
    if call.version == "v1":
        pin = call.given.maybe("PIN", longest=128)
        if not pin:
            raise CscRefusal("csc-pin-invalid")
        return pin, call.given.maybe("OTP", longest=16) or "", False
    found: dict[str, str] = {}
    for one in call.given.objects("authData"):
        name = one.text("id", longest=64)
        if name in found or name not in {PIN, CODE, APPROVAL}:
            raise CscRefusal(_INVALID)
        found[name] = one.maybe("value", longest=128) or ""
    if found == {APPROVAL: ""}:
        return "", "", True
    if APPROVAL in found or not found.get(PIN):
        raise CscRefusal(_INVALID)
    return found[PIN], found.get(CODE, ""), False


def _ask_elsewhere(
    call: Call, credential: Credential, hashes: list[bytes], signatures: int
) -> Reply:
    """The holder gets a link to our page; the client gets a handle to ask with."""
    address = channel(credential)
    if address is None:
        raise CscRefusal(_INVALID)
    asked: dict[str, Any] = {
        "scope": tokens.CREDENTIAL,
        "binding": call.bearer.binding,
        "credential_id": credential.id,
        "hashes": [one.hex() for one in hashes],
        "signatures": signatures,
        "labels": [],
        "description": call.given.maybe("description", longest=500) or "",
    }
    handle = secrets.token_urlsafe(32)
    client = call.bearer.client
    identifier = consent.ask(
        call.remote,
        kind="approval",
        client_id=client.client_id,
        asked=asked,
        state="shown",
        now=call.now,
        handle=handle,
    )
    link = f"{call.wired.house.settings.base_url}/csc/consent/{identifier}"
    text = (
        f"{client.name} xin ký {signatures} chữ ký bằng khoá của bạn. Xem và quyết định tại:\n"
        f"{client.name} asks for {signatures} signature(s). See it and decide at:\n{link}"
    )
    call.remote.outbox.send(Message(address, "Dấu Số", text, call.now + PAGE_LIFE), now=call.now)
    return Reply({"handle": handle}, status=202)


def _send_code(call: Call, credential: Credential) -> Reply:
    client = call.bearer.client
    call.remote.codes.send(
        credential,
        client_id=client.client_id,
        client_name=client.name,
        now=call.now,
        by=call.by,
    )
    return Reply(None, status=204)


def _told(call: Call, authorization: Authorization) -> Reply:
    seconds = int((authorization.expires_at - call.now).total_seconds())
    return Reply({"SAD": authorization.token, "expiresIn": seconds})
