"""One token, opened once: a login, a way in for work, and a circuit breaker.

    token = Token.open(TokenSettings(module, "dauso", pin))
    resident = token.generate(KeyAlgorithm.P_256, label="TSA")
    key = token.key(resident.key_id)            # a pyca private key; sign() runs in the token

Health is a signature: a token whose storage went away still answers searches. When a call fails
and a probe signature fails too, the breaker opens: `TokenUnavailable` at once for everyone, and
after a back-off the next caller re-initialises the module, logs in and finds keys anew by CKA_ID.
"""

from __future__ import annotations

import hmac
import math
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.attributes import AttributeMapper

from hsm import module as modules
from hsm.attributes import unwrap_template_aware
from hsm.errors import HsmError, TokenUnavailable
from hsm.key_pairs import generate_pair
from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import PrivateKey, private_key
from hsm.public_key import PublicKey, describe, load_public_key, public_key_of
from hsm.reference import ResidentReference, SessionReference

T = TypeVar("T")

RETRY_LIMIT: Final = 30.0
"""Seconds: the back-off doubles up to here."""

_HARMLESS: Final = (
    pkcs11.AttributeReadOnly,
    pkcs11.AttributeSensitive,
    pkcs11.AttributeTypeInvalid,
    pkcs11.AttributeValueInvalid,
    pkcs11.MechanismInvalid,
    pkcs11.MechanismParamInvalid,
    pkcs11.PinIncorrect,
    pkcs11.TemplateInconsistent,
)
"""Answers only a token that works can give; anything else is doubted until a signature proves
the token well."""


@dataclass(frozen=True)
class TokenSettings:
    """Where a token is and how to log in; the PIN is never shown."""

    module: Path
    label: str
    pin: str = field(repr=False)
    softhsm_conf: Path | None = None
    """Set as SOFTHSM2_CONF before the module is initialised; None for a real HSM."""
    probe_seconds: float = 1.0
    """How long a good probe signature is believed before the next call makes another."""
    retry_seconds: float = 1.0
    """The first back-off after a failure; it doubles up to RETRY_LIMIT."""


@dataclass(frozen=True)
class ResidentKey:
    """A key pair that lives on the token: found by `key_id` (CKA_ID), labelled for people."""

    key_id: bytes
    label: str
    algorithm: KeyAlgorithm
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Token:
    """The opened token of this process; `open` with equal settings gives the same object."""

    _opened: Final[dict[tuple[Path, str], Token]] = {}

    def __init__(self, settings: TokenSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self._clock = clock
        self._module = modules.acquire(settings.module, settings.softhsm_conf)
        self._session: pkcs11.Session | None = None
        self._generation = 0
        self._depth = 0
        self._probed_at = -math.inf
        self._probe_id: bytes | None = None
        self._retry_at: float | None = None
        self._backoff = settings.retry_seconds
        self._keys: dict[bytes, PrivateKey] = {}

    @classmethod
    def open(cls, settings: TokenSettings, *, clock: Callable[[], float] = time.monotonic) -> Token:
        """Log in, once per process and token.

        HsmError `token-pin-wrong`, `token-ambiguous`, `module-missing`; TokenUnavailable when no
        token carries the label.
        """
        known = cls._opened.get((settings.module, settings.label))
        if known is not None:
            if not hmac.compare_digest(known.settings.pin.encode(), settings.pin.encode()):
                raise HsmError("token-pin-wrong", label=settings.label)
            if known.settings.softhsm_conf != settings.softhsm_conf:
                raise HsmError("module-configured-otherwise", module=settings.module.name)
            return known
        token = cls(settings, clock)
        try:
            token._module.thread.call(token._first_login)
        except BaseException:
            modules.release(token._module)
            raise
        cls._opened[settings.module, settings.label] = token
        return token

    def __repr__(self) -> str:
        return f"<Token {self.settings.label!r}>"

    # Work ------------------------------------------------------------------------------------

    def run(self, work: Callable[[pkcs11.Session], T]) -> T:
        """The result of `work(session)`, on the PKCS#11 thread (at once when already there).

        TokenUnavailable when the token is gone; HsmError `token-refused` when it is well but
        would not do this. `work` must finish its searches: a session does one thing at a time.
        """
        if self._module.thread.inside:
            return self._run(work)
        return self._module.thread.call(lambda: self._run(work))

    def on_token_thread(self, work: Callable[[], T]) -> T:
        """Run a whole job on the PKCS#11 thread, so that its signatures cost no hop each.

        Everybody else waits meanwhile: seconds at most.
        """
        return self._module.thread.call(work)

    def _run(self, work: Callable[[pkcs11.Session], T]) -> T:
        session = self._ready() if self._depth == 0 else self._session
        assert session is not None
        self._depth += 1
        try:
            return work(session)
        except pkcs11.PKCS11Error as error:
            if not isinstance(error, _HARMLESS):
                self.suspect(error)
            raise HsmError("token-refused", reason=type(error).__name__) from error
        finally:
            self._depth -= 1

    @property
    def generation(self) -> int:
        """Changes when session objects are lost: at login and at every recovery."""
        return self._generation

    # Health ----------------------------------------------------------------------------------

    def check(self) -> None:
        """Prove the token well with a signature, now. Raises TokenUnavailable."""
        self._probed_at = -math.inf
        self.run(lambda _: None)

    def _ready(self) -> pkcs11.Session:
        """The session, after what is due first: recovery, a new login, a probe."""
        if self._retry_at is not None:
            self._recover()
        elif self._generation != self._module.generation or self._session is None:
            self._guarded(self._login)
        elif self._clock() - self._probed_at > self.settings.probe_seconds:
            self._guarded(self._probe)
        assert self._session is not None
        return self._session

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except pkcs11.PKCS11Error as error:
            raise self._break(error) from error

    def suspect(self, error: pkcs11.PKCS11Error) -> None:
        """Inside work: was this error the request's or the token's? A signature tells.

        A token that cannot give one opens the breaker: raises TokenUnavailable.
        """
        try:
            self._probe()
        except pkcs11.PKCS11Error:
            raise self._break(error) from error

    def _break(self, error: pkcs11.PKCS11Error) -> TokenUnavailable:
        wait = self._backoff
        self._retry_at = self._clock() + wait
        self._backoff = min(wait * 2, RETRY_LIMIT)
        return TokenUnavailable(type(error).__name__, retry_after=max(1, math.ceil(wait)))

    def _recover(self) -> None:
        assert self._retry_at is not None
        left = self._retry_at - self._clock()
        if left > 0:
            raise TokenUnavailable("CircuitOpen", retry_after=max(1, math.ceil(left)))
        try:
            self._module.reinitialise()
            self._login()
        except pkcs11.PKCS11Error as error:
            raise self._break(error) from error
        self._retry_at = None
        self._backoff = self.settings.retry_seconds

    def _first_login(self) -> None:
        label = self.settings.label
        try:
            if self._module.library is None:
                self._module.initialise()
            try:
                self._login()
            except pkcs11.NoSuchToken:
                # A token initialised since then by another process is only seen afresh.
                self._module.reinitialise()
                self._login()
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
            raise HsmError("token-pin-wrong", label=label) from error
        except pkcs11.MultipleTokensReturned as error:
            raise HsmError("token-ambiguous", label=label) from error
        except pkcs11.PKCS11Error as error:
            raise TokenUnavailable(type(error).__name__) from error

    def _login(self) -> None:
        library = self._module.library
        if library is None:
            library = self._module.initialise()
        slot_token = library.get_token(token_label=self.settings.label)
        mapper: AttributeMapper = unwrap_template_aware()
        self._session = slot_token.open(
            rw=True, user_pin=self.settings.pin, attribute_mapper=mapper
        )
        self._generation = self._module.generation
        self._probe_id = None
        self._probe()

    def _probe(self) -> None:
        """Sign with a resident key: a session copy would go on signing after the token is gone."""
        session = self._session
        if session is None:
            raise pkcs11.SessionClosed
        wanted: dict[Attribute, Any] = {
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
            Attribute.TOKEN: True,
            Attribute.SIGN: True,
        }
        if self._probe_id is not None:
            wanted[Attribute.ID] = self._probe_id
        found: list[Any] = list(session.get_objects(wanted))
        if not found and self._probe_id is not None:
            raise pkcs11.NoSuchKey
        if found:
            # The cheapest: elliptic curves before RSA.
            key = min(found, key=lambda each: each.key_type is not KeyType.EC)
            self._probe_id = key.id
            is_ec = key.key_type is KeyType.EC
            key.sign(bytes(32), mechanism=Mechanism.ECDSA if is_ec else Mechanism.RSA_PKCS)
        else:
            session.generate_random(64)  # a token without keys has nothing to lose
        self._probed_at = self._clock()

    # Keys ------------------------------------------------------------------------------------

    def generate(self, algorithm: KeyAlgorithm, *, label: str) -> ResidentKey:
        """A new resident pair that signs and does nothing else, and never leaves the token."""
        key_id = secrets.token_bytes(16)

        def work(session: pkcs11.Session) -> PublicKey:
            public, _ = generate_pair(
                session,
                algorithm,
                store=True,
                key_id=key_id,
                label=label,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
            return load_public_key(describe(public)[1])

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
            reference = ResidentReference(self, key_id, public_key)
            known = self._keys[key_id] = private_key(reference, algorithm, public_key)
        return known

    def resident_keys(self) -> list[ResidentKey]:
        """What is stored on the token and can sign, by label."""
        return self.run(self._resident_keys)

    def _resident_keys(self, session: pkcs11.Session) -> list[ResidentKey]:
        found: list[Any] = list(
            session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: True})
        )
        keys = [
            ResidentKey(each.id, each.label, *public_key_of(session, each.id)) for each in found
        ]
        return sorted(keys, key=lambda each: (each.label, each.key_id))

    def object_count(self) -> int:
        """How many objects the token stores, of any class."""
        return self.run(lambda session: len(list(session.get_objects({Attribute.TOKEN: True}))))

    def remove(self, key_id: bytes) -> None:
        """Destroy a resident key for good (a dry run's, a rolled-over issuer's)."""

        def destroy(session: pkcs11.Session) -> None:
            for each in list(session.get_objects({Attribute.ID: key_id, Attribute.TOKEN: True})):
                each.destroy()
            self._keys.pop(key_id, None)
            if self._probe_id == key_id:
                self._probe_id = None

        self.run(destroy)

    def release(self, reference: SessionReference) -> None:
        """Destroy a session object. A token that is gone has destroyed it already."""

        def destroy() -> None:
            with suppress(pkcs11.PKCS11Error):
                reference.destroy()

        self._module.thread.call(destroy)

    def close(self) -> None:
        """Log out; the last token of the module finalises it. Keys of this token stop signing."""
        if Token._opened.pop((self.settings.module, self.settings.label), None) is None:
            return
        self._module.thread.call(self._logout)
        modules.release(self._module)

    def _logout(self) -> None:
        session, self._session = self._session, None
        self._generation = -1
        if session is not None:
            with suppress(pkcs11.PKCS11Error):  # a token that is gone needs no goodbye
                session.close()
