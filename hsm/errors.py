"""What can go wrong with keys. No message, parameter or repr ever holds a PIN or key material."""

from __future__ import annotations

from records.errors import DomainError


class HsmError(DomainError):
    """Base of this room. Subclasses exist only where another room catches them."""


class TokenUnavailable(HsmError):
    """The token does not sign: absent, logged out, or its circuit breaker is open.

    `params["retry_after"]` is the number of whole seconds after which asking again makes sense;
    the API turns it into 503 with Retry-After.
    """

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__("token-absent", reason=reason, retry_after=retry_after)


class PinWrong(HsmError):
    """A sealed key did not open. A wrong PIN and a tampered seal look the same, by design."""

    def __init__(self) -> None:
        super().__init__("seal-not-opened")


class SealDamaged(HsmError):
    """The bytes are not a seal of ours, or not of the kind asked for."""

    def __init__(self, problem: str) -> None:
        super().__init__("seal-damaged", problem=problem)


class SealExpired(HsmError):
    """The activation seal outlived the authorisation it was bound to."""

    def __init__(self) -> None:
        super().__init__("activation-expired")


class WrappedKeyDamaged(HsmError):
    """The token refused to unwrap a blob although the token itself is well."""

    def __init__(self) -> None:
        super().__init__("wrapped-key-damaged")
