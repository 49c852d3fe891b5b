"""An authenticator in software: passkeys that a test holds in its hand (W3C WebAuthn Level 3).

    device = Authenticator("localhost", "http://localhost:8000")
    made = device.create(challenge)                    # the JSON a browser would send
    answer = device.get(challenge)
    secret = device.prf(salt)                          # hmac-secret: CTAP 2.1 §12.5

It can also lie, as a thief's would: `forge`, `verified=False`, a counter that stands still.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """One passkey."""

    domain: str
    origin: str
    verified: bool = True
    counting: bool = True
    passkey: bytes = field(default_factory=lambda: os.urandom(32))
    count: int = 0
    user_handle: bytes | None = None

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._secret = os.urandom(32)

    @property
    def public_key(self) -> bytes:
        """COSE (RFC 9053 §7.1.1)."""
        numbers = self._key.public_key().public_numbers()
        point = {-2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        return cbor2.dumps({1: 2, 3: -7, -1: 1, **point})

    def create(self, challenge: bytes, *, user_handle: bytes | None = None) -> str:
        """What `navigator.credentials.create` leads to."""
        self.user_handle = user_handle
        attested = bytes(16) + len(self.passkey).to_bytes(2, "big") + self.passkey
        data = self._authenticator_data(_ATTESTED) + attested + self.public_key
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": b64url(self._client_data("webauthn.create", challenge)),
            "attestationObject": b64url(attestation),
        }
        return json.dumps(self._credential(response))

    def get(self, challenge: bytes, *, forge: bool = False) -> str:
        """What `navigator.credentials.get` leads to."""
        self.count += self.counting
        client_data = self._client_data("webauthn.get", challenge)
        data = self._authenticator_data(0)
        signed = data + hashlib.sha256(client_data).digest()
        key = ec.generate_private_key(ec.SECP256R1()) if forge else self._key
        response = {
            "clientDataJSON": b64url(client_data),
            "authenticatorData": b64url(data),
            "signature": b64url(key.sign(signed, ec.ECDSA(hashes.SHA256()))),
        }
        if self.user_handle is not None:
            response["userHandle"] = b64url(self.user_handle)
        return json.dumps(self._credential(response))

    def prf(self, salt: bytes) -> bytes:
        """The PRF extension over hmac-secret: the salt is hashed with its own prefix first."""
        return hmac.digest(
            self._secret, hashlib.sha256(b"WebAuthn PRF\x00" + salt).digest(), hashlib.sha256
        )

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        name = b64url(self.passkey)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}

    def _client_data(self, kind: str, challenge: bytes) -> bytes:
        return json.dumps(
            {"type": kind, "challenge": b64url(challenge), "origin": self.origin}
        ).encode()

    def _authenticator_data(self, more: int) -> bytes:
        flags = _PRESENT | more | (_VERIFIED if self.verified else 0)
        domain = hashlib.sha256(self.domain.encode()).digest()
        return domain + bytes([flags]) + self.count.to_bytes(4, "big")
