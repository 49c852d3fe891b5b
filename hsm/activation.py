"""The seal of an open authorisation: made on the token, good until the authorisation expires.

The holder gave the PIN once; until the authorisation ends, any worker of this service may need
the wrapped key again (after a crash, on another node). So the blob is sealed anew under an AES
key that never leaves the token and does nothing else, bound to the authorisation's id and expiry.
"""

from __future__ import annotations

import os
import secrets
import struct
from datetime import datetime
from typing import Any, Final

import pkcs11
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass

from hsm.errors import HsmError, SealDamaged, SealExpired
from hsm.token import Token

ACTIVATION_LABEL: Final = "dauso activation key"

_ON_TOKEN: Final = 1
"""AES-256-GCM in the token."""
_ENVELOPE: Final = 2
"""For a token without GCM: a fresh data key under CBC on the token, the blob under it here. CBC
alone can be bent, but a bent data key fails the GCM of the blob."""
_HEADER: Final = struct.Struct(">2sBBQ")
_MAGIC: Final = b"DA"
_VERSION: Final = 1


class ActivationSeal:
    """Seals blobs under the token's activation key, which it makes if the token has none."""

    def __init__(self, token: Token, *, key_id: bytes | None = None) -> None:
        """HsmError `activation-key-missing`, `activation-key-ambiguous`."""
        self._token = token
        self._key: Any = None
        self._generation = 0
        self._method = _ON_TOKEN
        self.key_id: Final = token.run(lambda session: self._choose(session, key_id))

    def seal(self, blob: bytes, *, authorization_id: str, expires_at: datetime) -> bytes:
        """`blob`, to be opened only for this authorisation and before it expires."""
        return self._token.run(
            lambda session: self._seal(session, blob, authorization_id, expires_at)
        )

    def unseal(
        self, sealed: bytes, *, authorization_id: str, expires_at: datetime, now: datetime
    ) -> bytes:
        """The blob again.

        SealExpired from `expires_at` on; SealDamaged when the seal was changed or belongs to
        another authorisation or expiry.
        """
        if len(sealed) < _HEADER.size:
            raise SealDamaged("short")
        magic, version, method, expiry = _HEADER.unpack(sealed[: _HEADER.size])
        if magic != _MAGIC or version != _VERSION or method not in (_ON_TOKEN, _ENVELOPE):
            raise SealDamaged("format")
        if expiry != _milliseconds(expires_at):
            raise SealDamaged("expiry")
        if _milliseconds(now) >= expiry:
            raise SealExpired
        return self._token.run(
            lambda session: self._unseal(session, sealed, method, authorization_id)
        )

    # On the PKCS#11 thread -------------------------------------------------------------------

    def _seal(
        self, session: pkcs11.Session, blob: bytes, authorization_id: str, expires_at: datetime
    ) -> bytes:
        key = self._live(session)
        header = _HEADER.pack(_MAGIC, _VERSION, self._method, _milliseconds(expires_at))
        bound = header + authorization_id.encode()
        nonce = os.urandom(12)
        if self._method == _ON_TOKEN:
            body: bytes = key.encrypt(
                blob, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, bound, 128)
            )
            return header + nonce + body
        data_key, vector = os.urandom(32), os.urandom(16)
        hidden: bytes = key.encrypt(data_key, mechanism=Mechanism.AES_CBC, mechanism_param=vector)
        return header + nonce + vector + hidden + AESGCM(data_key).encrypt(nonce, blob, bound)

    def _unseal(
        self, session: pkcs11.Session, sealed: bytes, method: int, authorization_id: str
    ) -> bytes:
        key = self._live(session)
        header, rest = sealed[: _HEADER.size], sealed[_HEADER.size :]
        bound = header + authorization_id.encode()
        nonce, rest = rest[:12], rest[12:]
        try:
            if method == _ON_TOKEN:
                opened: bytes = key.decrypt(
                    rest, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, bound, 128)
                )
                return opened
            data_key = key.decrypt(
                rest[16:48], mechanism=Mechanism.AES_CBC, mechanism_param=rest[:16]
            )
            return AESGCM(data_key).decrypt(nonce, rest[48:], bound)
        except pkcs11.PKCS11Error as error:
            self._token.connection.suspect(error)
            raise SealDamaged("content") from error
        except (InvalidTag, ValueError) as error:
            raise SealDamaged("content") from error

    def _live(self, session: pkcs11.Session) -> Any:
        """The key object, found anew after a recovery."""
        if self._key is None or self._generation != self._token.connection.generation:
            found = _search(session, {Attribute.ID: self.key_id})
            if len(found) != 1:
                code = "activation-key-ambiguous" if found else "activation-key-missing"
                raise HsmError(code, label=ACTIVATION_LABEL)
            self._key = found[0]
            self._generation = self._token.connection.generation
        return self._key

    def _choose(self, session: pkcs11.Session, key_id: bytes | None) -> bytes:
        offered = session.token.slot.get_mechanisms()
        self._method = _ON_TOKEN if Mechanism.AES_GCM in offered else _ENVELOPE
        if key_id is not None:
            return key_id
        found = _search(session, {Attribute.LABEL: ACTIVATION_LABEL})
        if len(found) > 1:
            raise HsmError("activation-key-ambiguous", label=ACTIVATION_LABEL)
        chosen: bytes = found[0].id if found else _create(session)
        return chosen


def _create(session: pkcs11.Session) -> bytes:
    key_id = secrets.token_bytes(16)
    session.generate_key(
        KeyType.AES,
        256,
        id=key_id,
        label=ACTIVATION_LABEL,
        store=True,
        mechanism=Mechanism.AES_KEY_GEN,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template={
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.MODIFIABLE: False,
        },
    )
    return key_id


def _search(session: pkcs11.Session, wanted: dict[Attribute, Any]) -> list[Any]:
    return list(
        session.get_objects(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.TOKEN: True,
                **wanted,
            }
        )
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
