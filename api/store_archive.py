"""Everything a person has, in one ZIP: the documents, and a manifest that says what they are."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any

from certify.office import Office
from certify.stores import sharing, store
from certify.stores.store import Item
from records import audit
from records.tags import Tag

_IN_MEMORY = 16 * 1024 * 1024
_CHUNK = 1024 * 1024
_ODD = re.compile(r"[^\w. -]+")
_KINDS = {b"%PDF": "pdf", b"\xff\xd8\xff": "jpg", b"\x89PNG": "png"}


def archive(office: Office, *, owner_id: str, now: datetime, by: str) -> IO[bytes]:
    """The ZIP, at its beginning; large ones lie on disk. Each document given out is logged."""
    out = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 – handed out open
    listed = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        given = {}
        for item, data in store.export(office, owner_id=owner_id, now=now, by=by):
            given[item.id] = name = _name(item, data)
            made.writestr(zipfile.ZipInfo(name, now.timetuple()[:6]), data)
        for item in store.items(office, owner_id=owner_id):
            listed.append(_manifest(office, item, given.get(item.id), now=now))
        manifest = {"owner": owner_id, "exported_at": now.isoformat(), "documents": listed}
        text = json.dumps(manifest, ensure_ascii=False, indent=2)
        made.writestr(zipfile.ZipInfo("manifest.json", now.timetuple()[:6]), text)
    with office.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.STORE_EXPORTED,
            by=by,
            subject=f"store:{owner_id}",
            details={"documents": len(listed)},
            now=now,
        )
    out.seek(0)
    return out


def pieces(archive: IO[bytes]) -> Iterator[bytes]:
    """The archive in pieces; it is gone afterwards."""
    with archive:
        while piece := archive.read(_CHUNK):
            yield piece


def _name(item: Item, data: bytes) -> str:
    form = next((form for start, form in _KINDS.items() if data.startswith(start)), "bin")
    title = _ODD.sub(" ", item.title).strip()[:80] or item.kind
    return f"{title} {item.code or item.id[:8]}.{form}"


def _manifest(office: Office, item: Item, file: str | None, *, now: datetime) -> dict[str, Any]:
    owner = item.owner_id
    return {
        "file": file,
        "title": item.title,
        "kind": item.kind,
        "certified": item.certified,
        "sha256": item.digest,
        "size": item.size,
        "added_at": item.added_at.isoformat(),
        "deleted": item.purged,
        "code": item.code,
        "status": item.status,
        "accesses": [
            {
                "at": one.at.isoformat(),
                "by": one.by,
                "purpose": one.purpose,
                "dossier_code": one.dossier_code,
            }
            for one in store.accesses(office, item.id, owner_id=owner)
        ],
        "grants": [
            {
                "recipient": one.recipient.name,
                "purpose": one.purpose,
                "given_at": one.given_at.isoformat(),
                "expires_at": one.expires_at.isoformat(),
                "revoked_at": one.revoked_at.isoformat() if one.revoked_at else None,
            }
            for one in sharing.grants(office, item.id, owner_id=owner, now=now)
        ],
    }
