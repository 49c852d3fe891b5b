"""Cases as they are seen: one, a unit's, a requester's; somebody else's do not exist.

find_case(office, case_id, viewer=viewer)         # NotFound for everybody else
"""

from __future__ import annotations

from sqlalchemy import func, select

from certify.counter.cases import Case, as_case, case_row
from certify.counter.viewers import SERVICE, Viewer
from certify.errors import CertifyError
from certify.models import CaseRow, CaseState
from certify.office import Office


def find_case(
    office: Office,
    case_id: str,
    *,
    unit: str | None = None,
    owner_id: str | None = None,
    viewer: Viewer = SERVICE,
) -> Case:
    """A case, for those who may see it: its unit's officials, or its own requester.

    Somebody else's case does not exist for the asker (`NotFound`), DOMAIN.md §6.
    """
    if unit is not None:
        viewer = Viewer.official(unit=unit, by=viewer.by)
    elif owner_id is not None:
        viewer = Viewer.citizen(owner_id)
    with office.database.reading() as session:
        row = case_row(session, case_id)
        viewer.require_sight(unit=row.unit, owner_id=row.requester_id)
        return as_case(row)


def list_cases(
    office: Office,
    *,
    unit: str | None = None,
    owner_id: str | None = None,
    state: CaseState | None = None,
    limit: int = 100,
) -> list[Case]:
    """Cases of a unit or of a requester, those due first at the top."""
    if unit is None and owner_id is None:
        raise CertifyError("case-list-needs-owner")
    query = select(CaseRow).order_by(CaseRow.due_at, CaseRow.id).limit(limit)
    if unit is not None:
        query = query.where(CaseRow.unit == unit)
    if owner_id is not None:
        query = query.where(CaseRow.requester_id == owner_id)
    if state is not None:
        query = query.where(CaseRow.state == state.value)
    with office.database.reading() as session:
        return [as_case(row) for row in session.scalars(query)]


def count_in_hand(office: Office, unit: str) -> int:
    """How many captured or compared cases of a unit wait for a finding or a signature."""
    states = (CaseState.CAPTURED, CaseState.COMPARED, CaseState.CERTIFYING)
    query = (
        select(func.count())
        .select_from(CaseRow)
        .where(CaseRow.unit == unit, CaseRow.state.in_([state.value for state in states]))
    )
    with office.database.reading() as session:
        return int(session.scalar(query) or 0)
