"""Who may call the API: clients, their secrets and what they may do.

created = create(database, client_id="procedure-system", scopes=("sign",), now=now, by=by)
created.secret          # shown once; only its argon2id hash is kept
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import select

from api.errors import ApiError
from api.models import ApiClient
from records import audit
from records.database import Database
from records.tags import Tag

SCOPES = {
    "sign": "Sign and seal documents with a holder's credential and PIN",
    "certify": "Open cases, certify copies, read registers",
    "validate": "Validate signed documents",
    "ca": "Read certificates and their status",
    "store": "Read certified copies that were shared",
    "stores": "Act in citizens' stores at their own request: a portal where they sign in",
    "enrol": "Enrol holders singly and by list, renew, transfer and end credentials",
    "people": "Make the accounts of people at the screens, change and disable them",
    "certificates": "Ask for certificates of its own (PKCS#10, PKCS#12, EST)",
    "approve": "Approve or reject other clients' certificate requests",
    "csc": "Remote signing (CSC API): holders consent on our own page",
    "csc-explicit": "Remote signing with holders' PINs passed on by the client itself",
}
_CLIENT_ID = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?")


@dataclass(frozen=True)
class Client:
    """A client that has proven who it is."""

    client_id: str
    name: str
    scopes: frozenset[str]
    units: frozenset[str] | None

    @property
    def by(self) -> str:
        return f"client:{self.client_id}"

    def may_touch(self, unit: str) -> bool:
        return self.units is None or unit in self.units


@dataclass(frozen=True)
class CreatedClient:
    client_id: str
    secret: str = field(repr=False)


class Secrets:
    """Checks client secrets. argon2id once per secret and process, then a keyed digest in memory.

    The secrets are 256 random bits, so the digest cannot be guessed; the memory dies with the
    process. At most two argon2 computations run at once: a flood cannot fill the memory.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._key = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}
        self._at_work = threading.BoundedSemaphore(2)
        self._decoy = _nobodys(self._hasher)

    def hash(self, secret: str) -> str:
        return self._hasher.hash(secret)

    def matches(self, stored: str | None, secret: str) -> bool:
        """Whether ``secret`` is the one behind ``stored``; as slow for a client that is unknown."""
        quick = hmac.digest(self._key, secret.encode(), hashlib.sha256)
        known = self._known.get(stored or "")
        if known is not None and hmac.compare_digest(known, quick):
            return True
        with self._at_work:
            try:
                self._hasher.verify(stored or self._decoy, secret)
            except VerificationError:
                return False
        if stored is None:
            return False
        if len(self._known) > 1000:
            self._known.clear()
        self._known[stored] = quick
        return True


def _nobodys(hasher: PasswordHasher) -> str:
    """A hash at the usual cost that no secret fits: its digest is random octets (RFC 9106 §3.2)."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(octets)).rstrip(b"=").decode()
        for octets in (hasher.salt_len, hasher.hash_len)
    )
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"


def is_name(text: str) -> bool:
    """Whether ``text`` has the form of a client name."""
    return _CLIENT_ID.fullmatch(text) is not None


def record_refusal(database: Database, name: str, code: str, *, now: datetime) -> None:
    """A refused client in the audit log. A name that is none may be a secret in the wrong field."""
    known = is_name(name)
    with database.transaction() as session:
        audit.record(
            session,
            tag=Tag.ACCESS_REFUSED,
            by=f"client:{name}" if known else "client:unknown",
            subject=name if known else "unknown",
            details={"code": code},
            now=now,
        )


def create(
    database: Database,
    checker: Secrets,
    *,
    client_id: str,
    name: str,
    scopes: Sequence[str],
    units: Sequence[str] | None = None,
    now: datetime,
    by: str,
) -> CreatedClient:
    """A new client with a random secret (256 bits), told once."""
    if not is_name(client_id):
        raise ApiError("client-id-malformed", client_id=client_id[:80])
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise ApiError("scope-unknown", scope=", ".join(unknown), known=", ".join(SCOPES))
    secret = secrets.token_urlsafe(32)
    with database.transaction() as session:
        if session.get(ApiClient, client_id) is not None:
            raise ApiError("client-exists", client_id=client_id)
        session.add(
            ApiClient(
                client_id=client_id,
                name=name,
                secret_hash=checker.hash(secret),
                scopes=sorted(set(scopes)),
                units=sorted(set(units)) if units is not None else None,
                created_at=now,
                created_by=by,
            )
        )
        session.flush()
        details = {"scopes": sorted(set(scopes)), "units": list(units) if units else None}
        audit.record(
            session, tag=Tag.CLIENT_CREATED, by=by, subject=client_id, details=details, now=now
        )
    return CreatedClient(client_id, secret)


def disable(database: Database, client_id: str, *, now: datetime, by: str) -> None:
    """From this moment the client is refused, whatever token it still holds."""
    with database.transaction() as session:
        row = session.get(ApiClient, client_id)
        if row is None:
            raise ApiError("client-not-found", client_id=client_id)
        row.disabled_at = row.disabled_at or now
        audit.record(
            session, tag=Tag.CLIENT_DISABLED, by=by, subject=client_id, details={}, now=now
        )


def load(database: Database, client_id: str) -> Client | None:
    """The client as it stands now, or None when unknown or disabled."""
    with database.reading() as session:
        row = session.get(ApiClient, client_id)
        if row is None or row.disabled_at is not None:
            return None
        return _client(row)


def everyone(database: Database) -> list[Client]:
    """Every client that is not disabled, by identifier."""
    with database.reading() as session:
        query = select(ApiClient).where(ApiClient.disabled_at.is_(None))
        return [_client(row) for row in session.scalars(query.order_by(ApiClient.client_id))]


def authenticate(
    database: Database, checker: Secrets, client_id: str, secret: str
) -> Client | None:
    """The client whose secret this is, or None; the same time is spent either way."""
    with database.reading() as session:
        row = session.get(ApiClient, client_id)
        stored = row.secret_hash if row is not None and row.disabled_at is None else None
        client = _client(row) if row is not None else None
    return client if checker.matches(stored, secret) else None


def _client(row: ApiClient) -> Client:
    units = frozenset(row.units) if row.units is not None else None
    return Client(row.client_id, row.name, frozenset(row.scopes), units)
