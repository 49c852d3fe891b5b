"""What the QR code of a copy says without a network: number, unit, day, SHA-256, signed.

    sealed = seal(Claims(unit="14797", number=1, volume=1, day=…, digest=…, size=…), key_id, sign)
    fragment(sealed)                   # what follows the # of the address in the QR code
    read(text).claims                  # from the address, the fragment, or the bytes

It is a COSE_Sign1 (RFC 9052 §4.2), ES256, in CBOR: about 140 octets, so that the code stays small
enough for paper. The address before the # is for a telephone with a network; what follows is never
sent to a server (RFC 3986 §3.5). Who may have signed: `certify.pages.code_keys`.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from certify.errors import CertifyError

KEY_ID_BYTES = 8
_COSE_SIGN1 = 18
_ALGORITHM, _KEY_ID = 1, 4
_ES256 = -7
_HALF = 32
_LONGEST = 4096
_UNIT, _NUMBER, _VOLUME, _DAY, _DIGEST, _SIZE = 1, 2, 3, 4, 5, 6
"""The labels of the claims; docs/flows/verify-offline.md lists them for other programs."""

Sign = Callable[[bytes], bytes]
"""Signs octets with ECDSA and SHA-256; gives a DER signature."""


@dataclass(frozen=True)
class Claims:
    """`digest` is that of the copy's first `size` octets with the QR code itself left blank."""

    unit: str
    number: int
    volume: int
    day: date
    digest: str
    size: int

    def encoded(self) -> bytes:
        """Canonical CBOR with short labels."""
        return cbor2.dumps(
            {
                _UNIT: self.unit,
                _NUMBER: self.number,
                _VOLUME: self.volume,
                _DAY: self.day.year * 10_000 + self.day.month * 100 + self.day.day,
                _DIGEST: bytes.fromhex(self.digest),
                _SIZE: self.size,
            },
            canonical=True,
        )


@dataclass(frozen=True)
class Sealed:
    """A read payload. Nothing in it is to be believed before `verify`."""

    claims: Claims
    key_id: bytes
    protected: bytes
    payload: bytes
    signature: bytes

    def verify(self, public_key: ec.EllipticCurvePublicKey) -> bool:
        """Whether the holder of this key signed exactly these claims."""
        r, s = (int.from_bytes(self.signature[at : at + _HALF]) for at in (0, _HALF))
        try:
            public_key.verify(
                encode_dss_signature(r, s),
                _to_be_signed(self.protected, self.payload),
                ec.ECDSA(hashes.SHA256()),
            )
        except InvalidSignature:
            return False
        return True


def seal(claims: Claims, key_id: bytes, sign: Sign) -> bytes:
    """The signed payload. `sign` is the unit's key on the token."""
    protected = cbor2.dumps({_ALGORITHM: _ES256, _KEY_ID: key_id}, canonical=True)
    payload = claims.encoded()
    r, s = decode_dss_signature(sign(_to_be_signed(protected, payload)))
    signature = r.to_bytes(_HALF) + s.to_bytes(_HALF)
    return cbor2.dumps(cbor2.CBORTag(_COSE_SIGN1, [protected, {}, payload, signature]))


def fragment(sealed: bytes) -> str:
    """Base64url without padding: legal in an address."""
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def read(text: str | bytes) -> Sealed:
    """Read a payload, from the whole address or the part after its #.

    Raises `CertifyError`: `qr-without-seal` (an address only), `qr-malformed`.
    """
    if isinstance(text, str):
        text = octets_of(text)
    if len(text) > _LONGEST:
        raise CertifyError("qr-malformed")
    try:
        source = io.BytesIO(text)
        tagged = cbor2.load(source)
        if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != _COSE_SIGN1:
            raise ValueError
        protected, unprotected, payload, signature = tagged.value
        if unprotected != {} or source.read(1):
            raise ValueError
        header, said = cbor2.loads(protected), cbor2.loads(payload)
        if header[_ALGORITHM] != _ES256 or len(header) != 2:
            raise ValueError
        key_id = _bytes(header[_KEY_ID], KEY_ID_BYTES)
        return Sealed(_claims(said), key_id, protected, payload, _bytes(signature, 2 * _HALF))
    except Exception as error:  # whatever a stranger's octets provoke, it is not a payload
        raise CertifyError("qr-malformed") from error


def octets_of(text: str) -> bytes:
    """The payload in an address or its fragment."""
    text = text.strip()
    if "#" not in text and "/" in text:
        raise CertifyError("qr-without-seal")
    encoded = text.rpartition("#")[2]
    if len(encoded) > _LONGEST:
        raise CertifyError("qr-malformed")
    try:
        return base64.b64decode(
            encoded.encode("ascii") + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError) as error:
        raise CertifyError("qr-malformed") from error


def _claims(said: Any) -> Claims:
    day, size, number, volume = (said[label] for label in (_DAY, _SIZE, _NUMBER, _VOLUME))
    if any(type(one) is not int or one < 1 for one in (day, size, number, volume)):
        raise ValueError
    if type(said[_UNIT]) is not str or len(said[_UNIT]) > 16:
        raise ValueError
    return Claims(
        unit=said[_UNIT],
        number=number,
        volume=volume,
        day=date(day // 10_000, day // 100 % 100, day % 100),
        digest=_bytes(said[_DIGEST], 32).hex(),
        size=size,
    )


def _bytes(value: Any, length: int) -> bytes:
    if type(value) is not bytes or len(value) != length:
        raise ValueError
    return value


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052 §4.4: the Sig_structure."""
    return cbor2.dumps(["Signature1", protected, b"", payload])
