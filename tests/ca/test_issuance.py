"""Intention, act, outcome: the flow of docs/flows/issue.md, and what a crash leaves."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from ca import issuance, issuance_rows, tbs
from ca.errors import CaError
from ca.issuance import Order, issue, issue_in_bulk, issue_many, recover
from ca.models import CertificateRow, IntentionRow, IntentionState, serial_text
from ca.serials import new_serial
from records import audit
from records.models import AuditEntry
from records.tags import Tag
from tests.ca.subjects import MAU, THU
from tests.world import BY, World


def order(world: World, **change: Any) -> Order:
    return Order(**{"profile": "official", "subject": MAU, "public_key": world.key(), **change})


def issued(world: World, **change: Any) -> x509.Certificate:
    return issue_many(world.authority, [order(world, **change)], now=world.now, by=BY)[0]


def intentions(world: World, state: IntentionState) -> list[str]:
    with world.database.reading() as session:
        return list(
            session.scalars(select(IntentionRow.serial).where(IntentionRow.state == state.value))
        )


def test_intention_outcome_and_audit_entry(world: World) -> None:
    """DESIGN §3 rule 3: what is signed was committed before, and is accounted for after."""
    certificate = issued(world)
    with world.database.reading() as session:
        serial = serial_text(certificate.serial_number)
        intention = session.get_one(IntentionRow, serial)
        row = session.get_one(CertificateRow, serial)
        entries = session.scalars(
            select(AuditEntry.tag).where(AuditEntry.subject == f"certificate:{serial}")
        ).all()
    assert intention.tbs_sha256 == hashlib.sha256(certificate.tbs_certificate_bytes).digest()
    assert intention.state == IntentionState.ISSUED.value
    assert row.profile == "official"
    assert row.issuer == "persons-g1"
    assert entries == [Tag.CERTIFICATE_INTENDED.value, Tag.CERTIFICATE_ISSUED.value]
    assert audit.verify(world.database).ok
    assert world.authority.certificate(certificate.serial_number).certificate == certificate


def test_serials_are_long_and_random() -> None:
    """CA/B BR 7.1: at least 64 bits from a CSPRNG; RFC 5280 §4.1.2.2: at most 20 octets."""
    serials = {new_serial() for _ in range(1000)}
    assert len(serials) == 1000
    assert {serial.bit_length() for serial in serials} == {127}


def test_a_crash_before_the_outcome_never_gives_two_certificates(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between signing and storing never yields two certificates under one serial."""

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    key = world.key()
    with monkeypatch.context() as patch:
        patch.setattr(issuance_rows, "conclude", crash)
        with pytest.raises(Crash):
            issued(world, public_key=key)
    left = intentions(world, IntentionState.OPEN)
    assert len(left) == 1
    with pytest.raises(CaError) as refused:
        issued(world, public_key=key)
    assert refused.value.code == "issuance-under-way"

    # Perhaps another process has it in hand, until it is too old for that.
    assert recover(world.authority, world.now + timedelta(minutes=9), BY) == []
    later = world.now + timedelta(minutes=10)
    assert recover(world.authority, later, BY) == [int(left[0], 16)]
    assert intentions(world, IntentionState.OPEN) == []
    again = issued(world, public_key=key)
    assert serial_text(again.serial_number) != left[0]
    assert recover(world.authority, later, BY) == []


def test_an_outcome_after_recovery_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was thought dead may not bring a voided serial back to life."""
    real = issuance._sign

    def slow(*args: Any) -> Any:
        signed = real(*args)
        recover(world.authority, world.now, BY, older_than=timedelta(0))
        return signed

    monkeypatch.setattr(issuance, "_sign", slow)
    with pytest.raises(CaError) as refused:
        issued(world)
    assert refused.value.code == "intention-voided"
    with world.database.reading() as session:
        voided = intentions(world, IntentionState.VOID)
        assert session.get(CertificateRow, voided[0]) is None


def test_a_wrong_signature_never_leaves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 5: the signature is checked with the issuer's public key before anything is stored."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    real = tbs.Unsigned.sign
    monkeypatch.setattr(tbs.Unsigned, "sign", lambda self, key: real(self, stranger))
    with pytest.raises(Exception):  # noqa: B017 – of whatever kind
        issued(world)
    assert intentions(world, IntentionState.OPEN) == []
    assert len(intentions(world, IntentionState.VOID)) == 1


def test_a_clock_that_goes_back_stops_issuing(world: World) -> None:
    """Clock stepping back stops issuance."""
    issued(world)
    with pytest.raises(CaError) as refused:
        issue(
            world.authority,
            profile="official",
            subject=MAU,
            public_key=world.key(),
            now=world.now - timedelta(minutes=1),
            by=BY,
        )
    assert refused.value.code == "clock-stepped-back"
    later = world.now - timedelta(seconds=2)
    assert issue(
        world.authority, profile="official", subject=MAU, public_key=world.key(), now=later, by=BY
    )


def test_one_key_one_holder(world: World) -> None:
    """CA/B BR 6.1.1.3 (3): a key another holder has is refused, also within one batch."""
    key = world.key()
    issued(world, public_key=key)
    for again in (
        {"profile": "citizen", "subject": THU},
        {},
        {"profile": "citizen", "subject": THU, "renews": 1},
    ):
        with pytest.raises(CaError) as refused:
            issued(world, public_key=key, **again)
        assert refused.value.code == "key-reused"
    twice = order(world)
    with pytest.raises(CaError) as refused:
        issue_many(world.authority, [twice, twice], now=world.now, by=BY)
    assert refused.value.code == "key-reused"


def test_renewing_carries_the_key_on(world: World) -> None:
    """Renew (same key), for the same holder under the same profile."""
    key = world.key()
    first = issued(world, public_key=key)
    second = issued(world, public_key=key, renews=first.serial_number)
    assert second.public_key() == first.public_key()
    assert second.serial_number != first.serial_number


def test_a_refusal_leaves_an_entry(world: World) -> None:
    """Every act and every refusal leaves an audit entry."""
    with pytest.raises(CaError):
        issued(world, profile="citizen")
    with world.database.reading() as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.tag == Tag.CERTIFICATE_REFUSED.value)
        ).one()
    assert entry.by == BY
    assert "lint-finding" in entry.details


def test_a_batch_is_issued_whole_or_not_at_all(world: World) -> None:
    """Two commits for all; one bad order and no serial is taken."""
    with world.database.reading() as session:
        before = session.scalar(select(func.count()).select_from(IntentionRow))
    with pytest.raises(CaError):
        issue_many(
            world.authority, [order(world), order(world, profile="citizen")], now=world.now, by=BY
        )
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(IntentionRow)) == before
    batch = issue_many(world.authority, [order(world) for _ in range(20)], now=world.now, by=BY)
    assert len({one.serial_number for one in batch}) == 20


def test_what_is_captured_is_what_the_builder_signs(world: World) -> None:
    """The TBS taken from a silent key equals the one a real software key would sign."""
    issuer = world.authority.issuer("services-g1")
    certificate = issue(
        world.authority,
        profile="api-client",
        subject=MAU.service("TEST client"),
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    builder = (
        x509.CertificateBuilder()
        .serial_number(certificate.serial_number)
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .public_key(certificate.public_key())
    )
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    signed = builder.sign(
        world.authority.key(issuer),
        certificate.signature_hash_algorithm,  # type: ignore[arg-type]  # a certificate of ours is never EdDSA
    )
    assert signed.tbs_certificate_bytes == certificate.tbs_certificate_bytes


def test_in_bulk_each_chunk_is_whole(world: World) -> None:
    """What was yielded is issued; a failure stops the run and leaves no open intention."""
    good = [order(world) for _ in range(25)]
    chunks = list(issue_in_bulk(world.authority, good, now=world.now, by=BY, chunk=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [one.public_key() for chunk in chunks for one in chunk] == [
        one.public_key for one in good
    ]
    bad = [*[order(world) for _ in range(25)], order(world, profile="citizen")]
    run = issue_in_bulk(world.authority, bad, now=world.now, by=BY, chunk=10)
    assert len(next(run)) == 10
    with pytest.raises(CaError):
        next(run)
    assert intentions(world, IntentionState.OPEN) == []
    with world.database.reading() as session:
        issued_rows = session.scalar(
            select(func.count())
            .select_from(CertificateRow)
            .where(CertificateRow.profile == "official")
        )
    assert issued_rows == 25 + 20
    assert audit.verify(world.database).ok
