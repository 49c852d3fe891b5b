"""The steps of signing in their order, and every way in which they may be refused."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from records import audit
from records.errors import DomainError
from records.models import AuditEntry
from signer import signing
from signer.keys import credentials
from signer.looks import placement
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.routing import (
    delegations,
    number_place,
    outgoing_numbers,
    routed_documents,
    step_changes,
    step_claims,
    step_order,
    step_routes,
    steps,
)
from signer.routing.routed_documents import RoutedDocument
from signer.routing.step_routes import Look, PlannedStep, StepKind, require_order
from signer.routing.steps_models import RoutedDocumentRow
from signer.routing.working_days import local
from signer.verdicts.validation import validate
from tests.signer.signing_house import (
    CLERK,
    DEPUTY,
    DRAFTER,
    PIN,
    REVIEWER,
    ROUTE,
    SEAL_PIN,
    STRANGER,
    UNIT,
    SigningHouse,
    delegate,
    signing_house,
)
from tests.world import World

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def house(world: World) -> SigningHouse:
    return signing_house(world)


def refusal(call: object, *arguments: object, **named: object) -> str:
    """The code of what a call refuses."""
    assert callable(call)
    with pytest.raises(DomainError) as caught:
        call(*arguments, **named)
    return caught.value.code


def tags(house: SigningHouse) -> list[str]:
    with house.world.database.reading() as session:
        return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))


def test_the_whole_way(house: SigningHouse) -> None:
    """Initial, signature, number and date, seal: each in turn, and the result is valid."""
    desk, now = house.world.desk, house.world.now
    document = house.submit()
    assert document.current is not None
    assert document.current.holder_name == "Nguyễn Thị Mẫu"
    assert [one.id for one in routed_documents.inbox(desk, actor=REVIEWER)] == [document.id]
    assert routed_documents.inbox(desk, actor=CLERK) == []
    # Nobody comes before their turn, and no seal before the signature.
    assert refusal(house.sign, document) == "step-not-its-turn"
    assert refusal(house.sign, document, StepKind.SEAL) == "step-not-its-turn"
    document = house.initial(document)
    assert not document.signed
    assert refusal(house.sign, document, StepKind.SEAL) == "step-not-its-turn"
    document = house.sign(document)
    assert document.steps[1].authority_lines == ("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH")
    assert document.signed
    document = house.sign(document, StepKind.NUMBER)
    assert document.number_text == "01/QĐ-UBND"
    document = house.sign(document, StepKind.SEAL)
    assert (document.state, document.current) == ("complete", None)
    # Judged as any recipient would; the draft is still in it, untouched.
    _, data = routed_documents.content(desk, document.id, actor=CLERK, now=now)
    assert data.startswith(house.draft())
    report = validate(data, trust=desk.trust, now=now)
    assert report.passed
    assert len(report.signatures) == 3
    # The register, the history and the log say what happened.
    (line,) = outgoing_numbers.lines(desk, unit=UNIT, year=local(now).year)
    assert (line.text, line.state, line.signer) == ("01/QĐ-UBND", "issued", "Lê Văn Thử")
    assert outgoing_numbers.gaps(desk, unit=UNIT, year=local(now).year) == []
    acts = [one.act for one in routed_documents.history(desk, document.id, actor=DRAFTER)]
    assert [one for one in acts if one != "turn"] == [
        "submitted", "initialled", "signed", "numbered", "sealed", "complete",
    ]  # fmt: skip
    assert audit.verify(house.world.database).ok
    assert {"routed.submitted", "routed.step-refused", "routed.complete"} <= set(tags(house))
    # A complete document is beyond recall.
    assert (
        refusal(step_changes.recall, desk, document.id, reason="x", actor=DRAFTER, now=now)
        == "routed-document-state"
    )


@ONLY_SQLITE
def test_only_unit_and_own(house: SigningHouse) -> None:
    """What an official may not see does not exist for them; what is not theirs they cannot do."""
    desk, now = house.world.desk, house.world.now
    document = house.submit()
    assert (
        refusal(routed_documents.look, desk, document.id, actor=STRANGER)
        == "routed-document-not-found"
    )
    assert routed_documents.listed(desk, actor=STRANGER) == []
    assert [one.id for one in routed_documents.listed(desk, actor=CLERK)] == [document.id]
    assert refusal(house.initial, document, CLERK) == "step-not-yours"
    assert refusal(house.initial, document, STRANGER) == "routed-document-not-found"
    document = house.initial(document)
    # The right step with somebody else's credential, with another one's turn, with a stale view.
    for more, code in (
        ({"credential_id": house.seal.id}, "credential-not-for-step"),
        ({"credential_id": house.reviewer.id}, "credential-not-for-step"),
        ({"actor": REVIEWER}, "step-not-yours"),
        ({"shown": "0" * 64}, "shown-not-current"),
        ({"authorize": house.hand(house.deputy, "000999")}, "pin-wrong"),
        ({"authorize": house.hand(house.seal, SEAL_PIN)}, "authorization-of-another-credential"),
    ):
        assert refusal(house.sign, document, **more) == code
    # Nothing half-done is left: the document is as it was and can be signed at once.
    assert routed_documents.look(desk, document.id, actor=DEPUTY) == document
    assert house.sign(document).position == 2
    assert now == house.world.now


@ONLY_SQLITE
def test_delegation_at_the_moment_of_signing(world: World) -> None:
    """Scope and dates count when the PIN is given, not when the route was drawn."""
    house = signing_house(world, delegated=False)
    now = world.now
    document = house.initial(house.submit())
    assert refusal(house.sign, document) == "not-delegated"
    delegate(house, kinds=("TB",))
    assert refusal(house.sign, document) == "not-delegated"
    over = delegate(house, valid_from=now - timedelta(days=9), valid_to=now - timedelta(days=1))
    assert refusal(house.sign, document) == "delegation-stale"
    delegate(house, valid_from=now + timedelta(days=1))
    assert refusal(house.sign, document) == "delegation-stale"
    ended = delegate(house, valid_from=now - timedelta(days=2))
    delegations.end(world.desk, ended.id, now=now, by="official:admin")
    assert refusal(house.sign, document) == "delegation-stale"
    # In force, but the paper says another authority than the delegation gives.
    delegate(house, authority_lines=("CHỦ TỊCH",))
    assert refusal(house.sign, document) == "authority-lines-missing"
    latest = delegate(house, authority_lines=("TL. CHỦ TỊCH", "CHÁNH VĂN PHÒNG"), valid_from=now)
    assert {latest.id, over.id} < {one.id for one in delegations.of_unit(world.desk, "14797")}
    delegations.end(world.desk, latest.id, now=now, by="official:admin")
    for one in delegations.of_unit(world.desk, "14797"):
        if one.in_force(now):
            delegations.end(world.desk, one.id, now=now, by="official:admin")
    delegate(house)
    assert house.sign(document).steps[1].authority_lines == ("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH")
    assert refusal(delegate, house, authority_lines=("ABC CHỦ TỊCH", "X")) == "prefix-unknown"
    assert refusal(delegate, house, basis="") == "signing-delegation-incomplete"
    assert refusal(delegate, house, valid_from=now, valid_to=now) == "signing-delegation-dates"


@ONLY_SQLITE
def test_refusal_mending_and_recall(house: SigningHouse) -> None:
    """Before the first signature back to the drafter and mended; after it, the end."""
    desk, now = house.world.desk, house.world.now
    document = house.initial(house.submit())
    because = {"reason": "Sai căn cứ", "now": now}
    assert (
        refusal(step_changes.refuse, desk, document.id, actor=REVIEWER, **because)
        == "step-not-yours"
    )
    assert (
        refusal(step_changes.refuse, desk, document.id, reason=" ", actor=DEPUTY, now=now)
        == "step-reason-missing"
    )
    back = step_changes.refuse(desk, document.id, actor=DEPUTY, **because)
    assert (back.state, back.reason) == ("returned", "Sai căn cứ")
    assert [one.id for one in routed_documents.inbox(desk, actor=DRAFTER)] == [back.id]
    assert refusal(house.sign, back) == "routed-document-state"
    # A new version: the initial has fallen away, the first step's turn begins again.
    better = house.draft(note="lại")
    assert (
        refusal(step_changes.replace, desk, back.id, better, actor=CLERK, now=now)
        == "step-not-yours"
    )
    mended = step_changes.replace(desk, back.id, better, actor=DRAFTER, now=now)
    assert (mended.version, mended.position, mended.state) == (2, 0, "under-way")
    assert mended.steps[0].done_at is None
    assert refusal(house.initial, document) == "shown-not-current"
    document = house.sign(house.initial(mended))
    # Signed: it cannot be mended any more, and a refusal ends it with its number void.
    assert (
        refusal(step_changes.replace, desk, document.id, better, actor=DRAFTER, now=now)
        == "document-signed-already"
    )
    document = house.sign(document, StepKind.NUMBER)
    ended = step_changes.refuse(desk, document.id, actor=CLERK, **because)
    assert ended.state == "refused"
    assert (
        refusal(routed_documents.content, desk, ended.id, actor=CLERK, now=now)
        == "routed-document-withdrawn"
    )
    (line,) = outgoing_numbers.lines(desk, unit=UNIT, year=local(now).year)
    assert (line.state, line.reason) == ("void", "Sai căn cứ")
    # The sender recalls another one; a signer cannot.
    other = house.submit()
    assert refusal(step_changes.recall, desk, other.id, actor=DEPUTY, **because) == "step-not-yours"
    assert step_changes.recall(desk, other.id, actor=DRAFTER, **because).state == "recalled"
    assert routed_documents.inbox(desk, actor=REVIEWER) == []


@ONLY_SQLITE
def test_assignment_and_deadlines(house: SigningHouse) -> None:
    """A step is handed on within its unit; who is late is told once."""
    desk, now = house.world.desk, house.world.now
    document = house.submit()
    other = {"holder_id": DEPUTY.holder_id, "now": now}
    assert (
        refusal(step_changes.assign, desk, document.id, 0, actor=DEPUTY, **other)
        == "step-not-yours"
    )
    assert (
        refusal(step_changes.assign, desk, document.id, 9, actor=CLERK, **other) == "step-not-found"
    )
    stranger = {"holder_id": STRANGER.holder_id, "now": now}
    assert (
        refusal(step_changes.assign, desk, document.id, 0, actor=CLERK, **stranger)
        == "step-holder-unknown"
    )
    nobody = {"holder_id": None, "now": now}
    assert (
        refusal(step_changes.assign, desk, document.id, 1, actor=CLERK, **nobody)
        == "route-signer-missing"
    )
    document = step_changes.assign(desk, document.id, 0, actor=REVIEWER, **other)
    assert document.steps[0].holder_name == "Lê Văn Thử"
    assert refusal(house.initial, document) == "step-not-yours"
    # Given to the unit: whoever has the role there.
    document = step_changes.assign(desk, document.id, 0, actor=CLERK, **nobody)
    assert refusal(house.initial, document, CLERK) == "step-not-yours"
    assert document.steps[0].due_at is not None
    before = document.steps[0].due_at - timedelta(seconds=1)
    assert step_changes.mark_overdue(desk, now=before) == 0
    assert step_changes.mark_overdue(desk, now=document.steps[0].due_at) == 1
    assert step_changes.mark_overdue(desk, now=document.steps[0].due_at) == 0
    document = house.initial(document)
    assert (
        refusal(step_changes.assign, desk, document.id, 0, actor=CLERK, **other)
        == "step-done-already"
    )


def test_two_people_at_once(house: SigningHouse) -> None:
    """One act wins, the other is told; the document is signed once."""
    document = house.initial(house.submit())
    started, outcomes = threading.Barrier(2), []

    def act() -> None:
        started.wait()
        try:
            outcomes.append(house.sign(document).state)
        except DomainError as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=act) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    won = [one for one in outcomes if one == "under-way"]
    assert len(won) == 1
    assert set(outcomes) - {"under-way"} <= {"step-in-hand", "shown-not-current",
                                             "step-not-its-turn"}  # fmt: skip
    stands = routed_documents.look(house.world.desk, document.id, actor=DEPUTY)
    assert stands.position == 2
    assert tags(house).count("signature.made") == 1


class Stopped(BaseException):
    """The process ends here."""


def test_a_crash_at_every_point(house: SigningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed and not yet moved on: the step is finished with that signature. Otherwise: freed."""
    desk, now = house.world.desk, house.world.now
    document = house.sign(house.initial(house.submit()))
    later = now + timedelta(minutes=11)

    def crash(kind: StepKind, module: object, name: str, *, passing: int = 0) -> RoutedDocument:
        """End the process there, find the step in hand, and take up what is left."""
        real, before = getattr(module, name), list(range(passing))

        def stop(*arguments: object, **named: object) -> object:
            if before:
                before.pop()
                return real(*arguments, **named)
            raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(module, name, stop)
            with pytest.raises(Stopped):
                house.sign(document, kind)
        assert refusal(house.sign, document, kind) == "step-in-hand"
        signing.recover(desk, now=later, by="system:recovery")
        assert steps.recover(desk, now=later) == 1
        assert steps.recover(desk, now=later) == 0
        return routed_documents.look(desk, document.id, actor=CLERK)

    for module, name in (
        (steps, "_request"),
        (signing, "sign_pdf"),
        (signing, "_record_outcome"),
    ):
        assert crash(StepKind.NUMBER, module, name).file == document.file
        (line,) = outgoing_numbers.lines(desk, unit=UNIT, year=local(now).year)
        assert (line.number, line.state) == (1, "taken")
    # The signature is on record: not judged yet (the first check is of what was there before).
    document = crash(StepKind.NUMBER, step_order, "require_signed", passing=1)
    assert (document.position, document.number) == (3, 1)
    document = crash(StepKind.SEAL, step_claims, "finish")
    assert document.state == "complete"
    assert tags(house).count("signature.made") == 3
    (line,) = outgoing_numbers.lines(desk, unit=UNIT, year=local(now).year)
    assert (line.number, line.state) == (1, "issued")


@ONLY_SQLITE
def test_a_number_of_yesterday_is_void(house: SigningHouse) -> None:
    """A number taken and not signed on its day is void; numbers and days keep one order."""
    desk, now = house.world.desk, house.world.now
    document = house.sign(house.initial(house.submit()))
    wrong = house.hand(house.seal, "000999")
    assert refusal(house.sign, document, StepKind.NUMBER, authorize=wrong) == "pin-wrong"
    with house.world.database.transaction() as session:
        line = outgoing_numbers.of_document(session, document.id)
        assert line is not None
        line.day = local(now).date() - timedelta(days=1)
    assert house.sign(document, StepKind.NUMBER).number == 2
    states = [one.state for one in outgoing_numbers.lines(desk, unit=UNIT, year=local(now).year)]
    assert states == ["void", "issued"]


@ONLY_SQLITE
def test_a_forged_row_gets_no_seal(house: SigningHouse) -> None:
    """The signature is validated, not assumed from what the table says."""
    desk = house.world.desk
    document = house.initial(house.submit())
    with house.world.database.transaction() as session:
        session.execute(
            update(RoutedDocumentRow).where(RoutedDocumentRow.id == document.id).values(position=3)
        )
    forged = dataclasses.replace(document, position=3)
    assert refusal(house.sign, forged, StepKind.SEAL) == "seal-before-signature"
    # A signed file that was changed afterwards.
    document = house.sign(house.initial(house.submit()))
    data = desk.blobs.get(document.file)
    at = data.index(b"/M(D:")
    changed = desk.blobs.put(data[: at + 5] + b"2020" + data[at + 9 :])
    with house.world.database.transaction() as session:
        session.execute(
            update(RoutedDocumentRow)
            .where(RoutedDocumentRow.id == document.id)
            .values(file=changed)
        )
    forged = dataclasses.replace(document, file=changed)
    assert refusal(house.sign, forged, StepKind.NUMBER) == "signature-not-valid"
    # Somebody whose credential was suspended meanwhile does not sign.
    credentials.suspend(desk, house.deputy.id, reason="x", now=house.world.now, by="op:test")
    document = house.initial(house.submit())
    assert refusal(house.sign, document) == "credential-suspended"


@ONLY_SQLITE
def test_what_a_draft_must_have(house: SigningHouse) -> None:
    """What a later step would stumble over is refused when the drafter can still mend it."""
    desk, now = house.world.desk, house.world.now
    signed = house.sign(house.initial(house.submit()))
    for data, route, code in (
        (desk.blobs.get(signed.file), ROUTE, "document-signed-already"),
        (b"no pdf", ROUTE, "document-not-pdf"),
        (house.draft(), ROUTE[:1], "route-order"),
        (house.draft(), (ROUTE[1], ROUTE[0]), "route-order"),
        (house.draft(), (*ROUTE, ROUTE[3]), "route-order"),
        (house.draft(), (PlannedStep(StepKind.SIGNATURE, UNIT),), "route-signer-missing"),
        (
            house.draft(),
            (PlannedStep(StepKind.SIGNATURE, UNIT, "CCCD:038900000077"),),
            "step-holder-unknown",
        ),
        (
            house.draft(),
            (PlannedStep(StepKind.SIGNATURE, "14758", DEPUTY.holder_id),),
            "step-holder-not-of-unit",
        ),
        (
            house.draft(),
            (PlannedStep(StepKind.SIGNATURE, UNIT, REVIEWER.holder_id),),
            "anchor-not-found",
        ),
        (
            house.draft(),
            (
                PlannedStep(
                    StepKind.SIGNATURE, UNIT, DEPUTY.holder_id, look=Look(1, (60, 600, 535, 800))
                ),
            ),
            "appearance-covers-text",
        ),
    ):
        wanted = house.submission(route=route)
        assert refusal(steps.submit, desk, data, wanted, actor=DRAFTER, now=now) == code
    require_order(ROUTE)
    # With a box the lines and the name are drawn; without number and seal the signature ends it.
    boxed = PlannedStep(
        StepKind.SIGNATURE, UNIT, DEPUTY.holder_id, look=Look(-1, (330, 60, 560, 190))
    )
    document = house.sign(house.submit(route=(boxed,)))
    assert document.state == "complete"


@ONLY_SQLITE
def test_two_who_sign(house: SigningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second signs only over a valid signature of the first, and hides nothing of it."""
    delegate(
        house, holder_id=REVIEWER.holder_id, name=REVIEWER.name, authority_lines=("VĂN PHÒNG",)
    )
    boxes = ((330, 60, 560, 190), (60, 60, 290, 190))
    first, second = (
        PlannedStep(StepKind.SIGNATURE, UNIT, who.holder_id, look=Look(-1, box))
        for who, box in zip((DEPUTY, REVIEWER), boxes, strict=True)
    )
    document = house.sign(house.submit(route=(first, second)))
    theirs = {
        "credential_id": house.reviewer.id,
        "authorize": house.hand(house.reviewer, PIN),
        "actor": REVIEWER,
    }
    done = house.sign(document, **theirs)
    assert done.state == "complete"
    data = house.world.desk.blobs.get(done.file)
    report = validate(data, trust=house.world.trust, now=house.world.now)
    assert [one.signer for one in report.signatures] == [DEPUTY.name, REVIEWER.name]
    assert report.passed
    # A file beyond the limit is not taken in.
    monkeypatch.setattr(steps, "MOST_BYTES", 1000)
    assert refusal(house.submit) == "document-too-large"


@ONLY_SQLITE
def test_places_that_meet_are_refused_before_anybody_signs(house: SigningHouse) -> None:
    """A second signature never hides the first, and the second signer is not who finds out."""
    desk, now = house.world.desk, house.world.now
    first = PlannedStep(
        StepKind.SIGNATURE, UNIT, DEPUTY.holder_id, look=Look(-1, (330, 60, 560, 190))
    )
    beside = dataclasses.replace(
        first, holder_id=REVIEWER.holder_id, look=Look(-1, (60, 60, 290, 190))
    )

    def refused(*route: PlannedStep) -> str:
        return refusal(house.submit, route=route)

    def moved(step: PlannedStep, **look: Any) -> PlannedStep:
        return dataclasses.replace(step, look=Look(**look))

    # With the route: the same page and a common area, however the pages will be counted.
    over = moved(beside, page=-1, box=(200, 70, 400, 180))
    define = {"unit": UNIT, "name": "Hai người ký", "now": now, "by": "op:test"}
    assert refusal(step_routes.define, desk, steps=(first, over), **define) == "route-boxes-overlap"
    step_routes.define(desk, steps=(first, moved(over, page=2, box=over.look.box)), **define)
    # With the draft: its second page is its last, a name in the text, the number's blanks.
    assert refused(first, moved(over, page=2, box=over.look.box)) == "route-boxes-overlap"
    named = dataclasses.replace(first, look=Look())
    with Document.open(Original.of(house.draft()), desk.limits) as document:
        _, y1, x2, y2 = placement.beside_anchor(document, 0, DEPUTY.name, 130, above=True).box
        number = number_place.row(document).box
    middle = (y1 + y2) / 2
    on_name = moved(beside, page=-1, box=(x2 - 20, middle - 40, x2 + 100, middle + 40))
    assert refused(named, on_name) == "route-boxes-overlap"
    assert refused(named, moved(beside, anchor=DEPUTY.name)) == "no-room-at-anchor"
    between = (number[0] + 60, number[1] - 1, number[0] + 160, number[1] + 60)
    assert refused(moved(first, page=1, box=between), ROUTE[2]) in (
        "route-boxes-overlap",
        "appearance-covers-text",
    )
    # Too small for the name; an anchor that is not on the page where the signature looks for it.
    assert refused(moved(first, page=-1, box=(330, 60, 350, 190))) == "box-too-small"
    assert house.submit(route=(first, beside, *ROUTE[2:])).state == "under-way"
    # The seal reaches left of the last signer's picture: there is nobody else.
    near = moved(first, page=-1, box=(250, 60, 400, 190))
    beside = moved(beside, page=-1, box=(405, 60, 560, 190))
    assert refused(near, beside, *ROUTE[2:]) == "route-boxes-overlap"
    assert house.submit(route=(near, beside, ROUTE[2])).state == "under-way"
