"""One token, opened once per process: its resident keys, and a way in for other work.

token = Token.open(TokenSettings(module, "dauso", pin))
resident = token.generate(KeyAlgorithm.P_256, label="TSA")
key = token.key(resident.key_id)            # a pyca private key; sign() runs in the token
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, ObjectClass

from hsm import module as modules
from hsm.connection import Connection, TokenSettings
from hsm.errors import HsmError
from hsm.key_pairs import generate_pair
from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import PrivateKey, private_key
from hsm.public_key import PublicKey, describe, load_public_key, public_key_of
from hsm.reference import ResidentReference, SessionReference

__all__ = ["ResidentKey", "Token", "TokenSettings"]

T = TypeVar("T")

_opened: Final[dict[tuple[Path, str], Token]] = {}
_opening: Final = threading.Lock()


@dataclass(frozen=True)
class ResidentKey:
    """A key pair that lives on the token: found by `key_id` (CKA_ID), labelled for people."""

    key_id: bytes
    label: str
    algorithm: KeyAlgorithm
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Token:
    """The opened token of this process; `open` with equal settings gives the same object."""

    def __init__(self, module: modules.Module, connection: Connection) -> None:
        """Use `open`."""
        self.settings = connection.settings
        self.connection = connection
        self._module = module
        self._keys: dict[bytes, PrivateKey] = {}

    @classmethod
    def open(cls, settings: TokenSettings, *, clock: Callable[[], float] = time.monotonic) -> Token:
        """Log in, once per process and token.

        HsmError `token-pin-wrong`, `token-ambiguous`, `module-missing`,
        `module-configured-otherwise`; TokenUnavailable when no token carries the label.
        """
        with _opening:
            known = _opened.get((settings.module, settings.label))
            if known is not None:
                return known._same(settings)
            module = modules.acquire(settings.module, settings.softhsm_conf)
            try:
                connection = Connection(module, settings, clock)
                module.thread.call(connection.open)
            except BaseException:
                modules.release(module)
                raise
            token = _opened[settings.module, settings.label] = cls(module, connection)
            return token

    def _same(self, settings: TokenSettings) -> Token:
        if not hmac.compare_digest(self.settings.pin.encode(), settings.pin.encode()):
            raise HsmError("token-pin-wrong", label=settings.label)
        if self.settings.softhsm_conf != settings.softhsm_conf:
            raise HsmError("module-configured-otherwise", module=settings.module.name)
        return self

    def close(self) -> None:
        """Log out; the last token of the module finalises it. Keys of this token stop signing."""
        with _opening:
            if _opened.get((self.settings.module, self.settings.label)) is not self:
                return
            del _opened[self.settings.module, self.settings.label]
            self._module.thread.call(self.connection.close)
            modules.release(self._module)

    def __repr__(self) -> str:
        return f"<Token {self.settings.label!r}>"

    # Work ------------------------------------------------------------------------------------

    def run(self, work: Callable[[pkcs11.Session], T]) -> T:
        """The result of `work(session)`, on the PKCS#11 thread (at once when already there).

        TokenUnavailable when the token is gone; HsmError `token-refused` when it is well but
        would not do this. `work` must finish its searches: a session does one thing at a time.
        """
        return self.connection.run(work)

    def on_token_thread(self, work: Callable[[], T]) -> T:
        """Run a whole job on the PKCS#11 thread, so that its signatures cost no hop each.

        Everybody else waits meanwhile: seconds at most.
        """
        return self.connection.on_thread(work)

    def post(self, work: Callable[[], object]) -> None:
        """Queue a job for the PKCS#11 thread and go on; it must not raise, and says itself when it
        is done. For those who may not wait, as an event loop. HsmError `token-closed`."""
        self.connection.post(work)

    def check(self) -> None:
        """Health: a signature by a resident key, now. Raises TokenUnavailable."""
        self.connection.check()

    def release(self, reference: SessionReference) -> None:
        """Destroy a session object. A token that is gone has destroyed it already."""

        def destroy() -> None:
            with suppress(pkcs11.PKCS11Error):
                reference.destroy()

        self.connection.on_thread(destroy)

    # Keys ------------------------------------------------------------------------------------

    def generate(self, algorithm: KeyAlgorithm, *, label: str) -> ResidentKey:
        """A new resident pair that signs and does nothing else, and never leaves the token."""
        key_id = secrets.token_bytes(16)

        def work(session: pkcs11.Session) -> PublicKey:
            public, private = generate_pair(
                session,
                algorithm,
                store=True,
                key_id=key_id,
                label=label,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
            self.connection.probe_with(key_id)
            encoded = describe(public)[1]
            if algorithm.is_rsa and describe(private)[1] == encoded:
                public.destroy()  # the private object tells it as well, and tokens count objects
            return load_public_key(encoded)

        return ResidentKey(key_id, label, algorithm, self.run(work))

    def key(self, key_id: bytes) -> PrivateKey:
        """The resident key with this CKA_ID; it signs from a session copy (no file access).

        HsmError `key-missing`.
        """
        return self.run(lambda session: self._key(session, key_id))

    def _key(self, session: pkcs11.Session, key_id: bytes) -> PrivateKey:
        known = self._keys.get(key_id)
        if known is None:
            algorithm, public_key = public_key_of(session, key_id)
            reference = ResidentReference(self.connection, key_id, public_key)
            reference.live(session)
            known = self._keys[key_id] = private_key(reference, algorithm, public_key)
        return known

    def resident_keys(self) -> list[ResidentKey]:
        """What is stored on the token and can sign, by label."""
        return self.run(_resident_keys)

    def object_count(self) -> int:
        """How many objects the token stores, of any class."""
        return self.run(lambda session: len(list(session.get_objects({Attribute.TOKEN: True}))))

    def remove(self, key_id: bytes) -> None:
        """Destroy a resident key for good (a dry run's, a rolled-over issuer's)."""

        def destroy(session: pkcs11.Session) -> None:
            for each in list(session.get_objects({Attribute.ID: key_id, Attribute.TOKEN: True})):
                each.destroy()
            self._keys.pop(key_id, None)
            self.connection.probe_without(key_id)

        self.run(destroy)


def _resident_keys(session: pkcs11.Session) -> list[ResidentKey]:
    found: list[Any] = list(
        session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: True})
    )
    keys = [ResidentKey(each.id, each.label, *public_key_of(session, each.id)) for each in found]
    return sorted(keys, key=lambda each: (each.label, each.key_id))


os.register_at_fork(after_in_child=_opened.clear)
