"""Cases as values, and the rows behind them: what was asked, brought and shown.

    original = OriginalDescription(title="Bảng điểm", issuer="Trường Đại học Ví Dụ", pages=2)
    original.sentence()              # how the statement and the register name it

A case is one original brought by one person. What is done with it is decided in
`certify.counter.intake` and `certify.scans.comparison`; who may look at it, in
`certify.counter.viewers`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from certify.counter.viewers import SERVICE, Viewer
from certify.errors import CertifyError, NotFound
from certify.models import CaseRow, CaseState

UNNUMBERED = (CaseState.OPEN, CaseState.CAPTURED, CaseState.COMPARED)
"""The states before a number is taken: work may go back, and the case may still end without one."""


@dataclass(frozen=True)
class Requester:
    """Who asks; `identifier` is the citizen number, or the tax code of an organisation."""

    name: str
    identifier: str = field(repr=False)
    kind: str = "person"
    email: str | None = field(default=None, repr=False)

    @property
    def owner_id(self) -> str:
        """The key of this requester's document store."""
        return f"{'citizen' if self.kind == 'person' else 'organisation'}:{self.identifier}"


@dataclass(frozen=True)
class OriginalDescription:
    """What was put on the counter; `security_elements` are those a scan cannot carry over."""

    title: str
    issuer: str
    pages: int
    number: str | None = None
    issued_on: date | None = None
    foreign: bool = False
    legalised: bool = False
    private_paper: bool = False
    confirmed_by_agency: bool = False
    security_elements: tuple[str, ...] = ()

    def sentence(self) -> str:
        """How the statement and the register name it."""
        parts = [self.title]
        if self.number:
            parts.append(f"số {self.number}")
        parts.append(f"do {self.issuer} cấp")
        if self.issued_on:
            day = self.issued_on
            parts.append(f"ngày {day.day:02d}/{day.month:02d}/{day.year}")
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["issued_on"] = self.issued_on.isoformat() if self.issued_on else None
        data["security_elements"] = list(self.security_elements)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> OriginalDescription:
        day = data.get("issued_on")
        return cls(
            **{
                **data,
                "issued_on": date.fromisoformat(day) if day else None,
                "security_elements": tuple(data["security_elements"]),
            }
        )


@dataclass(frozen=True)
class Presentation:
    """The original was shown in person: when, where and to whom."""

    at: datetime
    place: str
    to: str

    def to_json(self) -> dict[str, Any]:
        return {"at": self.at.isoformat(), "place": self.place, "to": self.to}


@dataclass(frozen=True)
class Case:
    """A case as its unit and its requester see it."""

    id: str
    unit: str
    state: CaseState
    requester: Requester
    document_kind: str
    original: OriginalDescription
    copies: int
    received_at: datetime
    due_at: datetime
    slip: bool
    dossier_code: str | None
    channel: str
    assigned_to: str | None
    presented: bool
    closing_reason: str | None


def case_row(session: Session, case_id: str, *, lock: bool = False) -> CaseRow:
    """The row of a case; locked until the transaction ends where the caller will change it."""
    row = session.get(CaseRow, case_id, with_for_update=True if lock else None)
    if row is None:
        raise NotFound("case-unknown")
    return row


def locked_case(
    session: Session,
    case_id: str,
    *allowed: CaseState,
    viewer: Viewer = SERVICE,
    own: bool = False,
) -> CaseRow:
    """The locked row, if the viewer may work on it and it is in one of these states.

    `own`: an act that the requester may do too. Raises `NotFound`, `act-of-the-office`,
    `case-state-wrong`.
    """
    row = case_row(session, case_id, lock=True)
    if own:
        viewer.require_sight(unit=row.unit, owner_id=row.requester_id)
    else:
        viewer.require_work(unit=row.unit, owner_id=row.requester_id)
    if CaseState(row.state) not in allowed:
        raise CertifyError("case-state-wrong", state=row.state)
    return row


def close(row: CaseRow, state: CaseState, reason: str | None, *, now: datetime) -> None:
    """End a case."""
    row.state = state.value
    row.closed_at = now
    row.closing_reason = reason


def as_case(row: CaseRow) -> Case:
    """A row as a value that outlives its session."""
    return Case(
        id=row.id,
        unit=row.unit,
        state=CaseState(row.state),
        requester=Requester(**row.requester),
        document_kind=row.document_kind,
        original=OriginalDescription.from_json(row.original),
        copies=row.copies,
        received_at=row.received_at,
        due_at=row.due_at,
        slip=row.slip,
        dossier_code=row.dossier_code,
        channel=row.channel,
        assigned_to=row.assigned_to,
        presented=row.presented is not None,
        closing_reason=row.closing_reason,
    )
