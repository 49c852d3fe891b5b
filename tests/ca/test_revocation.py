"""Revoke, suspend, resume: row, CRL, OCSP and audit entry say the same."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from sqlalchemy import select

from ca.checking.checks import check_everything
from ca.errors import CaError, CertificateUnknown
from ca.issuance import issue
from ca.status import crl
from ca.status.revocation import RevocationReason, resume, revoke, suspend
from records.models import AuditEntry
from records.tags import Tag
from tests.ca.subjects import MAU
from tests.world import BY, World


@pytest.fixture
def holder(world: World) -> x509.Certificate:
    return issue(
        world.authority,
        profile="official",
        subject=MAU,
        public_key=world.key(),
        now=world.now,
        by=BY,
    )


def listed(world: World, serial: int) -> x509.RevokedCertificate | None:
    encoded = crl.current(world.authority, "persons-g1")
    assert encoded is not None
    return x509.load_der_x509_crl(encoded).get_revoked_certificate_by_serial_number(serial)


def asked(world: World, certificate: x509.Certificate) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(world.responder.answer(certificate, now=world.now))


@pytest.mark.parametrize("reason", RevocationReason)
def test_revoked_everywhere_at_once(
    world: World, holder: x509.Certificate, reason: RevocationReason
) -> None:
    """Published immediately after a revocation; RFC 5280 §5.3.1 reasons."""
    serial = holder.serial_number
    revoke(world.authority, serial, reason=reason, now=world.now, by=BY)
    entry = listed(world, serial)
    assert entry is not None
    assert entry.revocation_date_utc == world.now
    answer = asked(world, holder)
    assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert answer.revocation_time_utc == world.now
    record = world.authority.certificate(serial)
    assert record.status == "revoked"
    assert record.reason == reason.value
    with world.database.reading() as session:
        tags = session.scalars(
            select(AuditEntry.tag).where(AuditEntry.subject == f"certificate:{serial:032x}")
        ).all()
    assert tags[-1] == Tag.CERTIFICATE_REVOKED.value
    assert check_everything(world.authority, world.now).problems == []


def test_openssl_refuses_a_revoked_certificate(
    world: World, holder: x509.Certificate, tmp_path: Path
) -> None:
    """RFC 5280 §6.3 by another implementation: good before, revoked after."""
    names = world.certificates(tmp_path)
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(holder.public_bytes(Encoding.PEM))

    def verify() -> str:
        lists = tmp_path / "lists.pem"
        pems = b""
        for issuer in ("root", "persons-g1"):
            encoded = crl.current(world.authority, issuer)
            assert encoded is not None
            pems += x509.load_der_x509_crl(encoded).public_bytes(Encoding.PEM)
        lists.write_bytes(pems)
        told = subprocess.run(
            [
                "openssl",
                "verify",
                "-crl_check_all",
                "-CRLfile",
                lists,
                "-CAfile",
                names["root"],
                "-untrusted",
                names["persons-g1"],
                leaf,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return told.stdout + told.stderr

    assert ": OK" in verify()
    revoke(
        world.authority,
        holder.serial_number,
        reason=RevocationReason.CESSATION_OF_OPERATION,
        now=world.now,
        by=BY,
    )
    assert "certificate revoked" in verify()


def test_a_hold_ends_or_becomes_final(world: World, holder: x509.Certificate) -> None:
    """RFC 5280 §5.3.1: certificateHold may be resumed, or end in revocation from its own date."""
    serial, later = holder.serial_number, world.now + timedelta(hours=1)
    suspend(world.authority, serial, now=world.now, by=BY)
    entry = listed(world, serial)
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.certificate_hold
    assert asked(world, holder).certificate_status is ocsp.OCSPCertStatus.REVOKED
    with pytest.raises(CaError):
        suspend(world.authority, serial, now=world.now, by=BY)

    resume(world.authority, serial, now=world.now, by=BY)
    assert listed(world, serial) is None
    assert world.authority.certificate(serial).status == "good"
    with pytest.raises(CaError):
        resume(world.authority, serial, now=world.now, by=BY)

    suspend(world.authority, serial, now=world.now, by=BY)
    revoke(world.authority, serial, reason=RevocationReason.KEY_COMPROMISE, now=later, by=BY)
    assert world.authority.certificate(serial).revoked_at == world.now
    with pytest.raises(CaError) as refused:
        resume(world.authority, serial, now=later, by=BY)
    assert refused.value.code == "certificate-not-held"


def test_what_cannot_be_revoked(world: World, holder: x509.Certificate) -> None:
    """Dates outside its life, strangers, what is revoked, and what only a ceremony may."""
    serial, day = holder.serial_number, timedelta(days=1)
    reason = RevocationReason.SUPERSEDED
    with pytest.raises(CaError) as refused:
        revoke(
            world.authority, serial, reason=reason, revoked_at=world.now + day, now=world.now, by=BY
        )
    assert refused.value.code == "revocation-in-future"
    with pytest.raises(CaError) as refused:
        revoke(
            world.authority, serial, reason=reason, revoked_at=world.now - day, now=world.now, by=BY
        )
    assert refused.value.code == "revocation-before-issuance"
    with pytest.raises(CertificateUnknown):
        revoke(world.authority, 12345, reason=reason, now=world.now, by=BY)
    root_made = world.authority.issuer("persons-g1").certificate.serial_number
    with pytest.raises(CaError) as refused:
        revoke(world.authority, root_made, reason=reason, now=world.now, by=BY)
    assert refused.value.code == "root-is-offline"
    revoke(world.authority, serial, reason=reason, now=world.now, by=BY)
    with pytest.raises(CaError) as refused:
        revoke(world.authority, serial, reason=reason, now=world.now, by=BY)
    assert refused.value.code == "certificate-revoked-already"


def test_a_compromised_key_never_comes_back(world: World) -> None:
    """CA/B BR 6.1.1.3 (4): a key revoked as compromised is refused, renewal or not."""
    key = world.key()
    words = {"profile": "official", "subject": MAU, "public_key": key, "by": BY}
    first = issue(world.authority, **words, now=world.now)
    second = issue(world.authority, **words, now=world.now, renews=first.serial_number)
    revoke(
        world.authority,
        first.serial_number,
        reason=RevocationReason.KEY_COMPROMISE,
        now=world.now,
        by=BY,
    )
    assert world.authority.certificate(second.serial_number).reason == "keyCompromise"
    with pytest.raises(CaError) as refused:
        issue(world.authority, **words, now=world.now, renews=first.serial_number)
    assert refused.value.code == "key-reused"
