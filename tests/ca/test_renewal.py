"""The life cycle after the first certificate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from ca.errors import CaError
from ca.issuance import issue
from ca.names import Subject
from ca.renewal import expiring, rekey, renew, renew_service, transfer
from ca.status.revocation import suspend
from tests.ca.subjects import MAU, THU
from tests.world import BY, World


@pytest.fixture
def holder(world: World) -> x509.Certificate:
    return issue(
        world.authority,
        profile="official",
        subject=MAU,
        public_key=world.key(),
        not_after=world.now + timedelta(days=20),
        now=world.now,
        by=BY,
    )


def status(world: World, certificate: x509.Certificate) -> tuple[str, str | None]:
    record = world.authority.certificate(certificate.serial_number)
    return record.status.value, record.reason


def test_renewed_with_the_same_key(world: World, holder: x509.Certificate) -> None:
    """Renew (same key); whoever is renewed needs no notice any more."""
    soon = {"now": world.now, "within": timedelta(days=30)}
    assert [one.serial for one in expiring(world.authority, **soon)] == [holder.serial_number]
    renewed = renew(world.authority, holder.serial_number, now=world.now, by=BY)
    assert renewed.public_key() == holder.public_key()
    assert renewed.subject == holder.subject
    assert renewed.not_valid_after_utc > holder.not_valid_after_utc
    assert status(world, holder) == ("good", None)
    assert expiring(world.authority, **soon) == []


def test_another_key_supersedes(world: World, holder: x509.Certificate) -> None:
    """Re-key; RFC 5280 §5.3.1 superseded."""
    key = world.key()
    new = rekey(world.authority, holder.serial_number, public_key=key, now=world.now, by=BY)
    assert new.public_key() == key
    assert status(world, holder) == ("revoked", "superseded")


def test_a_transfer_changes_the_name_not_the_person(world: World, holder: x509.Certificate) -> None:
    """DOMAIN §2: a certificate is changed on transfer."""
    words = {"public_key": world.key(), "now": world.now, "by": BY}
    with pytest.raises(CaError) as refused:
        transfer(world.authority, holder.serial_number, subject=THU, **words)
    assert refused.value.code == "transfer-other-holder"
    moved = replace(MAU, organizational_units=("Sở Tư pháp",), title="Phó Giám đốc")
    new = transfer(world.authority, holder.serial_number, subject=moved, **words)
    assert Subject.from_x509(new.subject) == moved
    assert status(world, holder) == ("revoked", "affiliationChanged")


def test_what_is_not_in_force_is_not_renewed(world: World, holder: x509.Certificate) -> None:
    """A held or revoked certificate is no ground for a new one."""
    suspend(world.authority, holder.serial_number, now=world.now, by=BY)
    with pytest.raises(CaError) as refused:
        renew(world.authority, holder.serial_number, now=world.now, by=BY)
    assert refused.value.code == "certificate-not-in-force"
    root = world.authority.issuer("root").certificate.serial_number
    with pytest.raises(CaError) as refused:
        renew(world.authority, root, now=world.now, by=BY)
    assert refused.value.code == "profile-by-ceremony-only"


def test_services_go_on(world: World) -> None:
    """RFC 6960 §4.2.2.2.1: responders' certificates are short-lived, so they are renewed often."""
    before = world.authority.service("ocsp-persons-g1")
    later = world.now + timedelta(days=300)
    renewed = renew_service(world.authority, "ocsp-persons-g1", now=later, by=BY)
    after = world.authority.service("ocsp-persons-g1")
    assert after.certificate == renewed
    assert after.certificate != before.certificate
    assert after.key.public_key() == before.key.public_key()
    renewed.verify_directly_issued_by(world.authority.issuer("persons-g1").certificate)
    assert renew_service(world.authority, "tsa", now=later, by=BY)
    with pytest.raises(CaError) as refused:
        renew_service(world.authority, "ocsp-root", now=later, by=BY)
    assert refused.value.code == "root-is-offline"
