"""What the HTTP face adds to the house: clients' secrets, access tokens, limits, figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from api.adapters.openid_connect import provider_of
from api.auth.access_tokens import AccessTokens
from api.auth.clients import Secrets
from api.auth.identity_provider import IdentityProvider
from api.house import House
from api.idempotency import Idempotency
from api.rates import Rates
from api.request_log import Metrics
from api.settings import read_secret
from api.transit import Transit
from signer.pdf.page_images import PageShelf


def system_clock() -> datetime:
    """The machine's own time; tests put another clock in its place."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """One per application, wired once."""

    house: House
    access_tokens: AccessTokens
    secrets: Secrets
    transit: Transit
    idempotency: Idempotency
    rates: Rates
    metrics: Metrics = field(default_factory=Metrics)
    clock: Callable[[], datetime] = system_clock
    # Where people may sign in besides here.
    provider: IdentityProvider | None = None
    # Page images that people looked at last.
    pages: PageShelf = field(default_factory=PageShelf)
    # The last look of /readyz: {"parts": …, "at": monotonic seconds}.
    readiness: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def around(cls, house: House, *, clock: Callable[[], datetime] = system_clock) -> Services:
        key = read_secret(house.settings.secrets / "access-token.pem")
        transit = Transit(house.database, f"{house.settings.blobs.rstrip('/')}/transit")
        return cls(
            house=house,
            access_tokens=AccessTokens(key, issuer=house.settings.base_url),
            secrets=Secrets(),
            transit=transit,
            idempotency=Idempotency(house.database, transit, secret=key),
            rates=Rates(per_minute=house.settings.rate_per_minute),
            clock=clock,
            provider=provider_of(house.settings),
        )
