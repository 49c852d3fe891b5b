"""The audit log: written once, in one order, and every way to change it is found."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from records import audit, merkle
from records.checkpoints import Checkpoint, SigningKey, sign_note
from records.database import Database
from records.entry import canonical, entry_bytes
from records.errors import RecordsError
from records.models import AuditEntry
from records.tags import Tag

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["ec", "rsa"])
def key(request: pytest.FixtureRequest) -> SigningKey:
    if request.param == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def quick_key() -> SigningKey:
    return ec.generate_private_key(ec.SECP256R1())


def write(database: Database, now: datetime, count: int, *, what: str = "case") -> None:
    with database.transaction() as session:
        for number in range(count):
            audit.record(
                session,
                tag=Tag.CASE_OPENED,
                by="official:038900000001",
                subject=f"{what}:{number}",
                details={"number": number, "name": "Nguyễn Thị Thử"},
                now=now + timedelta(seconds=number),
            )


def codes(report: audit.AuditReport) -> list[str]:
    return [problem.code for problem in report.problems]


def tamper(database: Database, *statements: str) -> None:
    """Do what somebody does who owns the database: drop the triggers, then write."""
    with database.transaction() as session:
        if database.dialect == "sqlite":
            for name in list(
                session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            ):
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("audit_entries", "audit_checkpoints"):
                session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for statement in statements:
            session.execute(text(statement))


def test_entries_are_counted_from_zero_and_verify(database: Database, now: datetime) -> None:
    write(database, now, 5)
    report = audit.verify(database)
    assert report.ok, report.problems
    assert report.size == 5
    with database.reading() as session:
        entries = session.query(AuditEntry).order_by(AuditEntry.position).all()
    assert [entry.position for entry in entries] == [0, 1, 2, 3, 4]
    assert entries[1].at == now + timedelta(seconds=1)
    assert json.loads(entries[1].details) == {"number": 1, "name": "Nguyễn Thị Thử"}


def test_an_empty_log_verifies(database: Database) -> None:
    report = audit.verify(database)
    assert report.ok
    assert report.root == merkle.EMPTY_ROOT


def test_an_entry_is_gone_with_its_transaction(database: Database, now: datetime) -> None:
    """The entry and the act it tells of are kept together or not at all."""
    write(database, now, 3)

    def fail() -> None:
        with database.transaction() as session:
            audit.record(
                session, tag=Tag.CASE_OPENED, by="system:x", subject="x", details={}, now=now
            )
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    write(database, now, 1)
    report = audit.verify(database)
    assert (report.ok, report.size) == (True, 4)


def test_many_writers_make_one_order(database: Database, now: datetime) -> None:
    threads = [
        threading.Thread(target=lambda: [write(database, now, 2) for _ in range(5)])
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = audit.verify(database)
    assert (codes(report), report.size) == ([], 60)


@pytest.mark.parametrize("table", ["audit_entries", "audit_checkpoints"])
@pytest.mark.parametrize("act", ["UPDATE {} SET at = at", "DELETE FROM {}"])
def test_the_database_itself_refuses_changes(
    database: Database, now: datetime, quick_key: SigningKey, table: str, act: str
) -> None:
    write(database, now, 2)
    audit.checkpoint(database, quick_key, now=now)
    with pytest.raises(DBAPIError, match="only added"):
        database.perform(lambda session: session.execute(text(act.format(table))))
    assert audit.verify(database).ok


def test_postgresql_refuses_truncation(database: Database, now: datetime) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    write(database, now, 2)
    with pytest.raises(DBAPIError, match="only added"):
        database.perform(lambda session: session.execute(text("TRUNCATE audit_entries")))


COPY_TO = (
    'INSERT INTO audit_entries SELECT {}, at, "by", tag, subject, details, nodes '
    "FROM audit_entries WHERE position = 3"
)


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE audit_entries SET subject = 'x' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET \"by\" = 'x' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET tag = 'x' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET details = '{{' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET at = '2020-01-01' WHERE position = 4"], ["entry-altered"]),
        (["DELETE FROM audit_entries WHERE position = 4"], ["entries-missing"]),
        (["DELETE FROM audit_entries WHERE position >= 15"], ["entries-missing"]),
        (["DELETE FROM audit_entries"], ["entries-missing"]),
        (["DELETE FROM audit_entries WHERE position BETWEEN 3 AND 13"], ["entries-missing"]),
        ([COPY_TO.format(20)], ["entry-inserted"]),
        ([COPY_TO.format(10**12)], ["entry-inserted"]),
        ([COPY_TO.format(-1)], ["entry-inserted"]),
        (["UPDATE audit_head SET size = 19"], ["entry-inserted", "head-contradicted"]),
        (["DELETE FROM audit_head"], ["head-contradicted"]),
    ],
)
def test_a_change_is_found_where_it_is(
    database: Database, now: datetime, statements: list[str], found: list[str]
) -> None:
    write(database, now, 20)
    tamper(database, *statements)
    assert codes(audit.verify(database)) == [f"audit-{code}" for code in found]


def test_two_entries_that_changed_places_are_found(database: Database, now: datetime) -> None:
    write(database, now, 20)
    tamper(
        database,
        "UPDATE audit_entries SET position = 1000 WHERE position = 4",
        "UPDATE audit_entries SET position = 4 WHERE position = 9",
        "UPDATE audit_entries SET position = 9 WHERE position = 1000",
    )
    problems = audit.verify(database).problems
    altered = [one.params["position"] for one in problems if one.code == "audit-entry-altered"]
    assert altered == [4, 9]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET details = CAST(X'ff00' AS TEXT) WHERE position = 4",
        "UPDATE audit_entries SET details = X'ff00' WHERE position = 4",
        "UPDATE audit_entries SET at = 'yesterday' WHERE position = 4",
        "UPDATE audit_entries SET at = 17 WHERE position = 4",
        "UPDATE audit_entries SET nodes = 'text' WHERE position = 4",
    ],
)
def test_rubbish_in_a_row_is_a_finding_not_a_failure(
    database: Database, now: datetime, statement: str
) -> None:
    if database.dialect == "postgresql":
        pytest.skip("PostgreSQL's types keep rubbish out")
    write(database, now, 20)
    tamper(database, statement)
    assert codes(audit.verify(database)) == ["audit-entry-altered"]


def rewrite(database: Database, now: datetime, *, from_position: int) -> None:
    """The whole log again with another entry in it, every hash and the head made to fit."""
    with database.reading() as session:
        rows = session.query(AuditEntry).order_by(AuditEntry.position).all()
    tree = merkle.Tree()
    for row in rows:
        if row.position == from_position:
            row.subject = "somebody:else"
        content = entry_bytes(
            position=row.position,
            at=row.at,
            by=row.by,
            tag=row.tag,
            subject=row.subject,
            details=row.details,
        )
        row.nodes = b"".join(tree.append(merkle.leaf_hash(content)))

    def change(session: Session) -> None:
        for row in rows:
            session.execute(
                text("UPDATE audit_entries SET subject = :s, nodes = :n WHERE position = :p"),
                {"s": row.subject, "n": row.nodes, "p": row.position},
            )
        session.execute(text("UPDATE audit_head SET edge = :e"), {"e": tree.packed()})

    tamper(database)
    database.perform(change)


def test_a_rewritten_history_contradicts_what_was_signed(
    database: Database, now: datetime, quick_key: SigningKey
) -> None:
    """Who recomputes every hash is left with a checkpoint signed before, which says no."""
    write(database, now, 20)
    audit.checkpoint(database, quick_key, now=now)
    write(database, now, 20)
    rewrite(database, now, from_position=4)
    report = audit.verify(database, public_key=quick_key.public_key())
    assert codes(report) == ["audit-checkpoint-contradicted"]
    with pytest.raises(RecordsError, match="does not match the log"):
        audit.checkpoint(database, quick_key, now=now)


def test_a_rewrite_after_the_checkpoint_is_found_by_the_next_keeper(
    database: Database, now: datetime, quick_key: SigningKey
) -> None:
    """A checkpoint kept elsewhere finds a log rewritten together with its checkpoints."""
    write(database, now, 20)
    kept = audit.checkpoint(database, quick_key, now=now)
    rewrite(database, now, from_position=4)
    tamper(database, "DELETE FROM audit_checkpoints")
    report = audit.verify(database, public_key=quick_key.public_key(), kept=[kept])
    assert set(codes(report)) == {
        "audit-checkpoint-contradicted",
        "audit-checkpoint-missing",
    }


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM audit_checkpoints", "checkpoint-missing"),
        ("UPDATE audit_checkpoints SET root = nodes FROM "
         "(SELECT nodes FROM audit_entries WHERE position = 0) AS x", "checkpoint-signature"),
        ("UPDATE audit_checkpoints SET note = 'nothing'", "checkpoint-signature"),
    ],
)  # fmt: skip
def test_a_changed_checkpoint_is_found(
    database: Database, now: datetime, quick_key: SigningKey, statement: str, found: str
) -> None:
    write(database, now, 7)
    audit.checkpoint(database, quick_key, now=now)
    tamper(database, statement)
    assert codes(audit.verify(database)) == [f"audit-{found}"]


def test_a_log_cut_back_behind_its_checkpoint_is_found(
    database: Database, now: datetime, quick_key: SigningKey
) -> None:
    write(database, now, 4)
    with database.reading() as session:
        edge = session.scalar(text("SELECT edge FROM audit_head"))
    write(database, now, 4)
    audit.checkpoint(database, quick_key, now=now)
    tamper(database, "DELETE FROM audit_entries WHERE position >= 4")
    database.perform(
        lambda session: session.execute(
            text("UPDATE audit_head SET size = 4, edge = :edge"), {"edge": edge}
        )
    )
    report = audit.verify(database, public_key=quick_key.public_key())
    assert codes(report) == ["audit-checkpoint-contradicted"]
    with pytest.raises(RecordsError):
        audit.checkpoint(database, quick_key, now=now)


def test_a_checkpoint_by_another_key_is_found(
    database: Database, now: datetime, quick_key: SigningKey
) -> None:
    write(database, now, 7)
    audit.checkpoint(database, quick_key, now=now)
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert codes(audit.verify(database, public_key=stranger)) == ["audit-checkpoint-signature"]
    both = [stranger, quick_key.public_key()]
    assert audit.verify(database, public_key=both).ok


def test_checkpoints_follow_the_log(database: Database, now: datetime, key: SigningKey) -> None:
    """A checkpoint is signed, kept and recorded; without news the last one is returned."""
    write(database, now, 7)
    first = audit.checkpoint(database, key, now=now)
    assert first.size == 7
    assert audit.checkpoint(database, key, now=now + timedelta(hours=1)) == first
    write(database, now, 3)
    second = audit.checkpoint(database, key, now=now + timedelta(hours=2))
    assert second.size == 11
    with database.reading() as session:
        assert audit.latest_checkpoint(session) == second
        leaf = session.get_one(AuditEntry, 5).nodes[:32]
        included = audit.prove_inclusion(session, 5, second.size)
        grown = audit.prove_consistency(session, first.size, second.size)
    assert merkle.includes(leaf, 5, second.size, included, second.root)
    assert merkle.consistent(first.size, second.size, grown, first.root, second.root)
    report = audit.verify(database, public_key=key.public_key())
    assert (codes(report), report.checkpoints) == ([], 2)


def test_a_checkpoint_is_a_signed_note(now: datetime, key: SigningKey) -> None:
    """C2SP tlog-checkpoint: origin, decimal size, base64 root, each on a line of its own."""
    made = sign_note(key, size=7, root=bytes(range(32)), at=now)
    assert made.note.split("\n")[:4] == [
        "dauso.audit",
        "7",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "time 2026-03-03T02:00:00.000000Z",
    ]
    assert made.note.split("\n")[5].startswith("— dauso.audit ")
    assert Checkpoint.parse(made.note) == made
    assert made.signed_by(key.public_key())
    for old, new in (("\n7\n", "\n8\n"), ("AAEC", "AAED"), ("02:00", "03:00"), ("dauso", "dauxo")):
        changed = Checkpoint.parse(made.note.replace(old, new, 1))
        assert not changed.signed_by(key.public_key())


@pytest.mark.parametrize("note", ["", "\n\n", "a\nb\nc\n\n— x y\n", "a\n7\n!\ntime x\n\n— x y\n"])
def test_what_is_no_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(ValueError):
        Checkpoint.parse(note)


def test_no_input_keeps_an_act_from_being_recorded(database: Database, now: datetime) -> None:
    """NUL and lone surrogates reach us in file names; PostgreSQL can store neither."""
    with database.transaction() as session:
        audit.record(
            session,
            tag=Tag.SIGNATURE_REFUSED,
            by="client:\0\udc80",
            subject="file:\ud83d\0",
            details={"na\0me": ["\udfff", b"\x01\xff", now, Tag.CASE_OPENED, 2**160, None]},
            now=now,
        )
    assert audit.verify(database).ok


def test_canonical_json_has_one_form() -> None:
    """RFC 8785 §3.2: no whitespace, sorted keys, non-ASCII letters as they are."""
    assert (
        canonical({"b": 1, "a": {"d": None, "c": "ấ€\n"}}) == '{"a":{"c":"ấ€\\n","d":null},"b":1}'
    )
    with pytest.raises(TypeError, match="float"):
        canonical({"a": 0.1})


def test_findings_are_told_in_both_languages(database: Database, now: datetime) -> None:
    write(database, now, 3)
    tamper(database, "UPDATE audit_entries SET subject = 'x' WHERE position = 1")
    (problem,) = audit.verify(database).problems
    assert problem.message("en") == "Entry 1 of the audit log was altered after it was written."
    assert problem.message("vi") == "Bản ghi 1 của nhật ký đã bị sửa sau khi ghi."


def test_a_flood_of_findings_is_cut(database: Database, now: datetime) -> None:
    write(database, now, 150)
    tamper(database, "UPDATE audit_entries SET subject = 'x'")
    assert len(audit.verify(database).problems) == 100


def test_a_batch_is_the_same_as_its_entries_one_by_one(database: Database, now: datetime) -> None:
    """One lock for many entries, and the same log."""
    acts = [(f"case:{number}", {"number": number}) for number in range(5)]

    def batch(session: Session) -> int:
        return audit.record_all(session, tag=Tag.CASE_OPENED, by="system:x", acts=acts, now=now)

    write(database, now, 3)
    assert database.perform(batch) == 3
    acts = []
    assert database.perform(batch) == 8
    report = audit.verify(database)
    assert (codes(report), report.size) == ([], 8)


@pytest.mark.parametrize("statement", ["DELETE FROM audit_head", "UPDATE audit_head SET size = 2"])
def test_nothing_is_added_to_a_log_without_its_head(
    database: Database, now: datetime, statement: str
) -> None:
    """An act that cannot be recorded is not done."""
    write(database, now, 3)
    tamper(database, statement)
    with pytest.raises(RecordsError) as caught:
        write(database, now, 1)
    assert caught.value.code == "audit-head-contradicted"


def test_no_acknowledged_entry_is_lost_to_a_kill(tmp_path: Path, now: datetime) -> None:
    """SQLite WAL with synchronous=FULL: what was committed before `kill -9` is there after."""
    address = f"sqlite:///{tmp_path}/killed.sqlite"
    database = Database(address)
    database.migrate()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITES_FOREVER, address], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert writer.stdout is not None
    acknowledged = -1
    while acknowledged < 40:
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    whole_lines = writer.stdout.read().split(b"\n")[:-1]
    acknowledged = int(whole_lines[-1]) if whole_lines else acknowledged
    writer.wait()
    report = audit.verify(database)
    assert codes(report) == []
    assert report.size > acknowledged
    write(database, now, 1)
    assert audit.verify(database).ok
    database.dispose()


WRITES_FOREVER = """
import sys
from datetime import UTC, datetime
from records import audit
from records.database import Database
from records.tags import Tag

database, now = Database(sys.argv[1]), datetime.now(UTC)
while True:
    with database.transaction() as session:
        position = audit.record(
            session, tag=Tag.CASE_OPENED, by="system:x", subject="x", details={}, now=now
        )
    print(position, flush=True)
"""
