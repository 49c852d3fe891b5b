"""Where a key object is just now: session objects come and go, keys stay."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from pkcs11 import Attribute, Mechanism, ObjectClass

from hsm.errors import HsmError, TokenUnavailable
from hsm.mechanisms import DIGEST_INFO
from hsm.public_key import PublicKey
from hsm.signature import der_signature

if TYPE_CHECKING:
    from hsm.connection import Connection


class Reference(Protocol):
    """Where the key object is now. `live` is called on the PKCS#11 thread only."""

    connection: Connection

    def live(self, session: pkcs11.Session) -> Any: ...


class ResidentReference:
    """A session copy of a resident key, made anew, and proved, after each recovery."""

    def __init__(self, connection: Connection, key_id: bytes, public_key: PublicKey) -> None:
        self.connection = connection
        self._key_id = key_id
        self._public_key = public_key
        self._copy: Any = None
        self._generation = 0

    def live(self, session: pkcs11.Session) -> Any:
        if self._generation != self.connection.generation:
            self._copy = self._find(session)
            self._generation = self.connection.generation
        return self._copy

    def _find(self, session: pkcs11.Session) -> Any:
        found: list[Any] = list(
            session.get_objects(
                {
                    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
                    Attribute.ID: self._key_id,
                    Attribute.TOKEN: True,
                }
            )
        )
        if len(found) != 1:
            code = "key-ambiguous" if found else "key-missing"
            raise HsmError(code, key_id=self._key_id.hex())
        copy = found[0].copy({Attribute.TOKEN: False})
        prove(copy, self._public_key, self._key_id)
        return copy


class SessionReference:
    """An unwrapped key: gone when destroyed, and with the session it lives in."""

    def __init__(self, connection: Connection, handle: Any) -> None:
        self.connection = connection
        self._handle = handle
        self._generation = connection.generation

    @property
    def gone(self) -> bool:
        return self._handle is None or self.connection.has_lost(self._generation)

    def live(self, session: pkcs11.Session) -> Any:  # noqa: ARG002 – a Reference
        if self._handle is None:
            raise HsmError("key-closed")
        if self.gone:  # the token came back without it: unwrapping it again helps
            raise TokenUnavailable("SessionLost")
        return self._handle

    def destroy(self) -> None:
        """On the PKCS#11 thread; a second time does nothing."""
        handle, gone, self._handle = self._handle, self.gone, None
        if not gone:
            handle.destroy()


def prove(handle: Any, public_key: PublicKey, key_id: bytes) -> None:
    """Sign and verify: the object found by CKA_ID is the key we think it is."""
    digest = hashlib.sha256(b"dauso key proof").digest()
    try:
        if isinstance(public_key, rsa.RSAPublicKey):
            signature = handle.sign(DIGEST_INFO["sha256"] + digest, mechanism=Mechanism.RSA_PKCS)
            public_key.verify(signature, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        else:
            signature = handle.sign(digest, mechanism=Mechanism.ECDSA)
            public_key.verify(
                der_signature(signature), digest, ec.ECDSA(Prehashed(hashes.SHA256()))
            )
    except InvalidSignature as error:
        raise HsmError("key-mismatch", key_id=key_id.hex()) from error
