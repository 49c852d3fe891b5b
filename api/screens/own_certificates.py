"""The holder's portal: my certificates, my PIN, my passkeys, and what I may do about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Depends, Form, Path, Query, Request
from pydantic import SecretStr
from starlette.responses import RedirectResponse, Response

from api.auth import approval, passkeys
from api.auth.approval import ApprovalForm
from api.auth.guard import Now, Wired
from api.auth.keys import keys_of, require_own
from api.auth.people import Person, SignedIn, csrf_checked, record_refusal
from api.errors import ApiError
from api.pages import language_for, render
from api.pages.own_certificates import certificate_view
from api.services import Services
from records.entry import plain
from records.errors import DomainError
from signer.holders import holder_acts, holder_images
from signer.keys import passkey_questions, pins
from signer.keys import passkeys as signing_passkeys

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
_HEAD = ["GET", "HEAD"]
_PATH = "/desk/certificates"
_NOTHING = SecretStr("")
CredentialId = Annotated[str, Path(max_length=64, pattern="^[0-9a-f]+$")]
Secret = Annotated[SecretStr, Form(max_length=64)]
_DONE = ("activated", "pin", "passkey", "passkey-removed", "suspended", "rekey", "image")


@router.api_route(_PATH, methods=_HEAD)
def listed(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """All of them, those in use first."""
    shown = [certificate_view(one, now=now) for one in keys_of(wired.house.desk, person)]
    shown.sort(key=lambda one: not one.living)
    return render(request, "certificates.html", certificates=shown)


@router.api_route(f"{_PATH}/{{credential_id}}", methods=_HEAD)
def one(
    credential_id: CredentialId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    done: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """One of them, with what its holder may do."""
    return _page(request, wired, person, credential_id, now=now, done=done)


@router.api_route(f"{_PATH}/{{credential_id}}/certificate.cer", methods=_HEAD)
def certificate(credential_id: CredentialId, wired: Wired, person: SignedIn) -> Response:
    """The certificate as a file (DER)."""
    found = require_own(wired.house.desk, person, credential_id)
    return Response(
        found.certificate.public_bytes(Encoding.DER),
        media_type="application/pkix-cert",
        headers={"Content-Disposition": f'attachment; filename="{credential_id}.cer"'},
    )


@router.post(f"{_PATH}/{{credential_id}}/activation")
def activate(
    credential_id: CredentialId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    code: Secret = _NOTHING,
    new: Secret = _NOTHING,
    again: Secret = _NOTHING,
) -> Response:
    """The one-time code gives way to the holder's own PIN."""

    def act() -> None:
        _require_same(new, again)
        pins.activate(
            wired.house.desk,
            credential_id,
            code=code.get_secret_value(),
            pin=new.get_secret_value(),
            now=now,
            by=person.by,
        )

    return acted(request, wired, person, credential_id, act, "activated", now=now)


@router.post(f"{_PATH}/{{credential_id}}/pin")
def change_pin(
    credential_id: CredentialId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    old: Secret = _NOTHING,
    new: Secret = _NOTHING,
    again: Secret = _NOTHING,
) -> Response:
    """Another PIN."""

    def act() -> None:
        _require_same(new, again)
        pins.change(
            wired.house.desk,
            credential_id,
            old=old.get_secret_value(),
            new=new.get_secret_value(),
            now=now,
            by=person.by,
        )

    return acted(request, wired, person, credential_id, act, "pin", now=now)


@router.post(f"{_PATH}/{{credential_id}}/passkeys/options")
def passkey_options(
    credential_id: CredentialId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    passkey: Annotated[str, Form(max_length=1400)] = "",
) -> dict[str, Any]:
    """The question to the passkey that is to open this key."""
    require_own(wired.house.desk, person, credential_id)
    name = passkeys.decoded(passkey)
    passkeys.public_key_of(wired.house.database, person, name)
    asked = passkey_questions.ask_to_enrol(wired.house.desk, credential_id, name, now=now)
    return approval.shown(wired, asked)


@router.post(f"{_PATH}/{{credential_id}}/passkeys")
def add_passkey(
    credential_id: CredentialId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    passkey: Annotated[str, Form(max_length=1400)] = "",
) -> Response:
    """The PIN once more, and from then on the passkey opens this key too."""

    def act() -> None:
        name = passkeys.decoded(passkey)
        public_key, title = passkeys.public_key_of(wired.house.database, person, name)
        signing_passkeys.enrol(
            wired.house.desk,
            credential_id,
            pin=given.pin.get_secret_value(),
            question=given.question,
            passkey=name,
            public_key=public_key,
            answer=approval.answer_of(given),
            party=passkeys.party_of(wired.house.settings),
            name=title,
            now=now,
            by=person.by,
        )

    return acted(request, wired, person, credential_id, act, "passkey", now=now)


@router.post(f"{_PATH}/{{credential_id}}/passkeys/{{passkey_id}}/removal")
def remove_passkey(
    credential_id: CredentialId,
    passkey_id: Annotated[str, Path(max_length=64, pattern="^[0-9a-f]+$")],
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
) -> Response:
    """The passkey opens this key no longer; it still signs its person in."""

    def act() -> None:
        signing_passkeys.remove(wired.house.desk, credential_id, passkey_id, now=now, by=person.by)

    return acted(request, wired, person, credential_id, act, "passkey-removed", now=now)


@router.post(f"{_PATH}/{{credential_id}}/suspension")
def suspend(
    credential_id: CredentialId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    pin: Secret = _NOTHING,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """The holder stops the key and its certificate at once."""

    def act() -> None:
        holder_acts.suspend_own(
            wired.house.desk,
            credential_id,
            pin=pin.get_secret_value(),
            reason=plain(reason),
            now=now,
            by=person.by,
        )

    return acted(request, wired, person, credential_id, act, "suspended", now=now)


@router.post(f"{_PATH}/{{credential_id}}/new-key")
def ask_for_key(
    credential_id: CredentialId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """A lost PIN or a doubt: a new key is asked for, which somebody else decides."""

    def act() -> None:
        holder_acts.request_rekey(
            wired.house.desk, credential_id, reason=plain(reason), now=now, by=person.by
        )

    return acted(request, wired, person, credential_id, act, "rekey", now=now)


def acted(
    request: Request,
    wired: Services,
    person: Person,
    credential_id: str,
    act: Callable[[], None],
    done: str,
    *,
    now: Any,
) -> Response:
    """Do it and show the page again: with what was done, or with what stood in the way."""
    require_own(wired.house.desk, person, credential_id)
    wired.rates.take("code", f"approval:{person.by}")
    try:
        act()
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, credential_id, now=now, problem=error, status=status)
    return RedirectResponse(f"{_PATH}/{credential_id}?done={done}", status_code=303)


def _page(
    request: Request,
    wired: Services,
    person: Person,
    credential_id: str,
    *,
    now: Any,
    done: str = "",
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    desk = wired.house.desk
    found = require_own(desk, person, credential_id)
    enrolled = signing_passkeys.of_credential(desk, credential_id)
    drawn, sent = holder_images.of_credential(desk, credential_id)
    waiting = [
        request_
        for request_ in holder_acts.waiting_requests(desk)
        if request_.credential_id == credential_id
    ]
    return render(
        request,
        "certificate.html",
        status=status,
        certificate=certificate_view(found, now=now),
        enrolled=enrolled,
        image=drawn,
        image_sent=sent,
        passkeys=passkeys.of_account(wired.house.database, person.account_id),
        rekey_waiting=bool(waiting),
        done=done if done in _DONE else "",
        problem=problem.message(language_for(request)) if problem is not None else "",
    )


def _require_same(new: SecretStr, again: SecretStr) -> None:
    if new.get_secret_value() != again.get_secret_value():
        raise ApiError("pin-differs-from-first")
