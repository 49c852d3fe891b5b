"""The checker that does not trust the issuer: each kind of harm is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from sqlalchemy import delete, select, text, update

from ca.checking.checks import check_everything
from ca.issuance import issue
from ca.models import CertificateRow, IntentionRow, serial_text
from ca.status.ocsp import Responder
from ca.status.revocation import RevocationReason, revoke
from ca.status.status_models import CrlRow, OcspAnswerRow
from tests.ca.subjects import MAU
from tests.world import BY, World

Harm = Callable[[World, str], None]


@pytest.fixture
def serial(world: World) -> str:
    words = {"profile": "official", "subject": MAU, "now": world.now, "by": BY}
    gone = issue(world.authority, public_key=world.key(), **words)
    revoke(
        world.authority,
        gone.serial_number,
        reason=RevocationReason.SUPERSEDED,
        now=world.now,
        by=BY,
    )
    certificate: x509.Certificate = issue(world.authority, public_key=world.key(), **words)
    return serial_text(certificate.serial_number)


def codes(world: World, now_later: timedelta = timedelta()) -> set[str]:
    return {
        problem.code
        for problem in check_everything(world.authority, world.now + now_later).problems
    }


def test_a_sound_authority_has_no_problems(world: World, serial: str) -> None:
    """Re-lints everything issued, compares rows with CRL and OCSP."""
    report = check_everything(world.authority, world.now)
    assert report.problems == []
    assert report.ok
    assert report.certificates == 12
    assert report.crls == 5
    assert report.answers == 7


def _set(**values: object) -> Harm:
    def harm(world: World, serial: str) -> None:
        with world.database.transaction() as session:
            session.execute(
                update(CertificateRow).where(CertificateRow.serial == serial).values(**values)
            )

    return harm


def _swap(world: World, serial: str) -> None:
    """Another of our certificates under this serial."""
    tsa = world.authority.service("tsa").certificate.serial_number
    with world.database.transaction() as session:
        row = session.get_one(CertificateRow, serial)
        other = session.get_one(CertificateRow, serial_text(tsa))
        row.der, row.issuer = other.der, other.issuer


def _unintended(world: World, serial: str) -> None:
    with world.database.transaction() as session:
        session.execute(delete(IntentionRow).where(IntentionRow.serial == serial))


def _other_intention(world: World, serial: str) -> None:
    with world.database.transaction() as session:
        session.get_one(IntentionRow, serial).tbs_sha256 = b"\x00" * 32


def _open(world: World, serial: str) -> None:
    with world.database.transaction() as session:
        row = session.get_one(IntentionRow, serial)
        row.state, row.made_at = "open", world.now - timedelta(hours=1)


def _lost(world: World, serial: str) -> None:
    with world.database.transaction() as session:
        session.execute(delete(CertificateRow).where(CertificateRow.serial == serial))


def _resurrected(world: World, serial: str) -> None:
    """The row of the revoked one says that it never was."""
    with world.database.transaction() as session:
        session.execute(
            update(CertificateRow)
            .where(CertificateRow.status == "revoked")
            .values(status="good", revoked_at=None, reason=None, status_changed_at=None)
        )


def _gone_without_trace(world: World, serial: str) -> None:
    """Row and intention removed: only the log remembers it."""
    _lost(world, serial)
    _unintended(world, serial)


def _unlisted(world: World, serial: str) -> None:
    with world.database.transaction() as session:
        session.execute(delete(CrlRow).where(CrlRow.issuer == "persons-g1"))


def _list_set(scope: str, der: bytes) -> Harm:
    def harm(world: World, serial: str) -> None:
        with world.database.transaction() as session:
            session.execute(
                update(CrlRow)
                .where(CrlRow.issuer == "persons-g1", CrlRow.scope == scope)
                .values(der=der)
            )

    return harm


def _resigned(world: World, serial: str) -> None:
    """A list that nobody is on yet is served all the same: another's in its place."""
    with world.database.transaction() as session:
        row = session.scalars(select(CrlRow).where(CrlRow.issuer == "persons-g1")).first()
        other = session.scalars(select(CrlRow).where(CrlRow.issuer == "agencies-g1")).first()
        assert row is not None
        assert other is not None
        values = {one.name: getattr(row, one.name) for one in CrlRow.__table__.columns}
        session.add(CrlRow(**{**values, "scope": "shard-9", "der": other.der}))


def _kept(world: World, serial: str) -> None:
    """An answer signed beforehand that says good, of what is revoked by its row."""
    answered = Responder(world.authority)
    certificate = world.authority.certificate(int(serial, 16)).certificate
    cert_id = b"asked"
    with world.database.transaction() as session:
        session.add(
            OcspAnswerRow(
                issuer="persons-g1",
                cert_id=cert_id,
                serial=serial,
                this_update=world.now,
                next_update=world.now + timedelta(hours=4),
                der=answered.answer(certificate, now=world.now),
            )
        )
        session.get_one(CertificateRow, serial).status = "held"


def _kept_rubbish(world: World, serial: str) -> None:
    _kept(world, serial)
    with world.database.transaction() as session:
        session.execute(update(OcspAnswerRow).values(der=b"\x30\x00"))


def _unaudited(world: World, serial: str) -> None:
    with world.database.transaction() as session:
        for trigger in ("audit_entries_no_update", "audit_entries_no_delete"):
            if world.database.dialect == "sqlite":
                session.execute(text(f"DROP TRIGGER {trigger}"))
        if world.database.dialect == "postgresql":
            session.execute(text("DROP TRIGGER audit_entries_only_added ON audit_entries"))
        session.execute(
            text("UPDATE audit_entries SET subject = 'x' WHERE subject = :subject"),
            {"subject": f"certificate:{serial}"},
        )


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (_set(der=b"\x30\x00"), {"certificate-not-by-issuer"}),
        (_set(issuer="agencies-g1"), {"certificate-not-by-issuer"}),
        (_set(profile="citizen"), {"lint"}),
        (_set(profile="nothing"), {"profile-unknown"}),
        (_set(spki_sha256=b"\x00" * 32), {"row-differs-from-certificate"}),
        (_set(status="revoked", reason="superseded"), {"ocsp-differs", "crl-lacks-certificate"}),
        (_set(subject="CN=Somebody Else"), {"row-differs-from-certificate"}),
        (_resurrected, {"revocation-undone"}),
        (_gone_without_trace, {"certificate-missing"}),
        (_swap, {"serial-used-twice", "row-differs-from-certificate"}),
        (_unintended, {"certificate-not-intended"}),
        (_other_intention, {"certificate-other-than-intended"}),
        (_open, {"intention-open", "certificate-of-void-intention"}),
        (_lost, {"certificate-missing"}),
        (_unlisted, {"crl-missing"}),
        (_list_set("complete", b"\x30\x00"), {"crl-not-by-issuer"}),
        (_resigned, {"crl-not-by-issuer"}),
        (_kept, {"ocsp-differs"}),
        (_kept_rubbish, {"ocsp-not-by-responder"}),
        (_unaudited, {"audit-entry-missing", "audit-log"}),
    ],
)
def test_each_harm_is_found(world: World, serial: str, harm: Harm, found: set[str]) -> None:
    """Serial reuse, unexplained intentions, missing audit rows, and the rest."""
    harm(world, serial)
    assert found <= codes(world)


def test_an_expired_crl_is_found(world: World, serial: str) -> None:
    """Never expired while the service lives."""
    assert "crl-expired" in codes(world, timedelta(days=3))
