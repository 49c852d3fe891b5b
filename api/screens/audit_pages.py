"""The auditor's screen: read the log, check it as a whole, take a proof of one entry away.

Reading is an act too: entries name people, so each search leaves an entry of its own.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import select
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, address_of, csrf_checked, needs
from api.errors import ApiError
from api.pages import language_for, render
from api.services import Services
from records import audit
from records.audit_check import AuditReport
from records.entry import entry_bytes, plain
from records.models import AuditEntry
from records.tags import Tag

router = APIRouter(
    prefix="/desk/audit", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
PAGE = 50
Position = Annotated[int, Path(ge=0, lt=2**53)]


@router.api_route("", methods=["GET", "HEAD"])
def search(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    tag: Annotated[str, Query(max_length=64)] = "",
    subject: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
) -> Response:
    """The newest first; by tag and by exact subject, which are indexed."""
    needs(person, Role.AUDITOR)
    tag, subject = plain(tag), plain(subject).strip()
    if tag or subject:
        _note(wired, person, {"tag": tag, "subject": subject}, now=now)
    return _page(request, wired, tag=tag, subject=subject, before=before)


@router.post("/verification")
def verify(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Every hash of the log again, and the signed checkpoints."""
    needs(person, Role.AUDITOR)
    wired.rates.take("upload", f"audit:{address_of(request)}")
    house = wired.house
    report = audit.verify(house.database, public_key=house.audit_public_keys() or None)
    _note(wired, person, {"verified": report.size, "ok": report.ok}, now=now)
    return _page(request, wired, report=report)


@router.get("/{position}/proof.json")
def proof(position: Position, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The entry, its leaf, the way to a signed tree head (RFC 9162 §2.1.3): checked offline."""
    needs(person, Role.AUDITOR)
    with wired.house.database.reading() as session:
        row = session.get(AuditEntry, position)
        head = audit.latest_checkpoint(session)
        if row is None:
            raise ApiError("page-not-found")
        if head is None or head.size <= position:
            raise ApiError("audit-entry-not-signed-yet", position=position)
        path = audit.prove_inclusion(session, position, head.size)
        leaf = entry_bytes(
            position=row.position,
            at=row.at,
            by=row.by,
            tag=row.tag,
            subject=row.subject,
            details=row.details,
        )
    _note(wired, person, {"proof": position}, now=now)
    told = {
        "entry": json.loads(leaf),
        "leaf": base64.b64encode(leaf).decode(),
        "position": position,
        "size": head.size,
        "path": [one.hex() for one in path],
        "root": head.root.hex(),
        "checkpoint": head.note,
    }
    return Response(
        json.dumps(told, ensure_ascii=False, indent=2),
        media_type="application/json",
        headers={
            "Cache-Control": "private, no-store",
            "Content-Disposition": f'attachment; filename="audit-{position}.json"',
        },
    )


def _page(
    request: Request,
    wired: Services,
    *,
    tag: str = "",
    subject: str = "",
    before: int | None = None,
    report: AuditReport | None = None,
) -> Response:
    wanted = select(AuditEntry).order_by(AuditEntry.position.desc()).limit(PAGE)
    if tag:
        wanted = wanted.where(AuditEntry.tag == tag)
    if subject:
        wanted = wanted.where(AuditEntry.subject == subject)
    if before is not None:
        wanted = wanted.where(AuditEntry.position < before)
    with wired.house.database.reading() as session:
        entries = list(session.scalars(wanted))
    language = language_for(request)
    verdict = None
    if report is not None:
        problems = [one.message(language) for one in report.problems[:20]]
        verdict = {"ok": report.ok, "size": report.size, "problems": problems}
    return render(
        request,
        "audit.html",
        entries=entries,
        tags=[one.value for one in Tag],
        tag=tag,
        subject=subject,
        more=len(entries) == PAGE,
        verdict=verdict,
    )


def _note(wired: Services, person: Person, details: dict[str, Any], *, now: Any) -> None:
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.AUDIT_LOG_READ,
            by=person.by,
            subject="audit-log",
            details=details,
            now=now,
        )
