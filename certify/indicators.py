"""Numbers for the province: what each unit did in a period, and nothing about anybody.

    rows = indicators(office, first=date(2026, 11, 1), last=date(2026, 11, 30))
    rows[0].values["ELECTRONIC_CERTIFIED_COPY"]

The five codes are those of the digitisation indicators (DOMAIN.md §5); the others are this
service's own. Counts per unit and period hold no personal data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from certify.models import CaptureRow, CaseRow, CopyRow, EntryRow, ItemRow
from certify.office import Office
from certify.stores.delivery_models import DeliveryRow, ReuseRow
from certify.units import units
from signer.routing.working_days import VIETNAM

CODES = (
    "ORIGINAL_RESULT_AVAILABLE",
    "SO_HOA_GIAY_TO_GIAI_QUYET",
    "SYNCED_WITH_DVCQG_PERSONAL_STORAGE",
    "REUSED_DIGITIZED_DATA",
    "ELECTRONIC_CERTIFIED_COPY",
)
OWN = ("CASES_RECEIVED", "CASES_ON_TIME", "CASES_LATE", "CASES_REFUSED", "COPIES_CANCELLED", "FEES")


@dataclass(frozen=True)
class Row:
    """One unit in one period; every code has a value."""

    unit: str
    unit_name: str
    agency_code: str
    values: Mapping[str, int]


def indicators(office: Office, *, first: date, last: date, unit: str | None = None) -> list[Row]:
    """Units that did anything between two days (both counted), by name; or the one asked for."""
    start, end = _moment(first), _moment(last + timedelta(days=1))
    found: dict[str, dict[str, int]] = defaultdict(dict)

    def take(code: str, rows: Iterable[Any]) -> None:
        for of_unit, count in rows:
            if of_unit is not None and (unit is None or of_unit == unit):
                found[of_unit][code] = int(count or 0)

    with office.database.reading() as session:
        for code, query in _queries(start, end, first, last).items():
            take(code, session.execute(query))
    wanted = [unit] if unit is not None else list(found)
    known = units()
    rows = [
        Row(
            unit=one,
            unit_name=known[one].name,
            agency_code=known[one].agency_code,
            values={code: found[one].get(code, 0) for code in (*CODES, *OWN)},
        )
        for one in wanted
        if one in known
    ]
    return sorted(rows, key=lambda row: (row.unit_name, row.unit))


def totals(rows: Iterable[Row]) -> dict[str, int]:
    """All units together."""
    listed = list(rows)
    return {code: sum(row.values[code] for row in listed) for code in (*CODES, *OWN)}


def _queries(start: datetime, end: datetime, first: date, last: date) -> dict[str, Select[Any]]:
    def by(column: Any, moment: Any) -> Select[Any]:
        return select(column, func.count()).where(moment >= start, moment < end).group_by(column)

    issued = (EntryRow.state == "issued", EntryRow.day >= first, EntryRow.day <= last)
    copies = select(EntryRow.unit, func.count()).where(*issued).group_by(EntryRow.unit)
    fees = select(EntryRow.unit, func.sum(EntryRow.fee)).where(*issued).group_by(EntryRow.unit)
    closed = by(CaseRow.unit, CaseRow.closed_at)
    captured = (
        select(CaseRow.unit, func.count())
        .join(CaptureRow, CaptureRow.case_id == CaseRow.id)
        .where(CaptureRow.taken_at >= start, CaptureRow.taken_at < end)
        .where(CaptureRow.superseded.is_(False))
        .group_by(CaseRow.unit)
    )
    synced = (
        select(CopyRow.unit, func.count())
        .join(DeliveryRow, DeliveryRow.copy_id == CopyRow.id)
        .where(
            DeliveryRow.way == "national-store",
            DeliveryRow.event == "copy.issued",
            DeliveryRow.delivered_at >= start,
            DeliveryRow.delivered_at < end,
        )
        .group_by(CopyRow.unit)
    )
    # The unit that re-used it; where it is none of ours, the unit that had made the document.
    reusing = func.coalesce(ReuseRow.unit, ItemRow.unit)
    reused = (
        select(reusing, func.count())
        .join(ItemRow, ItemRow.id == ReuseRow.item_id)
        .where(ReuseRow.at >= start, ReuseRow.at < end)
        .group_by(reusing)
    )
    return {
        "ORIGINAL_RESULT_AVAILABLE": by(ItemRow.unit, ItemRow.added_at).where(
            ItemRow.kind == "procedure-result"
        ),
        "SO_HOA_GIAY_TO_GIAI_QUYET": captured,
        "SYNCED_WITH_DVCQG_PERSONAL_STORAGE": synced,
        "REUSED_DIGITIZED_DATA": reused,
        "ELECTRONIC_CERTIFIED_COPY": copies,
        "CASES_RECEIVED": by(CaseRow.unit, CaseRow.received_at),
        "CASES_ON_TIME": closed.where(CaseRow.closed_at <= CaseRow.due_at),
        "CASES_LATE": closed.where(CaseRow.closed_at > CaseRow.due_at),
        "CASES_REFUSED": closed.where(CaseRow.state.in_(("refused", "frozen"))),
        "COPIES_CANCELLED": by(CopyRow.unit, CopyRow.status_at).where(
            CopyRow.status.in_(("cancelled", "replaced"))
        ),
        "FEES": fees,
    }


def _moment(day: date) -> datetime:
    """The first moment of a day in Việt Nam."""
    return datetime.combine(day, time(), tzinfo=VIETNAM)
