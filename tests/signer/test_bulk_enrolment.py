"""Lists in, holders out: bulk enrolment from the file to the first use of a code."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from ca.identity import Answer, Claim, Outcome, RegistryUnavailable
from ca.models import CertificateRow, CertificateStatus, IntentionRow, IntentionState
from hsm.errors import HsmError, TokenUnavailable
from hsm.sealing import unseal_with_code
from records import audit
from records.models import AuditEntry
from signer.errors import ActivationRefused, SignerError
from signer.holders import (
    bulk_enrolment,
    enrolment_intake,
    enrolment_lists,
    enrolment_reading,
    enrolment_results,
    keepers,
    leaving,
)
from signer.holders.enrolment_models import EnrolmentLineRow, LineState, ListState
from signer.keys import activation, credentials, pins
from signer.models import CredentialRow
from tests.world import World

BY = "official:038900000001"
OTHER = "official:038900000002"
HEAD = "Họ và tên,CCCD,Ngày sinh,Mã đơn vị,Tên đơn vị,Chức vụ,Email\r\n"


def officials(count: int, start: int = 0) -> bytes:
    rows = [
        f"Nguyễn Thị Mẫu,0388{n:08d},02/09/1980,14797,UBND phường Hạc Thành,Chuyên viên,\r\n"
        for n in range(start, start + count)
    ]
    return (HEAD + "".join(rows)).encode()


def started(world: World, data: bytes, **more: Any) -> tuple[str, str]:
    taken = enrolment_intake.take_in(
        world.desk, data, profile="official", file_name="ds.csv", now=world.now, by=BY, **more
    )
    return taken.id, enrolment_lists.start(world.desk, taken.id, now=world.now, by=BY)


def work(world: World, list_id: str, **more: Any) -> enrolment_reading.Taken:
    return bulk_enrolment.work(
        world.desk, list_id, clock=lambda: world.now, by=BY, **{"chunk": 3, **more}
    )


def tags(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))


def enrolled_twice(world: World) -> int:
    with world.database.reading() as session:
        twice = (
            select(CredentialRow.holder_id)
            .group_by(CredentialRow.holder_id)
            .having(func.count() > 1)
        )
        return len(session.scalars(twice).all())


def test_a_list_becomes_holders(world: World) -> None:
    """Preview, progress, result file; the code is good once and the PIN follows."""
    desk, now = world.desk, world.now
    data = officials(7) + "Lê,0388,,14797,X,,\r\n".encode()
    taken = enrolment_intake.take_in(
        desk, data, profile="official", file_name="ds.csv", now=now, by=BY
    )
    assert (taken.state, taken.lines) == (ListState.PREVIEWED, 8)
    assert (taken.counts["waiting"], taken.counts["refused"]) == (7, 1)
    (bad,) = enrolment_reading.problems(desk, taken.id)
    assert bad.number == 9
    assert "12 chữ số" in bad.problems[0].message("vi")
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(CredentialRow)) == 0

    secret = enrolment_lists.start(desk, taken.id, now=now, by=BY)
    heard: list[int] = []
    done = work(world, taken.id, told=heard.append)
    assert (done.state, done.counts["enrolled"], heard) == (ListState.DONE, 7, [3, 3, 1])

    lines = list(enrolment_results.results(desk, taken.id, secret=secret, now=now, by=BY))
    codes = {line.code for line in lines if line.state is LineState.ENROLLED}
    assert len(codes) == 7
    first = lines[0]
    assert first.credential_id is not None
    found = credentials.find(desk, first.credential_id)
    assert found.algorithm == "p-256"
    assert desk.authority.certificate(found.certificate.serial_number).status == "good"
    assert [one.subject for one in found.chain][-1] == found.chain[-1].issuer

    with pytest.raises(ActivationRefused, match="code"):
        activation.open_key(desk, found.id, "925817", now=now)
    pins.activate(desk, found.id, code=first.code.lower(), pin="925817", now=now, by=BY)
    assert activation.open_key(desk, found.id, "925817", now=now)
    with pytest.raises(ActivationRefused):
        pins.activate(desk, found.id, code=first.code, pin="806412", now=now, by=BY)
    again = list(enrolment_results.results(desk, taken.id, secret=secret, now=now, by=BY))
    assert (again[0].code, again[1].code) == ("", lines[1].code)
    assert audit.verify(world.database).ok
    assert {"enrolment-list.taken-in", "enrolment-list.started", "enrolment-list.finished",
            "handout.opened"} <= set(tags(world))  # fmt: skip


def test_asking_for_a_pin_too_early_uses_up_no_attempt(world: World) -> None:
    """Nothing was guessed where a code is needed: five such mistakes lock nobody out."""
    list_id, secret = started(world, officials(1))
    work(world, list_id)
    (line,) = enrolment_results.results(world.desk, list_id, secret=secret, now=world.now, by=BY)
    for _ in range(6):
        with pytest.raises(ActivationRefused) as caught:
            activation.open_key(world.desk, str(line.credential_id), "925817", now=world.now)
        assert caught.value.code == "activation-pending"
    pins.activate(
        world.desk, str(line.credential_id), code=line.code, pin="925817", now=world.now, by=BY
    )


def test_the_codes_open_with_the_secret_only(world: World) -> None:
    """Sealed under one-time codes: the tables, the token and an administrator open none of them."""
    list_id, secret = started(world, officials(2))
    work(world, list_id)
    lines = list(
        enrolment_results.results(world.desk, list_id, secret=secret, now=world.now, by=BY)
    )
    with pytest.raises(SignerError) as caught:
        enrolment_results.results(
            world.desk, list_id, secret="AAAA" * 7, now=world.now, by="operator:root"
        )
    assert caught.value.code == "handout-secret-wrong"
    assert "handout.refused" in tags(world)
    with world.database.reading() as session:
        rows = session.scalars(select(EnrolmentLineRow)).all()
        kept = b"".join(row.sealed_code or b"" for row in rows)
        opened = [session.get_one(CredentialRow, str(row.credential_id)) for row in rows]
    for line in lines:
        assert line.code.encode() not in kept
        assert line.code not in repr(line)
    for row, line in zip(opened, lines, strict=True):
        context = credentials.seal_context(row.id)
        assert unseal_with_code(row.sealed_key, line.code, context=context)
        with pytest.raises(HsmError):
            unseal_with_code(row.sealed_key, lines[0].code[::-1], context=context)
    enrolment_results.close(world.desk, list_id, now=world.now, by=BY)
    with pytest.raises(SignerError) as closed:
        enrolment_results.results(world.desk, list_id, secret=secret, now=world.now, by=BY)
    assert closed.value.code == "handout-closed"
    with world.database.reading() as session:
        assert not any(session.scalars(select(EnrolmentLineRow.sealed_code)))


def test_codes_nobody_closed_are_closed_by_time(world: World) -> None:
    list_id, _ = started(world, officials(1))
    work(world, list_id)
    assert enrolment_results.close_old(world.desk, now=world.now, by=BY) == 0
    later = world.now + enrolment_results.KEPT + timedelta(days=1)
    assert enrolment_results.close_old(world.desk, now=later, by=BY) == 1


def test_the_result_file_starts_no_formula(world: World) -> None:
    """A spreadsheet runs what begins with = + - @: no such cell leaves here."""
    data = (HEAD + "=HYPERLINK(1) Mẫu,038800000001,,14797,UBND,,\r\n").encode() + officials(1, 5)[
        len(HEAD.encode()) :
    ]
    list_id, secret = started(world, data)
    work(world, list_id)
    made = enrolment_results.results_csv(
        world.desk, list_id, secret=secret, now=world.now, by=BY
    ).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(made)))
    assert len(rows) == 3
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert "công thức" in rows[1][-1]


class Killed(BaseException):
    """The process ends here; nothing is tidied up."""


@pytest.mark.parametrize("moment", ["intend", "act", "conclude"])
def test_after_a_kill_the_rest_is_enrolled_and_nobody_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Resumable after kill -9 with nobody enrolled twice, wherever it struck."""
    list_id, secret = started(world, officials(8))
    target: Any = bulk_enrolment.issuance_rows if moment == "conclude" else bulk_enrolment.issuance
    true, calls = getattr(target, moment), []

    def struck(*arguments: Any, **more: Any) -> Any:
        calls.append(moment)
        if len(calls) == 2:
            raise Killed
        return true(*arguments, **more)

    monkeypatch.setattr(target, moment, struck)
    with pytest.raises(Killed):
        work(world, list_id)
    monkeypatch.undo()
    assert 0 < work(world, list_id).counts["enrolled"] == 8
    assert enrolled_twice(world) == 0
    assert "enrolment-list.resumed" in tags(world)
    lines = list(
        enrolment_results.results(world.desk, list_id, secret=secret, now=world.now, by=BY)
    )
    assert all(line.code for line in lines)
    with world.database.reading() as session:
        issued = select(func.count()).where(IntentionRow.state == IntentionState.ISSUED.value)
        people = select(func.count()).where(CertificateRow.profile == "official")
        assert session.scalar(people) == 8
        assert session.scalar(issued) >= 8


def test_a_run_that_was_thought_dead_writes_nothing(world: World) -> None:
    """Two processes at one list: the later fences the earlier off."""
    list_id, _ = started(world, officials(9))
    taken_over: list[enrolment_reading.Taken] = []

    def take_over(_: int) -> None:
        if not taken_over:
            taken_over.append(work(world, list_id))

    with pytest.raises(SignerError) as caught:
        work(world, list_id, told=take_over)
    assert caught.value.code == "list-taken-over"
    assert enrolment_reading.look(world.desk, list_id).counts["enrolled"] == 9
    assert enrolled_twice(world) == 0
    with world.database.reading() as session:
        left = select(func.count()).where(IntentionRow.state == IntentionState.OPEN.value)
        assert session.scalar(left) == 0


def test_a_token_that_vanishes_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that vanishes mid-batch: the batch waits and resumes."""
    list_id, _ = started(world, officials(8))
    true, calls, waits = bulk_enrolment.issuance.act, [], []

    def gone(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) in (2, 3):
            raise TokenUnavailable("away", retry_after=7)
        return true(*arguments, **more)

    monkeypatch.setattr(bulk_enrolment.issuance, "act", gone)
    done = work(world, list_id, pause=waits.append)
    assert (done.counts["enrolled"], set(waits)) == (8, {7.0})
    assert enrolled_twice(world) == 0


def test_a_token_that_stays_away_ends_the_run_and_spoils_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_id, _ = started(world, officials(4))

    def gone(*_: Any, **__: Any) -> Any:
        raise TokenUnavailable("away", retry_after=30)

    monkeypatch.setattr(bulk_enrolment.issuance, "act", gone)
    with pytest.raises(TokenUnavailable):
        work(world, list_id, pause=lambda _: None, patience=60)
    monkeypatch.undo()
    assert work(world, list_id).counts["enrolled"] == 4


def test_one_line_that_cannot_be_issued_spoils_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finding of the linter stops its own line, in words, and nobody else's."""
    from ca import lint
    from ca.errors import CaError

    list_id, _ = started(world, officials(5))
    true = lint.stop_on_findings

    def picky(*arguments: Any, **more: Any) -> None:
        if more["subject"].citizen_id.endswith("2"):
            raise CaError("lint-finding", rule="RFC 5280 §4", text="x", count=1)
        true(*arguments, **more)

    monkeypatch.setattr(lint, "stop_on_findings", picky)
    done = work(world, list_id)
    assert (done.counts["enrolled"], done.counts["failed"]) == (4, 1)
    (failed,) = enrolment_reading.problems(world.desk, list_id)
    assert "RFC 5280 §4" in failed.problems[0].message("vi")


def test_a_second_person_approves_exactly_this_list(world: World) -> None:
    """Approval by a second person where the profile asks for it, bound to the exact request."""
    head = "Tên cơ quan,Mã số thuế,Mã ngân sách,Mã đơn vị,Địa danh,Văn thư\r\n"
    row = "UBND phường Hạc Thành,2800000001,1000001,14797,Hạc Thành,038800000003\r\n"
    data = (head + row).encode()
    taken = enrolment_intake.take_in(
        world.desk, data, profile="agency-seal", file_name="a.csv", now=world.now, by=BY
    )
    when: dict[str, Any] = {"now": world.now}
    assert taken.needs_approval
    for refused, code in (
        (lambda: enrolment_lists.start(world.desk, taken.id, by=BY, **when), "list-state"),
        (
            lambda: enrolment_lists.approve(
                world.desk, taken.id, digest=taken.digest, by=BY, **when
            ),
            "list-own",
        ),
        (
            lambda: enrolment_lists.approve(
                world.desk, taken.id, digest="0" * 64, by=OTHER, **when
            ),
            "list-other",
        ),
    ):
        with pytest.raises(SignerError) as caught:
            refused()
        assert caught.value.code == code
    other_keeper = enrolment_intake.take_in(
        world.desk, data.replace(b"038800000003", b"038800000004"), profile="agency-seal",
        file_name="a.csv", now=world.now, by=BY,
    )  # fmt: skip
    assert other_keeper.digest != taken.digest
    enrolment_lists.approve(world.desk, taken.id, digest=taken.digest, by=OTHER, **when)
    secret = enrolment_lists.start(world.desk, taken.id, by=BY, **when)
    # DOMAIN.md §2: the văn thư whom the list names keeps the seal from the first day on.
    assert work(world, taken.id).counts["enrolled"] == 1
    (line,) = enrolment_reading.lines(world.desk, taken.id)
    assert (line.keeper, line.credential_id) != (None, None)
    assert keepers.kept_by(world.desk, "CCCD:038800000003") == [line.credential_id]
    told = enrolment_results.results_csv(world.desk, taken.id, secret=secret, by=BY, **when)
    assert told.decode("utf-8-sig").splitlines()[1].endswith(",038800000003,")
    left = leaving.leave(world.desk, "CCCD:038800000003", decision="1/QĐ", by=OTHER, **when)
    assert left.seals == (line.credential_id,)
    assert credentials.find(world.desk, left.seals[0]).state == "suspended"
    (made,) = credentials.of_unit(world.desk, "14797")
    assert made.holder.uids == ("MST:2800000001", "MNS:1000001")


def test_nobody_is_in_two_lists_at_once(world: World) -> None:
    """Who has a credential, or is on the way to one, is told so and left out."""
    first, _ = started(world, officials(3))
    second, _ = started(world, officials(5))
    assert enrolment_reading.look(world.desk, second).counts["present"] == 3
    assert work(world, second).counts["enrolled"] == 2
    assert work(world, first).counts["enrolled"] == 3
    third = enrolment_intake.take_in(
        world.desk, officials(5), profile="official", file_name="x", now=world.now, by=BY
    )
    assert third.counts["present"] == 5
    assert enrolled_twice(world) == 0


def test_a_cancelled_list_goes_no_further(world: World) -> None:
    list_id, secret = started(world, officials(6))
    work(world, list_id, stop=iter([False, True, True, True, True]).__next__)
    enrolment_lists.cancel(world.desk, list_id, now=world.now, by=BY)
    with pytest.raises(SignerError):
        work(world, list_id)
    lines = list(
        enrolment_results.results(world.desk, list_id, secret=secret, now=world.now, by=BY)
    )
    assert [bool(line.code) for line in lines] == [True] * 3 + [False] * 3


class Registry:
    """A registry that knows what the test tells it."""

    name = "test"

    def __init__(self, **outcomes: Outcome) -> None:
        self.outcomes, self.asked, self.away = outcomes, 0, 0

    def check(self, claims: Sequence[Claim]) -> list[Answer]:
        if self.away:
            self.away -= 1
            raise RegistryUnavailable("closed", retry_after=5)
        self.asked += len(claims)
        return [
            Answer(self.outcomes.get(one.citizen_id[-1], Outcome.MATCH), ("name",))
            for one in claims
        ]


def test_only_those_the_registry_knows_are_enrolled(world: World) -> None:
    """Identity check outcome stored with the request; mismatch refuses, silence decides nothing."""
    list_id, _ = started(world, officials(5))
    registry = Registry(**{"1": Outcome.MISMATCH, "3": Outcome.DECEASED})
    registry.away = 1
    waits: list[float] = []
    done = work(world, list_id, registry=registry, pause=waits.append)
    assert (done.counts["enrolled"], done.counts["failed"], waits) == (3, 2, [5.0])
    lines = enrolment_reading.lines(world.desk, list_id)
    assert [one.identity for one in lines] == ["match", "mismatch", "match", "deceased", "match"]
    assert "không khớp" in lines[1].problems[0].message("vi")
    assert "enrolment-line.refused" in tags(world)


def test_the_clock_moves_on_during_a_run(world: World) -> None:
    """Time is an argument: others issue meanwhile, and no batch is older than what they made."""
    moments = iter(world.now + timedelta(minutes=n) for n in range(1000))

    def clock() -> datetime:
        return next(moments)

    list_id, _ = started(world, officials(7))
    done = bulk_enrolment.work(world.desk, list_id, clock=clock, by=BY, chunk=3)
    assert done.counts["enrolled"] == 7
    with world.database.reading() as session:
        certificates = session.scalars(
            select(CertificateRow).where(CertificateRow.profile == "official")
        ).all()
    assert len({row.issued_at for row in certificates}) == 3
    assert {row.status for row in certificates} == {CertificateStatus.GOOD.value}


def test_a_list_that_never_came_in_whole_is_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def struck(*_: Any, **__: Any) -> Any:
        raise Killed

    monkeypatch.setattr(enrolment_intake, "_content", struck)
    with pytest.raises(Killed):
        started(world, officials(3))
    monkeypatch.undo()
    assert enrolment_intake.abandon_unread(world.desk, now=world.now, by=BY) == 0
    later = world.now + timedelta(minutes=10)
    assert enrolment_intake.abandon_unread(world.desk, now=later, by=BY) == 1
    assert enrolment_reading.newest(world.desk) == []
