"""One login to one token: its health, its circuit breaker and its way back.

Health is a signature: a token whose storage went away still answers searches. A good probe is
believed for a second; when a call fails and a probe fails too, the breaker opens and everyone gets
`TokenUnavailable` at once. After a back-off the next caller re-initialises the module and logs in
again; keys are then found anew by CKA_ID (`hsm.reference`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from hsm.attributes import unwrap_template_aware
from hsm.errors import HsmError, TokenUnavailable
from hsm.module import Module

if TYPE_CHECKING:
    from hsm.reference import Reference

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
    pkcs11.TemplateInconsistent,
)
"""Answers only a token that works can give; anything else is doubted until a signature proves
the token well."""

_MAYBE_STALE: Final = (pkcs11.NoSuchToken, pkcs11.GeneralError, pkcs11.FunctionFailed)
"""What a module initialised earlier answers about a token made, or away and back, since then."""


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


class Connection:
    """The session that logged in, open for the life of the process."""

    def __init__(self, module: Module, settings: TokenSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.generation = 0
        """Changes when session objects are lost: at login and at every recovery."""
        self._module = module
        self._clock = clock
        self._session: pkcs11.Session | None = None
        self._depth = 0
        self._closed = False
        self._probe_id: bytes | None = None
        self._believed_until = -math.inf
        self._retry_at: float | None = None
        self._backoff = settings.retry_seconds

    # Work ------------------------------------------------------------------------------------

    def run(self, work: Callable[[pkcs11.Session], T]) -> T:
        """The result of `work(session)`, on the PKCS#11 thread (at once when already there)."""
        if self._module.thread.inside:
            return self._run(work)
        return self._module.thread.call(lambda: self._run(work))

    def sign(
        self, reference: Reference, payload: bytes, mechanism: Mechanism, parameter: Any, size: int
    ) -> bytes:
        """`run` for the one thing done most: no closure, no hop when already on the thread."""
        if not self._module.thread.inside:
            request = partial(self.sign, reference, payload, mechanism, parameter, size)
            return self._module.thread.call(request)
        session = self._session
        if self._depth == 0 and not (
            self._clock() < self._believed_until and self.generation == self._module.generation
        ):
            session = self._ready()
        assert session is not None
        try:
            signature: bytes = reference.live(session).sign(
                payload, mechanism=mechanism, mechanism_param=parameter, buffer_size=size
            )
        except pkcs11.PKCS11Error as error:
            raise self._explained(error) from error
        return signature

    def on_thread(self, work: Callable[[], T]) -> T:
        """Run a whole job on the PKCS#11 thread."""
        return self._module.thread.call(work)

    def post(self, work: Callable[[], object]) -> None:
        """Have work done on the PKCS#11 thread, in its turn, and do not wait."""
        self._module.thread.post(work)

    def has_lost(self, generation: int) -> bool:
        """Whether session objects of that generation are gone, noticed here already or not."""
        return generation != self._module.generation

    def _run(self, work: Callable[[pkcs11.Session], T]) -> T:
        session = self._ready() if self._depth == 0 else self._session
        assert session is not None
        self._depth += 1
        try:
            return work(session)
        except pkcs11.PKCS11Error as error:
            raise self._explained(error) from error
        finally:
            self._depth -= 1

    def _explained(self, error: pkcs11.PKCS11Error) -> HsmError:
        if not isinstance(error, _HARMLESS):
            self.suspect(error)
        return HsmError("token-refused", reason=type(error).__name__)

    # Health ----------------------------------------------------------------------------------

    def check(self) -> None:
        """Prove the token well with a signature, now. Raises TokenUnavailable."""
        self._believed_until = -math.inf
        self.run(lambda _: None)

    def suspect(self, error: pkcs11.PKCS11Error) -> None:
        """Inside work: was this error the request's or the token's? A signature tells.

        A token that cannot give one opens the breaker: raises TokenUnavailable.
        """
        try:
            self._probe()
        except pkcs11.PKCS11Error:
            raise self._break(error) from error

    def probe_with(self, key_id: bytes) -> None:
        """A resident key was made: sign probes with it, unless there is a key for that already."""
        self._probe_id = self._probe_id or key_id

    def probe_without(self, key_id: bytes) -> None:
        """A resident key was removed: choose another at the next probe."""
        if self._probe_id == key_id:
            self._probe_id = None

    def _ready(self) -> pkcs11.Session:
        """The session, after what is due first: recovery, a new login, a probe."""
        if self._closed:
            raise HsmError("token-closed")
        if self._retry_at is not None:
            left = self._retry_at - self._clock()
            if left > 0:
                raise TokenUnavailable("CircuitOpen", retry_after=max(1, math.ceil(left)))
            self._recover()
        elif self.generation != self._module.generation or self._session is None:
            self._or_recover(self._login)
        elif self._clock() >= self._believed_until:
            self._or_recover(self._probe)
        assert self._session is not None
        return self._session

    def _or_recover(self, step: Callable[[], None]) -> None:
        """Nothing has begun yet: a token that was away for a moment is fetched back unnoticed."""
        try:
            step()
        except pkcs11.PKCS11Error:
            self._recover()

    def _break(self, error: pkcs11.PKCS11Error) -> TokenUnavailable:
        wait = self._backoff
        self._believed_until = -math.inf
        self._retry_at = self._clock() + wait
        self._backoff = min(wait * 2, RETRY_LIMIT)
        return TokenUnavailable(type(error).__name__, retry_after=max(1, math.ceil(wait)))

    def _recover(self) -> None:
        """Start the module again and log in; a failure opens the breaker, for longer each time."""
        try:
            self._module.reinitialise()
            self._login()
        except pkcs11.PKCS11Error as error:
            raise self._break(error) from error
        self._retry_at = None
        self._backoff = self.settings.retry_seconds

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
        self._believed_until = self._clock() + self.settings.probe_seconds

    # Login -----------------------------------------------------------------------------------

    def open(self) -> None:
        """The first login, on the thread. HsmError `token-pin-wrong`, `token-ambiguous`."""
        label = self.settings.label
        try:
            try:
                self._login()
            except _MAYBE_STALE:
                self._module.reinitialise()
                self._login()
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
            raise HsmError("token-pin-wrong", label=label) from error
        except pkcs11.MultipleTokensReturned as error:
            raise HsmError("token-ambiguous", label=label) from error
        except pkcs11.PKCS11Error as error:
            self.close()
            raise TokenUnavailable(type(error).__name__) from error

    def close(self) -> None:
        """Log out, on the thread. Nothing works afterwards."""
        session, self._session = self._session, None
        self._closed = True
        self.generation = -1
        self._believed_until = -math.inf
        if session is not None:
            with suppress(pkcs11.PKCS11Error):  # a token that is gone needs no goodbye
                session.close()

    def _login(self) -> None:
        library = self._module.library or self._module.initialise()
        token = library.get_token(token_label=self.settings.label)
        self._session = token.open(
            rw=True, user_pin=self.settings.pin, attribute_mapper=unwrap_template_aware()
        )
        self.generation = self._module.generation
        self._probe_id = None
        self._probe()
