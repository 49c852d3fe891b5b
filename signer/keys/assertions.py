"""What an authenticator says: checked as W3C WebAuthn Level 3 §7.2 prescribes, without HTTP.

The person must have been verified by the authenticator (fingerprint, face, its own PIN): presence
alone is not sole control. An assertion that is malformed, forged, replayed or another site's is
one thing to the caller: wrong, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from webauthn import verify_authentication_response
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException

from hsm.errors import PinWrong

_LARGEST = 16 * 1024


@dataclass(frozen=True)
class Party:
    """Who asks (the relying party): the domain that passkeys belong to, and its pages' origins."""

    id: str
    origins: tuple[str, ...]


@dataclass(frozen=True)
class Assertion:
    """A checked answer; the three byte strings are the proof that others can check again."""

    passkey: bytes
    sign_count: int
    client_data: bytes = field(repr=False)
    authenticator_data: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def passkey_of(text: str) -> bytes:
    """Which passkey an answer claims to be from. Raises PinWrong for what is no answer."""
    if len(text) > _LARGEST:
        raise PinWrong
    try:
        return bytes(parse_authentication_credential_json(text).raw_id)
    except (WebAuthnException, ValueError, TypeError, KeyError, RecursionError):
        raise PinWrong from None


def check(
    text: str, *, challenge: bytes, party: Party, public_key: bytes, sign_count: int
) -> Assertion:
    """Raises PinWrong whatever is wrong with it."""
    if len(text) > _LARGEST:
        raise PinWrong
    try:
        parsed = parse_authentication_credential_json(text)
        found = verify_authentication_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=list(party.origins),
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, RecursionError):
        raise PinWrong from None
    answer = parsed.response
    return Assertion(
        bytes(found.credential_id),
        found.new_sign_count,
        bytes(answer.client_data_json),
        bytes(answer.authenticator_data),
        bytes(answer.signature),
    )
