"""Batches: one authorisation, thousands of documents, each with its own outcome.

"Reviewable before (per-item tick), resumable after a crash, cancellable … Nothing is
signed twice, nothing lost."
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from ca.authority import Authority
from ca.status.ocsp import Responder
from ca.time.tsa import TimeStampAuthority
from ca.trust import TrustStore
from hsm.custody import Custody
from hsm.errors import TokenUnavailable
from hsm.token import Token, TokenSettings
from records import audit
from records.blobs import BlobStore
from records.database import Database
from records.errors import DomainError
from records.models import AuditEntry
from signer import in_groups
from signer.batches import (
    batch,
    batch_outcome,
    batch_reading,
    batch_request,
    batch_upkeep,
    batch_work,
)
from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_packs import Shelves
from signer.cms import CmsTemplate
from signer.desk import Desk
from signer.errors import ActivationRefused, BatchRefused, CredentialUnusable
from signer.keys import activation, credentials
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.models import AuthorizationRow, AuthorizedDigestRow, SignatureRow
from signer.signature import SignatureRequest
from signer.verdicts.validation import validate
from tests.signer import paper
from tests.signer.holders import BY, CLIENT, OFFICIAL_PIN, Holders, enrol
from tests.world import World

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def holders(world: World) -> Holders:
    return enrol(world)


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    return Shelves(str(tmp_path / "batches"))


def documents(count: int) -> list[tuple[str, bytes]]:
    data = paper.decision()
    return [(f"quyết định {n}.pdf", data + b"%% %d\n" % n * bool(n)) for n in range(count)]


def filled(
    world: World, holders: Holders, shelves: Shelves, files: list[tuple[str, bytes]], **how: Any
) -> str:
    made = batch.open_batch(
        world.desk,
        credential_id=holders.official.id,
        client=CLIENT,
        request=SignatureRequest(**how),
        now=world.now,
        by=BY,
    )
    batch.add(world.desk, shelves, made.id, files, client=CLIENT, now=world.now, by=BY)
    return made.id


def authorize(
    world: World, batch_id: str, *, pin: str = OFFICIAL_PIN, **more: Any
) -> batch_reading.Batch:
    more.setdefault("now", world.now)
    return batch.authorize(world.desk, batch_id, pin=pin, client=CLIENT, by=BY, **more)


def work(world: World, shelves: Shelves, *, later: timedelta = timedelta(), size: int = 50) -> int:
    return batch_work.work_once(
        world.desk, shelves, holder="here", clock=lambda: world.now + later, size=size
    )


def look(world: World, batch_id: str) -> batch_reading.Batch:
    return batch_reading.look(world.desk, batch_id, client=CLIENT)


def items(world: World, batch_id: str) -> list[batch_reading.Item]:
    return batch_reading.items(world.desk, batch_id, client=CLIENT)


def content(world: World, shelves: Shelves, batch_id: str, position: int) -> bytes:
    return batch_reading.content(world.desk, shelves, batch_id, position, client=CLIENT)


def tags(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))


def assert_each_signed_once(world: World, shelves: Shelves, batch_id: str) -> None:
    """The rows, the authorisation, the log and the files all say the same."""
    signed = [one for one in items(world, batch_id) if one.state == "signed"]
    with world.database.reading() as session:
        made = session.execute(
            select(SignatureRow.document, SignatureRow.result).where(SignatureRow.state == "made")
        ).all()
        open_ = session.scalar(
            select(func.count()).select_from(SignatureRow).where(SignatureRow.state == "intended")
        )
        used = session.scalar(
            select(func.count())
            .select_from(AuthorizedDigestRow)
            .where(AuthorizedDigestRow.state == "used")
        )
    assert sorted(map(tuple, made)) == sorted((one.digest, one.result) for one in signed)
    assert (open_, used) == (0, len(signed))
    assert tags(world).count("signature.made") == len(signed)
    for one in signed:
        data = content(world, shelves, batch_id, one.position)
        assert hashlib.sha256(data[: one.size]).hexdigest() == one.digest
    assert audit.verify(world.database).ok


def test_one_pin_and_each_document_has_its_outcome(
    world: World, holders: Holders, shelves: Shelves
) -> None:
    """Reviewed, unticked, authorised once; what cannot be signed says why and stops nobody."""
    files = documents(5)
    files[3] = ("hỏng.pdf", files[3][1][:-900])
    batch_id = filled(
        world, holders, shelves, files, level=Level.B_T,
        appearance=Appearance(box=(340, 60, 520, 190)),
    )  # fmt: skip
    again = batch.add(world.desk, shelves, batch_id, files[:2], client=CLIENT, now=world.now, by=BY)
    assert [one.position for one in again] == [0, 1], "sending again adds nothing"
    seen = items(world, batch_id)
    assert [one.state for one in seen] == ["waiting"] * 3 + ["refused", "waiting"]
    assert seen[3].failure is not None
    assert seen[3].failure.message("vi") != seen[3].failure.message("en")
    assert seen[0].pages == 1
    batch.choose(world.desk, batch_id, tick=[3], untick=[1, 2], client=CLIENT)
    batch.choose(world.desk, batch_id, tick=[2], untick=[], client=CLIENT)

    late = world.now + timedelta(hours=1)
    assert batch_work.pending(world.desk, now=world.now), "workers warm up while it is filled"
    assert not batch_work.pending(world.desk, now=late)
    assert authorize(world, batch_id).state == "running"
    assert batch_work.pending(world.desk, now=late)
    assert work(world, shelves) == 3
    assert work(world, shelves) == 0
    assert not batch_work.pending(world.desk, now=late)

    found = look(world, batch_id)
    assert found.state == "done"
    assert found.settled
    assert found.counts == {"signed": 3, "left-out": 1, "refused": 1}
    assert_each_signed_once(world, shelves, batch_id)
    report = validate(content(world, shelves, batch_id, 0), trust=world.trust, now=world.now)
    assert [one.signer for one in report.signatures] != []
    assert report.signatures[0].covers_whole_file
    for tag in ("batch.opened", "batch.filled", "batch.started", "batch.finished"):
        assert tags(world).count(tag) >= 1
    with world.database.reading() as session:
        (row,) = session.scalars(select(AuthorizationRow))
    assert (row.ended, row.sealed_key) == (True, None), "a batch that is done keeps no key"


def test_the_request_survives_being_kept() -> None:
    """How to sign is kept as JSON and comes out as it went in."""
    import json

    for request in (
        SignatureRequest(),
        SignatureRequest(
            level=Level.B_LTA, reason="Phê duyệt", certify=2, lock_fields=(),
            appearance=Appearance.person(box=(1, 2, 300, 200), prefix="KT.", superior="CHỦ TỊCH"),
        ),
    ):  # fmt: skip
        assert (
            batch_request.unpacked(json.loads(json.dumps(batch_request.packed(request)))) == request
        )


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda w, b: authorize(w, b, pin="000111"), "pin-wrong"),
        (lambda w, b: batch_reading.look(w.desk, b, client="client:other"), "batch-not-found"),
        (lambda w, b: batch_reading.look(w.desk, "bat_x", client=CLIENT), "batch-not-found"),
    ],
)
@ONLY_SQLITE
def test_refusals(world: World, holders: Holders, shelves: Shelves, act: Any, code: str) -> None:
    """Sole control: a wrong PIN starts nothing; another client's batch does not exist."""
    batch_id = filled(world, holders, shelves, documents(2))
    with pytest.raises(DomainError) as caught:
        act(world, batch_id)
    assert caught.value.code == code
    assert look(world, batch_id).state == "open"
    assert work(world, shelves) == 0


@ONLY_SQLITE
def test_a_running_batch_takes_no_document(
    world: World, holders: Holders, shelves: Shelves
) -> None:
    """What was authorised is what is signed: neither added to nor chosen from afterwards."""
    batch_id = filled(world, holders, shelves, documents(2))
    authorize(world, batch_id)
    with pytest.raises(BatchRefused):
        batch.add(world.desk, shelves, batch_id, documents(3), client=CLIENT, now=world.now, by=BY)
    with pytest.raises(BatchRefused):
        batch.choose(world.desk, batch_id, tick=[], untick=[0], client=CLIENT)
    # Nor may somebody with the database put another digest in the place of an authorised one.
    with world.database.transaction() as session:
        session.execute(
            update(BatchItemRow).where(BatchItemRow.position == 0).values(digest="00" * 32)
        )
    while work(world, shelves):
        pass
    assert [one.state for one in items(world, batch_id)] == ["refused", "signed"]
    assert look(world, batch_id).state == "done"


def test_cancelled(world: World, holders: Holders, shelves: Shelves) -> None:
    """What is signed stays signed, the rest is not touched, the key is erased at once."""
    batch_id = filled(world, holders, shelves, documents(5))
    authorize(world, batch_id)
    assert work(world, shelves, size=2) == 2
    for _ in range(2):
        made = batch.cancel(world.desk, batch_id, client=CLIENT, now=world.now, by=BY)
    assert made.counts == {"signed": 2, "cancelled": 3}
    assert work(world, shelves) == 0
    assert_each_signed_once(world, shelves, batch_id)
    with world.database.reading() as session:
        assert session.scalars(select(AuthorizationRow.sealed_key)).all() == [None]
    assert tags(world).count("batch.cancelled") == 1


def test_the_authorisation_ends_before_the_batch(
    world: World, holders: Holders, shelves: Shelves
) -> None:
    """It stops in good order; the PIN for the rest, and only for the rest, lets it go on."""
    batch_id = filled(world, holders, shelves, documents(4))
    authorize(world, batch_id, minutes=1)
    assert work(world, shelves, size=1) == 1
    late = timedelta(minutes=2)
    assert work(world, shelves, later=late) == 0
    assert (look(world, batch_id).state, look(world, batch_id).failure) == (
        "paused", "authorization-expired",
    )  # fmt: skip
    batch.choose(world.desk, batch_id, tick=[], untick=[3], client=CLIENT)
    authorize(world, batch_id, now=world.now + late)
    assert work(world, shelves, later=late) == 2
    assert look(world, batch_id).state == "done"
    assert_each_signed_once(world, shelves, batch_id)


@ONLY_SQLITE
def test_a_credential_suspended_meanwhile_pauses_the_batch(
    world: World, holders: Holders, shelves: Shelves
) -> None:
    """The status is looked at before each chunk."""
    batch_id = filled(world, holders, shelves, documents(3))
    authorize(world, batch_id)
    work(world, shelves, size=1)
    credentials.suspend(world.desk, holders.official.id, reason="x", now=world.now, by=BY)
    work(world, shelves)
    assert look(world, batch_id).failure == "credential-suspended"
    assert look(world, batch_id).counts == {"signed": 1, "waiting": 2}
    with pytest.raises((CredentialUnusable, ActivationRefused)):
        authorize(world, batch_id)
    assert_each_signed_once(world, shelves, batch_id)


@ONLY_SQLITE
def test_a_token_that_is_away_costs_nothing(
    world: World, holders: Holders, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunk is put back whole; the batch goes on when the token is there again."""
    batch_id = filled(world, holders, shelves, documents(3))
    authorize(world, batch_id)

    def gone(*_: object, **__: object) -> bytes:
        raise TokenUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr("signer.cms.CmsTemplate.sign", gone)
        for _ in range(5):
            with pytest.raises(TokenUnavailable):
                work(world, shelves)
    assert look(world, batch_id).counts == {"waiting": 3}
    assert work(world, shelves) == 3
    assert_each_signed_once(world, shelves, batch_id)


@ONLY_SQLITE
def test_a_document_that_breaks_the_work_is_isolated(
    world: World, holders: Holders, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect met by one document refuses that one, and only after it was tried alone."""
    files = documents(4)
    batch_id = filled(world, holders, shelves, files)
    authorize(world, batch_id)
    real = in_groups._Group._begin

    def defective(self: Any, document: Any) -> Any:
        if document.original.data == files[2][1]:
            raise ZeroDivisionError
        return real(self, document)

    monkeypatch.setattr(in_groups._Group, "_begin", defective)
    for _ in range(12):
        try:
            if not work(world, shelves):
                break
        except ZeroDivisionError:
            continue
    assert [one.state for one in items(world, batch_id)] == ["signed"] * 2 + ["refused", "signed"]
    refused = items(world, batch_id)[2].failure
    assert refused is not None
    assert refused.code == "batch-document-interrupts"
    assert look(world, batch_id).state == "done"
    assert_each_signed_once(world, shelves, batch_id)


@ONLY_SQLITE
def test_batches_take_turns(world: World, holders: Holders, shelves: Shelves) -> None:
    """A small batch does not wait for a large one to end."""
    large = filled(world, holders, shelves, documents(6))
    authorize(world, large)
    small = filled(world, holders, shelves, documents(2))
    authorize(world, small, now=world.now + timedelta(seconds=1))
    for second in range(2, 5):
        work(world, shelves, later=timedelta(seconds=second), size=2)
    assert look(world, small).state == "done"
    assert look(world, large).state == "running"


def test_two_pins_at_the_same_moment_start_it_once(
    world: World, holders: Holders, shelves: Shelves
) -> None:
    """Whoever loses the race is told so (409), and the key that was opened for it is erased."""
    batch_id = filled(world, holders, shelves, documents(2))

    def give(_: int) -> str:
        try:
            return authorize(world, batch_id).state
        except BatchRefused as refusal:
            return refusal.code

    with ThreadPoolExecutor(3) as pool:
        told = sorted(pool.map(give, range(3)))
    assert told == ["batch-state-wrong", "batch-state-wrong", "running"]
    with world.database.reading() as session:
        left = session.scalars(
            select(AuthorizationRow).where(AuthorizationRow.sealed_key.is_not(None))
        ).all()
    assert len(left) == 1
    assert left[0].id == batch_of(world, batch_id).authorization_id


def batch_of(world: World, batch_id: str) -> BatchRow:
    with world.database.reading() as session:
        return session.get_one(BatchRow, batch_id)


def desk_in_another_process(
    settings: TokenSettings, url: str, base_url: str, blobs: str
) -> tuple[Token, Desk]:
    database, token = Database(url), Token.open(settings)
    authority = Authority(database, token, base_url=base_url)
    return token, Desk(
        database=database,
        blobs=BlobStore(blobs),
        authority=authority,
        custody=Custody(token),
        responder=Responder(authority),
        tsa=TimeStampAuthority(authority),
        trust=TrustStore.from_authority(authority),
    )


def killed_worker(
    settings: TokenSettings, url: str, base_url: str, place: str, step: str, now: Any
) -> None:
    """Works until it comes to `step` in its second chunk, where kill -9 ends it."""
    _, desk = desk_in_another_process(settings, url, base_url, f"{place}-blobs")
    shelves = Shelves(place)
    assert batch_work.work_once(desk, shelves, holder="doomed", clock=lambda: now, size=3) == 3
    module: Any = {"_carried_out": batch_work, "record_outcomes": batch_work}.get(step)
    if module is None:  # in the middle of the chunk's signatures
        real, done = CmsTemplate.sign, []

        def second(*args: Any, **named: Any) -> Any:
            done.append(1)
            if len(done) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **named)

        CmsTemplate.sign = second  # type: ignore[method-assign]  # the child's own copy
    else:
        setattr(module, step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    batch_work.work_once(desk, shelves, holder="doomed", clock=lambda: now, size=3)


@pytest.mark.parametrize("step", ["_carried_out", "sign", "record_outcomes"])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    world: World, holders: Holders, shelves: Shelves, tmp_path: Path, step: str
) -> None:
    """kill -9 after the intention, between two signatures, and before the outcome."""
    batch_id = filled(world, holders, shelves, documents(8))
    authorize(world, batch_id)
    context = multiprocessing.get_context("spawn")
    url = world.database.engine.url.render_as_string(hide_password=False)
    child = context.Process(
        target=killed_worker,
        args=(
            world.token.settings, url, world.base_url, str(tmp_path / "batches"), step, world.now,
        ),
    )  # fmt: skip
    child.start()
    child.join(timeout=60)
    assert child.exitcode == -signal.SIGKILL
    assert look(world, batch_id).counts == {"signed": 3, "signing": 3, "waiting": 2}

    # Others go on at once with what is left, and with what it held when its lease is over.
    assert work(world, shelves, size=3) == 2
    assert look(world, batch_id).state == "running"
    assert work(world, shelves) == 0
    over = batch_work.LEASE + timedelta(seconds=1)
    while work(world, shelves, later=over):
        pass
    assert look(world, batch_id).state == "done"
    assert look(world, batch_id).counts == {"signed": 8}
    assert_each_signed_once(world, shelves, batch_id)
    assert tags(world).count("signature.voided") == 3


@ONLY_SQLITE
def test_a_result_that_comes_too_late_is_not_delivered(
    world: World, holders: Holders, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker thought dead wakes up after its documents were given to another one."""
    batch_id = filled(world, holders, shelves, documents(3))
    authorize(world, batch_id)
    real = batch_outcome.record_outcomes

    def slow(desk: Any, *args: Any, **named: Any) -> int:
        monkeypatch.setattr(batch_work, "record_outcomes", real)
        assert batch_outcome.void_expired(desk, now=world.now, by=BY, holder="here") == 3
        for _ in range(3):
            batch_work.work_once(desk, shelves, holder="other", clock=lambda: world.now)
        return real(desk, *args, **named)

    monkeypatch.setattr(batch_work, "record_outcomes", slow)
    work(world, shelves)
    assert look(world, batch_id).counts == {"signed": 3}
    assert_each_signed_once(world, shelves, batch_id)


@ONLY_SQLITE
def test_no_secret_in_the_job(world: World, holders: Holders, shelves: Shelves) -> None:
    """No PIN, key or document bytes in the rows of a job; the authorisation's key is sealed."""
    batch_id = filled(world, holders, shelves, documents(1))
    authorize(world, batch_id)
    with world.database.reading() as session:
        row = session.get_one(BatchRow, batch_id)
        item = session.get_one(BatchItemRow, (batch_id, 0))
        kept = session.get_one(AuthorizationRow, row.authorization_id).sealed_key
    told = repr([vars(row), vars(item)])
    assert OFFICIAL_PIN not in told
    assert "%PDF" not in told
    assert kept is not None
    activation.expire(world.desk, now=world.now + timedelta(hours=2))
    with world.database.reading() as session:
        assert session.get_one(AuthorizationRow, row.authorization_id).sealed_key is None


@ONLY_SQLITE
def test_documents_are_not_kept_for_ever(
    world: World, holders: Holders, shelves: Shelves, tmp_path: Path
) -> None:
    """After two days the bytes are gone, and what became of each document is still known."""
    batch_id = filled(world, holders, shelves, documents(2))
    authorize(world, batch_id)
    work(world, shelves)
    assert batch_upkeep.purge(world.desk, shelves, now=world.now + timedelta(days=1)) == 0
    assert content(world, shelves, batch_id, 1)
    for removed in (1, 0):
        assert batch_upkeep.purge(world.desk, shelves, now=world.now + timedelta(days=3)) == removed
    with pytest.raises(BatchRefused):
        content(world, shelves, batch_id, 1)
    assert look(world, batch_id).counts == {"signed": 2}
    assert [one for one in (tmp_path / "batches").rglob("*") if one.is_file()] == []
