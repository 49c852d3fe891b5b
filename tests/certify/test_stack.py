"""A stack of originals certified together."""

from __future__ import annotations

from certify.counter.case_lookup import find_case
from certify.models import CaseState
from certify.register import entries, gaps
from certify.stacks.stack import certify_stack
from certify.verification import Verdict, verdict, verify_file
from tests.certify.town_hall import BY, UNIT, TownHall
from tests.world import ONE_DATABASE


def test_each_with_its_number_and_outcome(hall: TownHall) -> None:
    """ "one authorisation for signing, each with its number and outcome"."""
    cases = [hall.compared().id, hall.compared(paid=False).id, hall.compared().id]
    results = list(certify_stack(hall.office, cases, **hall.hands, now=hall.now, by=BY))
    assert [result.case_id for result in results] == cases
    assert [result.copy and result.copy.number for result in results] == ["01", None, "02"]
    assert results[1].error is not None
    assert results[1].error.code == "fee-not-paid"
    for result in results:
        if result.copy is not None:
            found = verify_file(hall.office, result.copy.data, now=hall.now)
            assert verdict(*found) is Verdict.VALID


@ONE_DATABASE
def test_a_wrong_pin_fails_all_and_loses_nothing(hall: TownHall) -> None:
    """The numbers wait for the next attempt; none is used twice."""
    cases = [hall.compared().id, hall.compared().id]
    wrong = {**hall.hands, "person": (hall.person.id, "000111")}
    results = list(certify_stack(hall.office, cases, **wrong, now=hall.now, by=BY))
    assert {result.error.code for result in results if result.error} == {"pin-wrong"}
    again = list(certify_stack(hall.office, cases, **hall.hands, now=hall.now, by=BY))
    assert [result.copy and result.copy.number for result in again] == ["01", "02"]
    assert find_case(hall.office, cases[0]).state is CaseState.ISSUED
    assert len(entries(hall.office, unit=UNIT, year=hall.now.year)) == 2
    assert gaps(hall.office, unit=UNIT, year=hall.now.year) == []
