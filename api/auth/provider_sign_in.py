"""Signing in through somebody else's service: out with a question, back with its answer.

The ticket in the browser's cookie, the state in the address and the nonce in the ID token are three
bonds: an answer that another browser, another journey or another sign-in led to opens nothing.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from api.auth import accounts, sign_in
from api.auth.identity_provider import IdentityProvider, Journey, ProviderUnavailable
from api.errors import ApiError

if TYPE_CHECKING:
    from records.database import Database

_BY = "system:sign-in"


def set_out(
    database: Database, provider: IdentityProvider, *, onward: str, now: datetime
) -> tuple[str, str]:
    """The address to send the browser to, and the ticket for its cookie."""
    journey = Journey(
        secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    )
    where = provider.address(journey)
    facts = {
        "state": journey.state,
        "nonce": journey.nonce,
        "verifier": journey.verifier,
        "onward": onward,
    }
    return where, sign_in.begin(database, "oidc", facts, now=now)


def come_back(
    database: Database,
    provider: IdentityProvider,
    *,
    ticket: str,
    state: str,
    code: str,
    agent: str,
    now: datetime,
) -> tuple[sign_in.Opened, str]:
    """Signed in, and where to go on. A journey ends whatever its answer was.

    Raises ApiError `sign-in-stale` (another browser's, or used), `sign-in-refused`.
    """
    facts = sign_in.take(database, "oidc", ticket, now=now).facts
    if not hmac.compare_digest(state.encode(), facts["state"].encode()):
        raise sign_in.refusal(database, "oidc", None, now=now, reason="state")
    journey = Journey(facts["state"], facts["nonce"], facts["verifier"])
    try:
        identity = provider.identify(journey, code=code, now=now)
        holder_id = accounts.holder_of(identity.number)
    except ProviderUnavailable:
        raise
    except ApiError as error:
        raise sign_in.refusal(database, "oidc", None, now=now, reason=error.code) from error
    account_id = accounts.for_sign_in(database, holder_id)
    if account_id is None:
        # Nobody made one: then this is a citizen, who needs no leave to see what is theirs.
        made = accounts.add(
            database,
            kind="citizen",
            holder_id=holder_id,
            name=identity.name,
            unit=None,
            roles=(),
            now=now,
            by=_BY,
        )
        account_id = made.account_id
    opened = sign_in.by_account(database, account_id, how="oidc", agent=agent, now=now)
    return opened, facts["onward"]
