"""Signed tree heads: a text anybody can keep, and hold against the log years later.

The text is a C2SP checkpoint in a C2SP signed note: origin, size, root in base64, one
extension line with the time, an empty line, and the signature.

    dauso.audit
    1024
    6Hkz…=
    time 2026-03-01T00:00:00.000000Z

    — dauso.audit 3q2+7w…=

The signature is RSA PKCS#1 v1.5 or ECDSA over the text up to and including the newline
before the empty line, with SHA-256; the key may live in a token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from records.entry import instant

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
VerifyingKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

ORIGIN = "dauso.audit"
_OTHER_KEY_TYPE = b"\xff"  # C2SP signed-note: a type without a registered number
_SCHEME = b"dauso-sha256"


@dataclass(frozen=True)
class Checkpoint:
    """What the log was at one moment, and the signed text that says so."""

    origin: str
    size: int
    root: bytes
    at: datetime
    note: str

    @classmethod
    def parse(cls, note: str) -> Checkpoint:
        """Read a signed text; ValueError when it is not one. Does not verify."""
        body, _, signatures = note.partition("\n\n")
        origin, size, root, *extensions = body.split("\n")
        times = [line.removeprefix("time ") for line in extensions if line.startswith("time ")]
        if not signatures or len(times) != 1 or not size.isdecimal():
            raise ValueError("this is not a checkpoint")
        digest = base64.b64decode(root, validate=True)
        return cls(origin, int(size), digest, datetime.fromisoformat(times[0]), note)

    def signed_by(self, key: VerifyingKey) -> bool:
        """Whether the text is this checkpoint and carries a signature by `key`."""
        try:
            if Checkpoint.parse(self.note) != self:
                return False
        except ValueError:
            return False
        body, _, signatures = self.note.partition("\n\n")
        expected = key_id(self.origin, key)
        for line in signatures.splitlines():
            start, _, encoded = line.rpartition(" ")
            try:
                raw = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                continue
            if start == f"— {self.origin}" and raw[:4] == expected:
                return _verifies(key, raw[4:], (body + "\n").encode())
        return False


def sign_note(
    key: SigningKey, *, size: int, root: bytes, at: datetime, origin: str = ORIGIN
) -> Checkpoint:
    """Sign a tree head, and check the signature before anybody relies on it."""
    body = f"{origin}\n{size}\n{_b64(root)}\ntime {instant(at)}\n"
    public = key.public_key()
    signature = _b64(key_id(origin, public) + _sign(key, body.encode()))
    made = Checkpoint.parse(f"{body}\n— {origin} {signature}\n")
    if not made.signed_by(public):
        raise RuntimeError("the audit key made a signature that does not verify")
    return made


def key_id(origin: str, key: VerifyingKey) -> bytes:
    """C2SP signed-note key ID: the first four bytes of a hash over name, type and key."""
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(origin.encode() + b"\n" + _OTHER_KEY_TYPE + _SCHEME + public).digest()[:4]


def _sign(key: SigningKey, body: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(body, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(body, ec.ECDSA(hashes.SHA256()))


def _verifies(key: VerifyingKey, signature: bytes, body: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
