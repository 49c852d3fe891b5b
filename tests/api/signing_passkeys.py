"""Passkeys that open a key, at the screens: registered as a person would, and asked by a page.

device = passkey_of(service, credential_id, PIN)
post(service, page, **approved(service, page, device, digest=…))
"""

from __future__ import annotations

import base64
from typing import Any

from tests.api.conftest import Service
from tests.api.people import csrf
from tests.software_authenticator import Authenticator, b64url


def passkey_of(service: Service, credential_id: str, pin: str) -> Authenticator:
    """An authenticator at this service's address that opens the key of who is signed in."""
    device = Authenticator("pki.dauso.vn", "http://pki.dauso.vn")
    options = _asked(service, "/desk/account/passkeys/options")
    answer = device.create(
        _bytes(options["publicKey"]["challenge"]),
        user_handle=_bytes(options["publicKey"]["user"]["id"]),
    )
    form = {"ticket": options["ticket"], "answer": answer, "name": "Máy cơ quan", "prf": "yes"}
    _sent(service, "/desk/account/passkeys", form)
    home = f"/desk/certificates/{credential_id}/passkeys"
    named = {"passkey": b64url(device.passkey)}
    given = _answered(device, _asked(service, f"{home}/options", **named))
    _sent(service, home, {**named, **given, "pin": pin})
    return device


def approved(service: Service, page: str, device: Authenticator, **form: str) -> dict[str, str]:
    """The form of a page with the passkey's answer to the page's question."""
    return {**form, **_answered(device, _asked(service, f"{page}/question", **form))}


def _answered(device: Authenticator, asked: Any) -> dict[str, str]:
    (salt,) = asked["publicKey"]["extensions"]["prf"]["evalByCredential"].values()
    return {
        "question": asked["ticket"],
        "answer": device.get(_bytes(asked["publicKey"]["challenge"])),
        "secret": b64url(device.prf(_bytes(salt["first"]))),
    }


def _asked(service: Service, address: str, **form: str) -> Any:
    answer = service.http.post(address, data={"csrf": csrf(service.http), **form})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _sent(service: Service, address: str, form: dict[str, str]) -> None:
    data = {"csrf": csrf(service.http), **form}
    answer = service.http.post(address, data=data, follow_redirects=False)
    assert answer.status_code == 303, answer.text


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
