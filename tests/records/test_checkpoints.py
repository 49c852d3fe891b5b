"""Signed tree heads: who rewrites the log contradicts what was signed before."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import text

from records import audit, merkle
from records.checkpoints import Checkpoint, SigningKey, sign_note
from records.database import Database
from records.errors import RecordsError
from records.models import AuditEntry
from tests.records.audit_log import codes, rewrite, tamper, write


@pytest.fixture(scope="module", params=["ec", "rsa"])
def key(request: pytest.FixtureRequest) -> SigningKey:
    if request.param == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


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
