"""Answers with a nonce are filled in; they say what an answer made the long way says."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from sqlalchemy import delete

from ca.models import CertificateRow
from ca.status.ocsp import Responder
from ca.status.ocsp_unit import LOOK_AGAIN
from records.database import Database
from tests.ca.status_world import ISSUER, StatusWorld
from tests.ca.test_ocsp import question

NONCES = [bytes([number]) * 32 for number in range(1, 5)]


@pytest.fixture
def world(database: Database, now: datetime) -> StatusWorld:
    return StatusWorld(database, now)


def answered(
    responder: Responder, world: StatusWorld, serial: int, nonce: bytes, now: datetime
) -> ocsp.OCSPResponse:
    asked = question(world, serial, nonce=nonce)
    answer = ocsp.load_der_ocsp_response(responder.respond(asked, issuer=ISSUER, now=now))
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    return answer


def test_each_nonce_has_its_answer_and_no_table_is_read(
    world: StatusWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9654 §2.1: the nonce comes back; "cryptographically binds a request and a response"."""
    serial = world.issue().serial_number
    responder = Responder(world.authority)
    first = answered(responder, world, serial, NONCES[0], world.now)
    with monkeypatch.context() as patched:
        patched.setattr(world.database, "reading", None)
        second = answered(responder, world, serial, NONCES[1], world.now)
    assert first.signature != second.signature
    key = world.ocsp.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(second.signature, second.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))
    fresh = answered(Responder(world.another_process()), world, serial, NONCES[1], world.now)
    assert second.tbs_response_bytes == fresh.tbs_response_bytes


def test_a_revocation_and_a_resumption_are_felt(world: StatusWorld) -> None:
    """RFC 6960 §2.2: an answer says the status as it is now: *revoked* at once in the process that
    revokes, within a second in another, with the same moment and reason as the list."""
    serial = world.issue().serial_number
    here, there = Responder(world.authority), Responder(world.another_process())
    for responder in (here, there):
        answered(responder, world, serial, NONCES[0], world.now)
    world.change(serial, reason=x509.ReasonFlags.certificate_hold)
    later = world.now + timedelta(seconds=2)
    for responder, now in ((here, world.now), (there, later)):
        answer = answered(responder, world, serial, NONCES[1], now)
        assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert answer.revocation_reason is x509.ReasonFlags.certificate_hold
        assert answer.this_update_utc == now.replace(microsecond=0)
    world.change(serial, reason=x509.ReasonFlags.remove_from_crl, now=later)
    answer = answered(here, world, serial, NONCES[2], later)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD


def test_a_serial_not_issued_yet_is_looked_up_each_time(world: StatusWorld) -> None:
    """RFC 6960 §2.2: not *good* before it exists; nothing about it is kept, so that it is *good*
    from the moment it does."""
    certificate = world.issue()
    serial = certificate.serial_number
    with world.database.transaction() as session:
        row = session.get(CertificateRow, f"{serial:032x}")
        assert row is not None
        session.execute(delete(CertificateRow).where(CertificateRow.serial == row.serial))
    responder = Responder(world.authority)
    for nonce in NONCES[:2]:
        answer = answered(responder, world, serial, nonce, world.now)
        assert answer.certificate_status is not ocsp.OCSPCertStatus.GOOD
    with world.database.transaction() as session:
        session.merge(row)
    answer = answered(responder, world, serial, NONCES[2], world.now)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD


def test_the_responders_row_is_read_again_in_time(
    world: StatusWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A responder that was followed by another, or ran out, signs for minutes at most."""
    serial = world.issue().serial_number
    responder = Responder(world.authority)
    looked: list[str] = []
    service = world.authority.service

    def counted(name: str) -> object:
        looked.append(name)
        return service(name)

    monkeypatch.setattr(world.authority, "service", counted)
    for seconds in (0, 1, LOOK_AGAIN.total_seconds() - 1):
        now = world.now + timedelta(seconds=seconds)
        answered(responder, world, serial, NONCES[0], now)
        assert len(looked) == 1
    answered(responder, world, serial, NONCES[1], world.now + LOOK_AGAIN)
    assert len(looked) == 2
