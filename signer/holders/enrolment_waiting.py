"""Which lines of a list are to be enrolled next: untouched, without a credential, and known.

    for lines in Waiting(desk, list_id, writing, registry, chunk).lines(stop): …

Who got a credential since the preview, and who is not known to the population registry as what the
list says, is refused here (docs/flows/enrol-in-bulk.md, step 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import select

from ca.identity import Answer, Claim, Outcome, PopulationRegistry, refusal
from ca.names import Subject
from signer.holders.enrolment_list import Problem
from signer.holders.enrolment_models import EnrolmentLineRow, LineState
from signer.holders.enrolment_writing import Line, Writing
from signer.holders.present_holders import holders_with_credentials

if TYPE_CHECKING:
    from signer.desk import Desk

_lines = EnrolmentLineRow.__table__


class Waiting:
    """The lines of one list that wait, a batch of `chunk` at a time."""

    def __init__(
        self,
        desk: Desk,
        list_id: str,
        writing: Writing,
        registry: PopulationRegistry | None,
        chunk: int,
    ) -> None:
        self._desk, self._list_id, self._writing = desk, list_id, writing
        self._registry, self._chunk = registry, chunk

    def lines(self, stop: Callable[[], bool]) -> Iterator[list[Line]]:
        """Untouched lines whose holder may be enrolled, a batch at a time."""
        last = -1
        while not stop():
            wanted = (
                select(
                    _lines.c.number, _lines.c.holder_id, _lines.c.unit, _lines.c.subject,
                    _lines.c.born, _lines.c.identity, _lines.c.keeper,
                )
                .where(*self._writing.waiting(), _lines.c.number > last)
                .order_by(_lines.c.number)
                .limit(self._chunk)
            )  # fmt: skip
            with self._desk.database.reading() as session:
                found = session.execute(wanted).all()
                holders = [row.holder_id for row in found]
                present = holders_with_credentials(session, self._writing.profile, holders)
            if not found:
                return
            last = found[-1].number
            lines = [
                Line(
                    row.number,
                    row.holder_id,
                    row.unit,
                    Subject.from_json(row.subject),
                    date.fromisoformat(row.born) if row.born else None,
                    row.identity,
                    row.keeper,
                )
                for row in found
            ]
            lines = self._without_present(lines, present)
            lines = self._identified(lines)
            if lines:
                yield lines

    def _without_present(self, lines: list[Line], present: set[str]) -> list[Line]:
        """Who got a credential since the preview is left out."""
        there = [line for line in lines if line.holder_id in present]
        if there:
            problem = Problem("", "holder-has-credential")
            self._writing.refuse([(line, problem, None) for line in there], LineState.PRESENT)
        return [line for line in lines if line.holder_id not in present]

    def _identified(self, lines: list[Line]) -> list[Line]:
        """With a registry, only those it knows as what the list says go on."""
        registry = self._registry
        people = [line for line in lines if line.subject.citizen_id]
        if registry is None or not people:
            return lines
        claims = [
            Claim(one.subject.citizen_id, one.subject.common_name, one.born) for one in people
        ]
        answers = dict(zip((one.number for one in people), registry.check(claims), strict=True))
        refused: list[tuple[Line, Problem, str | None]] = []
        known = []
        for line in lines:
            answer: Answer | None = answers.get(line.number)
            if answer is None or answer.outcome is Outcome.MATCH:
                said = None if answer is None else answer.outcome.value
                known.append(replace(line, identity=said))
            else:
                error = refusal(answer)
                problem = Problem("", error.code, {k: str(v) for k, v in error.params.items()})
                refused.append((line, problem, answer.outcome.value))
        if refused:
            self._writing.refuse(refused, LineState.FAILED)
        return known
