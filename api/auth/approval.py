"""How a person at the screen approves a signature: PIN or passkey, for exactly these digests.

    @router.post("/desk/…/question")          # what the passkey's button asks for first
    def question(…): return approval.ask(wired, credential_id, digests, client=…, now=now)

    @router.post("/desk/…")
    def sign(…, given: ApprovalForm): approval.authorizer(wired, given, credential_id=…, …)

The form is `approval.html`, included by the page; `static/passkeys.js` talks to the authenticator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Form
from pydantic import SecretStr

from api.auth.passkeys import decoded, encoded, party_of
from api.errors import ApiError
from api.services import Services
from certify.errors import CertifyError
from signer.keys import activation, passkey_questions, passkeys
from signer.keys.activation import Authorization
from signer.keys.passkey_questions import Question

_LONGEST_PIN = 64
_LARGEST_ANSWER = 16 * 1024
_NOTHING = SecretStr("")


@dataclass(frozen=True)
class Approval:
    """What the form brought: a PIN, or a passkey's answer to a question."""

    pin: SecretStr
    question: str
    answer: SecretStr
    secret: SecretStr


def _form(
    pin: Annotated[SecretStr, Form(max_length=_LONGEST_PIN)] = _NOTHING,
    question: Annotated[str, Form(max_length=64, pattern="^[0-9a-f]*$")] = "",
    answer: Annotated[SecretStr, Form(max_length=_LARGEST_ANSWER)] = _NOTHING,
    secret: Annotated[SecretStr, Form(max_length=100)] = _NOTHING,
) -> Approval:
    return Approval(pin, question, answer, secret)


ApprovalForm = Annotated[Approval, Depends(_form)]


def offered(wired: Services, credential_id: str) -> bool:
    """Whether a passkey opens this key, so that the page shows its button."""
    return bool(passkeys.of_credential(wired.house.desk, credential_id))


def ask(
    wired: Services,
    credential_id: str,
    digests: Sequence[bytes],
    *,
    client: str,
    now: datetime,
) -> dict[str, Any]:
    """The question for these digests, as `navigator.credentials.get` takes it."""
    asked = passkey_questions.ask(
        wired.house.desk, credential_id, digests=digests, client=client, now=now
    )
    return shown(wired, asked)


def ask_shown(
    wired: Services,
    credential_id: str,
    *,
    current: str,
    shown_digest: str,
    client: str,
    now: datetime,
) -> dict[str, Any]:
    """The question for one document, if it still is the one that the page showed (hex digests).

    Raises CertifyError `shown-not-current`.
    """
    if current != shown_digest:
        raise CertifyError("shown-not-current")
    return ask(wired, credential_id, [bytes.fromhex(current)], client=client, now=now)


def shown(wired: Services, asked: Question) -> dict[str, Any]:
    """A question for the browser: each passkey is asked with a salt of its own."""
    names = [encoded(passkey) for passkey, _ in asked.passkeys]
    salts = {
        name: {"first": encoded(salt)}
        for name, (_, salt) in zip(names, asked.passkeys, strict=True)
    }
    return {
        "ticket": asked.id,
        "publicKey": {
            "challenge": encoded(asked.challenge),
            "rpId": party_of(wired.house.settings).id,
            "timeout": 120_000,
            "userVerification": "required",
            "allowCredentials": [{"type": "public-key", "id": name} for name in names],
            "extensions": {"prf": {"evalByCredential": salts}},
        },
    }


def authorizer(
    wired: Services,
    given: Approval,
    *,
    credential_id: str,
    client: str,
    now: datetime,
    by: str,
    minutes: int = 5,
) -> Callable[[Sequence[bytes]], Authorization]:
    """What `workflow`, `batch` and the rest call with the digests to be signed.

    It raises what `activation.authorize` and `passkeys.authorize` raise.
    """
    desk = wired.house.desk
    wired.rates.take("code", f"approval:{by}")

    def with_pin(digests: Sequence[bytes]) -> Authorization:
        return activation.authorize(
            desk,
            credential_id=credential_id,
            pin=given.pin.get_secret_value(),
            digests=digests,
            client=client,
            now=now,
            by=by,
            minutes=minutes,
        )

    def with_passkey(digests: Sequence[bytes]) -> Authorization:
        return passkeys.authorize(
            desk,
            credential_id=credential_id,
            question=given.question,
            answer=answer_of(given),
            party=party_of(wired.house.settings),
            digests=digests,
            client=client,
            now=now,
            by=by,
            minutes=minutes,
        )

    return with_passkey if given.question else with_pin


def answer_of(given: Approval) -> passkeys.Answer:
    """The authenticator's answer. Raises ApiError `passkey-without-secret`, `…-malformed`."""
    if not given.secret.get_secret_value():
        raise ApiError("passkey-without-secret")
    secret = decoded(given.secret.get_secret_value())
    return passkeys.Answer(given.answer.get_secret_value(), secret)
