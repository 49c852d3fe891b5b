"""Where a client may send holders back to: registered beforehand, compared letter by letter.

RFC 9700 §2.1: "authorization servers MUST utilize exact string matching".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import delete, select

from api.auth.clients import load
from api.csc.errors import CscRefusal
from api.csc.models import ClientRedirect
from api.errors import ApiError
from records import audit
from records.database import Database
from records.tags import Tag

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def register(
    database: Database, client_id: str, uris: Sequence[str], *, now: datetime, by: str
) -> None:
    """Replace a client's addresses.

    CscRefusal `csc-redirect-malformed`; ApiError `client-not-found`.
    """
    for uri in uris:
        if not _well_formed(uri):
            raise CscRefusal("csc-redirect-malformed", uri=uri[:200])
    if load(database, client_id) is None:
        raise ApiError("client-not-found", client_id=client_id[:64])
    with database.transaction() as session:
        session.execute(delete(ClientRedirect).where(ClientRedirect.client_id == client_id))
        session.add_all(ClientRedirect(client_id=client_id, uri=uri) for uri in sorted({*uris}))
        audit.record(
            session,
            tag=Tag.CLIENT_REDIRECTS_SET,
            by=by,
            subject=client_id,
            details={"redirects": sorted({*uris})},
            now=now,
        )


def registered(database: Database, client_id: str) -> list[str]:
    with database.reading() as session:
        wanted = select(ClientRedirect.uri).where(ClientRedirect.client_id == client_id)
        return sorted(session.scalars(wanted))


def origin(uri: str) -> str:
    """Scheme, host and port, for the page's Content-Security-Policy."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def _well_formed(uri: str) -> bool:
    if (
        len(uri) > 500
        or not uri.isascii()
        or not uri.isprintable()
        or any(c in uri for c in " ;,'\"\\")
    ):
        return False
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or "#" in uri:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
