"""Holders' keys: born on the token, kept outside it wrapped, unwrapped only to sign.

    custody = Custody(token)
    wrapped = custody.generate(KeyAlgorithm.P_256)       # a row, not a token object
    with custody.unwrapped(wrapped) as key:              # a session object, destroyed on exit
        key.sign(data, ec.ECDSA(hashes.SHA256()))

A token then holds a handful of objects however many people there are. The key-encryption key
(KEK) only wraps and unwraps, cannot be changed or copied, and forces what it unwraps to stay
sensitive and unextractable (CKA_UNWRAP_TEMPLATE): the PIN of the token and a blob do not make
a readable key. That they make no signature either is `hsm.sealing`'s part.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, MechanismFlag, ObjectClass

from hsm.errors import HsmError, WrappedKeyDamaged
from hsm.kek import UNWRAPPED, choose_kek, find_kek
from hsm.key_pairs import generate_pair
from hsm.mechanisms import WRAP_MECHANISMS, KeyAlgorithm
from hsm.private_key import PrivateKey, private_key
from hsm.public_key import describe
from hsm.reference import SessionReference
from hsm.token import Token

_FORMAT: Final = 1
_HEADER: Final = 2 + 16
"""Blob header: format, mechanism, CKA_ID of the KEK; the wrapped key follows."""


@dataclass(frozen=True)
class WrappedKey:
    """A private key only the token's KEK can unwrap, and its public half (SPKI, DER).

    Useless without the token, but with the token it signs: store it sealed (`hsm.sealing`).
    """

    blob: bytes = field(repr=False)
    algorithm: KeyAlgorithm
    public_key: bytes


@dataclass(frozen=True)
class _Kept:
    reference: SessionReference
    key: PrivateKey
    blob: bytes
    until: datetime

    def serves(self, wrapped: WrappedKey, now: datetime) -> bool:
        return self.until > now and self.blob == wrapped.blob and not self.reference.gone


class Custody:
    """Generates, wraps and unwraps holders' keys under one KEK of the token."""

    def __init__(self, token: Token, *, kek_id: bytes | None = None, keep: int = 1000) -> None:
        """`keep` bounds the keys held unwrapped at once (about 14 kB each).

        The KEK is the token's only one, or the one with `kek_id`, or made if there is none.
        HsmError `kek-missing`, `kek-ambiguous`, `kek-unsafe`.
        """
        self._token = token
        self._keep = keep
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._keks: dict[bytes, Any] = {}
        self._generation = 0
        self._codes = dict(WRAP_MECHANISMS)
        self.kek_id: Final = token.run(lambda session: choose_kek(session, kek_id))

    def generate(self, algorithm: KeyAlgorithm) -> WrappedKey:
        """A new key pair, extractable for the moment between its birth and its wrapping."""

        def work(session: pkcs11.Session) -> WrappedKey:
            kek, mechanism = self._kek(session, self.kek_id)
            public, private = generate_pair(
                session,
                algorithm,
                store=False,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True},
            )
            try:
                blob = kek.wrap_key(private, mechanism=self._codes[mechanism])
                _, spki = describe(public)
            finally:
                private.destroy()
                public.destroy()
            return WrappedKey(bytes((_FORMAT, mechanism)) + self.kek_id + blob, algorithm, spki)

        return self._token.run(work)

    @contextmanager
    def unwrapped(self, wrapped: WrappedKey) -> Iterator[PrivateKey]:
        """The key as a session object, destroyed on exit.

        HsmError `wrapped-key-damaged`, `kek-missing`.
        """
        reference, key = self._token.run(lambda session: self._unwrap(session, wrapped))
        try:
            yield key
        finally:
            self._token.release(reference)

    def kept(
        self, wrapped: WrappedKey, *, handle: str, until: datetime, now: datetime
    ) -> PrivateKey:
        """The key, left unwrapped for the next time under `handle`, until `until`.

        For an open authorisation: its id is the handle. Ask again for each use; the oldest go
        when more than `keep` are held, and all that expired go at the next call.
        HsmError `key-hold-expired` when `until` is past.
        """

        def work() -> PrivateKey:
            known = self._kept.get(handle)
            if known is not None and known.serves(wrapped, now):
                self._kept.move_to_end(handle)
                return known.key
            return self._token.run(lambda session: self._hold(session, wrapped, handle, until, now))

        return self._token.on_token_thread(work)

    def forget(self, handle: str) -> None:
        """Destroy what is kept under `handle`: its authorisation is over."""
        self._token.on_token_thread(lambda: self._drop(handle))

    def sweep(self, now: datetime) -> None:
        """Destroy every kept key whose time is over."""
        self._token.on_token_thread(lambda: self._sweep(now))

    # On the PKCS#11 thread -------------------------------------------------------------------

    def _hold(
        self,
        session: pkcs11.Session,
        wrapped: WrappedKey,
        handle: str,
        until: datetime,
        now: datetime,
    ) -> PrivateKey:
        self._sweep(now)
        self._drop(handle)
        if until <= now:
            raise HsmError("key-hold-expired")
        reference, key = self._unwrap(session, wrapped)
        self._kept[handle] = _Kept(reference, key, wrapped.blob, until)
        while len(self._kept) > self._keep:
            self._drop(next(iter(self._kept)))
        return key

    def _sweep(self, now: datetime) -> None:
        for handle in [handle for handle, each in self._kept.items() if each.until <= now]:
            self._drop(handle)

    def _drop(self, handle: str) -> None:
        known = self._kept.pop(handle, None)
        if known is not None:
            self._token.release(known.reference)

    def _unwrap(
        self, session: pkcs11.Session, wrapped: WrappedKey
    ) -> tuple[SessionReference, PrivateKey]:
        blob = wrapped.blob
        if len(blob) <= _HEADER or blob[0] != _FORMAT or blob[1] not in self._codes:
            raise WrappedKeyDamaged
        code, kek_id = blob[1], blob[2:_HEADER]
        kek, _ = self._kek(session, kek_id)
        try:
            handle = kek.unwrap_key(
                ObjectClass.PRIVATE_KEY,
                wrapped.algorithm.key_type,
                blob[_HEADER:],
                mechanism=self._codes[code],
                capabilities=MechanismFlag.SIGN,
                template=UNWRAPPED,
            )
        except pkcs11.PKCS11Error as error:
            # SoftHSM answers a damaged blob with GENERAL_ERROR, which could also be its end.
            self._token.connection.suspect(error)
            raise WrappedKeyDamaged from error
        reference = SessionReference(self._token.connection, handle)
        return reference, private_key(reference, wrapped.algorithm, wrapped.public_key)

    def _kek(self, session: pkcs11.Session, kek_id: bytes) -> tuple[Any, int]:
        """The KEK object with this CKA_ID, found anew after a recovery, and its mechanism."""
        if self._generation != self._token.connection.generation:
            self._keks.clear()
            self._generation = self._token.connection.generation
        known = self._keks.get(kek_id)
        if known is None:
            known = self._keks[kek_id] = find_kek(session, kek_id)
        return known
