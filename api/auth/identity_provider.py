"""Somebody else's sign-in service: the province's SSO or VNeID, behind one seam.

`api.adapters.openid_connect` speaks OpenID Connect; tests speak to a simulator that is a real
server. What is taken from its word is one thing: the citizen number, and the name that goes with
it. Roles and units are ours alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from api.errors import ApiError


class ProviderUnavailable(ApiError):
    """No answer from the provider: try again, or sign in another way."""

    def __init__(self, reason: str) -> None:
        super().__init__("provider-unavailable", reason=reason)


@dataclass(frozen=True)
class Journey:
    """What binds an answer to the question: known to us and the browser's cookie only."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


@dataclass(frozen=True)
class Identity:
    """Who the provider says this is."""

    number: str
    name: str
    subject: str


class IdentityProvider(Protocol):
    """What signing in needs of a provider."""

    @property
    def name(self) -> str: ...

    def address(self, journey: Journey) -> str:
        """Where the browser is sent. Raises ProviderUnavailable."""
        ...

    def identify(self, journey: Journey, *, code: str, now: datetime) -> Identity:
        """Whom the code stands for.

        Raises ProviderUnavailable; ApiError `provider-answer-refused` for a word not to be taken.
        """
        ...
