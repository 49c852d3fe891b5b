"""A credential's life: renewed, re-keyed, transferred, held, handed over, and ended in one act."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ca import renewal
from ca.errors import CaError
from ca.models import CertificateStatus
from ca.names import Subject
from ca.status import crl
from ca.status.revocation import RevocationReason
from records import audit
from records.models import AuditEntry
from signer.errors import ActivationRefused, CredentialUnusable, SignerError
from signer.holders import (
    handovers,
    holder_acts,
    holder_images,
    keepers,
    leaving,
    lifecycle,
    successors,
)
from signer.holders.handout import new_code
from signer.keys import activation, credentials, mandates, pins
from signer.models import AuthorizationRow, CredentialRow, MandateRow
from tests.signer.holders import AGENCY_PIN, BY, CLIENT, OFFICIAL_PIN, Holders, authorizer, enrol
from tests.signer.pictures import signature_png
from tests.world import World

NEW_PIN = "806412"
OFFICER = "official:038900000009"
DIGEST = bytes(32)
ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def holders(world: World) -> Holders:
    return enrol(world)


def status(world: World, serial: int) -> CertificateStatus:
    return world.authority.certificate(serial).status


def serial(credential: credentials.Credential) -> int:
    return credential.certificate.serial_number


def tags(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))


@ONLY_SQLITE
def test_renewing_keeps_key_pin_and_identifier(world: World, holders: Holders) -> None:
    """Renew (same key). Ending it later ends the certificate it replaced as well."""
    before = holders.official
    later = world.now + timedelta(days=30)
    after = lifecycle.renew(world.desk, before.id, now=later, by=BY)
    assert (after.id, after.public_key) == (before.id, before.public_key)
    assert serial(after) != serial(before)
    assert after.certificate.not_valid_after_utc > before.certificate.not_valid_after_utc
    assert activation.open_key(world.desk, after.id, OFFICIAL_PIN, now=later)
    lifecycle.end(world.desk, after.id, reason=RevocationReason.KEY_COMPROMISE, now=later, by=BY)
    assert {status(world, serial(one)) for one in (before, after)} == {CertificateStatus.REVOKED}


def test_a_new_key_takes_the_old_ones_place(world: World, holders: Holders) -> None:
    """Re-key: no old PIN is needed, the old key opens nothing, the picture carries on."""
    former = holders.official
    made = successors.rekey(world.desk, former.id, pin=NEW_PIN, now=world.now, by=OFFICER)
    assert made.public_key != former.public_key
    assert made.holder == former.holder
    assert activation.open_key(world.desk, made.id, NEW_PIN, now=world.now)
    with pytest.raises(CredentialUnusable):
        activation.open_key(world.desk, former.id, OFFICIAL_PIN, now=world.now)
    record = world.authority.certificate(serial(former))
    assert (record.status, record.reason) == (CertificateStatus.REVOKED, "superseded")
    assert successors.successor(world.desk, former.id) == made.id
    assert holder_images.image_digest(world.desk, made.id) == holder_images.image_digest(
        world.desk, former.id
    )
    with world.database.reading() as session:
        assert session.get_one(CredentialRow, former.id).sealed_key == b""
    with pytest.raises(CredentialUnusable):
        successors.rekey(world.desk, former.id, pin=NEW_PIN, now=world.now, by=OFFICER)


@ONLY_SQLITE
def test_a_transfer_changes_the_name_and_not_the_person(world: World, holders: Holders) -> None:
    """DOMAIN.md §2: changed on transfer; affiliationChanged is the reason (RFC 5280 §5.3.1)."""
    former = holders.official
    elsewhere = replace(former.holder, organizational_units=("UBND phường Đông Sơn",))
    made = successors.transfer(
        world.desk, former.id, subject=elsewhere, unit="14798", pin=NEW_PIN, now=world.now, by=BY
    )
    assert (made.unit, made.holder.organizational_units) == ("14798", ("UBND phường Đông Sơn",))
    assert world.authority.certificate(serial(former)).reason == "affiliationChanged"
    other = Subject.official("Lê Văn Thử", citizen_id="038800000002", unit="X")
    with pytest.raises(CaError) as caught:
        successors.transfer(
            world.desk, made.id, subject=other, unit="1", pin=NEW_PIN, now=world.now, by=BY
        )
    assert caught.value.code == "transfer-other-holder"


def test_when_an_official_leaves_everything_stops_at_once(world: World, holders: Holders) -> None:
    """Credentials stop at once. One act; the CRL says so, what was open is closed."""
    desk, official = world.desk, holders.official
    renewed = lifecycle.renew(desk, official.id, now=world.now, by=BY)
    opened = authorizer(world, official, OFFICIAL_PIN)([DIGEST])
    outside = renewal.issue(  # a card of their own, certified from a PKCS#10 request
        world.authority,
        profile="official",
        subject=official.holder,
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    left = leaving.leave(
        desk, official.holder_id, decision="123/QĐ-UBND ngày 01/03/2026", now=world.now, by=OFFICER
    )
    assert left.credentials == (official.id,)
    gone = [serial(official), serial(renewed), outside.serial_number]
    assert {status(world, one) for one in gone} == {CertificateStatus.REVOKED}
    with pytest.raises(CredentialUnusable):
        activation.open_key(desk, official.id, OFFICIAL_PIN, now=world.now)
    with pytest.raises(ActivationRefused):
        activation.present(desk, token=opened.token, client=CLIENT, now=world.now)
    with world.database.reading() as session:
        row = session.get_one(AuthorizationRow, opened.id)
        assert (row.ended, row.sealed_key) == (True, None)
    from cryptography import x509

    lists = x509.load_der_x509_crl(crl.current(world.authority, "persons-g1") or b"")
    assert all(lists.get_revoked_certificate_by_serial_number(one) for one in gone)
    assert "holder.left" in tags(world)
    assert audit.verify(world.database).ok
    with pytest.raises(CredentialUnusable) as caught:
        leaving.leave(desk, official.holder_id, decision="x", now=world.now, by=OFFICER)
    assert caught.value.code == "holder-has-nothing"


@ONLY_SQLITE
def test_who_leaves_is_exactly_one_person(world: World, holders: Holders) -> None:
    """Neither a number typed too short nor the letters in somebody's title end anybody else's."""
    desk, them = world.desk, holders.official.holder_id
    named = Subject.official(
        "Lê Văn Thử", citizen_id="038800000012", unit="X", title=f"Thay UID={them}"
    )
    other = renewal.issue(
        world.authority, profile="official", subject=named, public_key=world.key(),
        now=world.now, by=BY,
    )  # fmt: skip
    with pytest.raises(CredentialUnusable) as caught:
        leaving.leave(desk, "PID:0388", decision="1/QĐ", now=world.now, by=OFFICER)
    assert caught.value.code == "holder-has-nothing"
    with pytest.raises(SignerError):
        leaving.leave(desk, "CCCD:0388", decision="1/QĐ", now=world.now, by=OFFICER)
    left = leaving.leave(desk, them, decision="1/QĐ", now=world.now, by=OFFICER)
    assert len(left.certificates) == 1
    assert status(world, other.serial_number) is CertificateStatus.GOOD


def test_leaving_is_one_transaction(
    world: World, holders: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Struck in the middle, nothing has stopped; there is no half."""

    def struck(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle.closing, "close_in", struck)
    with pytest.raises(KeyboardInterrupt):
        leaving.leave(
            world.desk, holders.official.holder_id, decision="1", now=world.now, by=OFFICER
        )
    monkeypatch.undo()
    assert credentials.find(world.desk, holders.official.id).state == "active"
    assert status(world, serial(holders.official)) is CertificateStatus.GOOD


@ONLY_SQLITE
def test_what_they_hold_as_a_citizen_stays(world: World, holders: Holders) -> None:
    own = credentials.enrol(
        world.desk,
        profile="citizen",
        subject=Subject.citizen(
            "Nguyễn Thị Mẫu", citizen_id="038800000001", state="Thanh Hóa", locality="Hạc Thành"
        ),
        holder_id=holders.official.holder_id,
        pin=NEW_PIN,
        algorithm=holders.official.algorithm,
        now=world.now,
        by=BY,
    )
    leaving.leave(world.desk, own.holder_id, decision="1", now=world.now, by=OFFICER)
    assert credentials.find(world.desk, own.id).state == "active"
    assert status(world, serial(own)) is CertificateStatus.GOOD


def permission(world: World, **changes: Any) -> handovers.Permission:
    wanted: dict[str, Any] = {
        "number": "12/GUQ-UBND",
        "date": world.now.date(),
        "signer": "Nguyễn Thị Mẫu",
        "document": b"%PDF-1.7 permission",
    }
    return handovers.Permission(**{**wanted, **changes})


def hand_over(world: World, credential_id: str, pin: str, **more: Any) -> handovers.Handover:
    wanted: dict[str, Any] = {
        "pin": pin,
        "given_by": "CCCD:038800000003",
        "received_by": "CCCD:038800000004",
        "permission": permission(world),
        "activation_code": new_code(),
        "now": world.now,
        "by": BY,
    }
    return handovers.hand_over(world.desk, credential_id, **{**wanted, **more})


def test_an_agency_key_is_handed_over_on_paper(world: World, holders: Holders) -> None:
    """DOMAIN.md §2: hand-over only by written permission, with a record; mandates are over."""
    seal, desk, now = holders.agency, world.desk, world.now
    mandate = mandates.give(
        desk, credential_id=seal.id, pin=AGENCY_PIN, client=CLIENT,
        until=now + timedelta(days=9), now=now, by=BY,
    )  # fmt: skip
    code = new_code()
    made = hand_over(world, seal.id, AGENCY_PIN, activation_code=code)
    assert desk.blobs.get(made.document) == b"%PDF-1.7 permission"
    with pytest.raises(ActivationRefused):
        activation.open_key(desk, seal.id, AGENCY_PIN, now=now)
    pins.activate(desk, seal.id, code=code, pin=NEW_PIN, now=now, by=BY)
    assert activation.open_key(desk, seal.id, NEW_PIN, now=now)
    with world.database.reading() as session:
        row = session.get_one(MandateRow, mandate.id)
        assert (row.sealed_key, row.ended_at) == (None, now)
    assert keepers.keeper_of(desk, seal.id) == "CCCD:038800000004"
    assert status(world, serial(seal)) is CertificateStatus.GOOD
    assert "credential.handed-over" in tags(world)
    with pytest.raises(SignerError) as caught:
        hand_over(world, seal.id, NEW_PIN)
    assert caught.value.code == "handover-not-keeper"


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"permission": {"number": " "}}, "handover-permission"),
        ({"permission": {"document": b""}}, "handover-permission"),
        ({"permission": {"date": date(2999, 1, 1)}}, "handover-permission"),
        ({"received_by": "CCCD:038800000003"}, "handover-same-person"),
        ({"received_by": "người nhận"}, "holder-malformed"),
        ({"received_by": "CCCD:0388"}, "holder-malformed"),
        ({"pin": "wrong-1"}, "pin-wrong"),
    ],
)
def test_without_paper_keeper_or_pin_nothing_changes_hands(
    world: World, holders: Holders, changes: dict[str, Any], code: str
) -> None:
    if isinstance(changes.get("permission"), dict):
        changes = {"permission": permission(world, **changes["permission"])}
    with pytest.raises(SignerError) as caught:
        hand_over(world, holders.agency.id, **{"pin": AGENCY_PIN, **changes})
    assert caught.value.code == code
    assert handovers.history(world.desk, holders.agency.id) == []
    assert activation.open_key(world.desk, holders.agency.id, AGENCY_PIN, now=world.now)


@ONLY_SQLITE
def test_a_persons_key_goes_to_nobody(world: World, holders: Holders) -> None:
    with pytest.raises(SignerError) as caught:
        hand_over(world, holders.official.id, OFFICIAL_PIN)
    assert caught.value.code == "handover-only-for-seals"
    for attempt in (
        lambda: keepers.name_first(
            world.desk, holders.official.id, keeper=FIRST, now=world.now, by=BY
        ),
        lambda: successors.rekey(
            world.desk, holders.official.id, pin=NEW_PIN, keeper=FIRST, now=world.now, by=BY
        ),
    ):
        with pytest.raises(SignerError) as caught:
            attempt()
        assert caught.value.code == "keeper-only-for-seals"


FIRST, NEXT = "CCCD:038800000003", "CCCD:038800000004"


@ONLY_SQLITE
@pytest.mark.parametrize("how", ["first", "written down later", "handed over"])
def test_a_keeper_who_leaves_leaves_the_seal_held(world: World, holders: Holders, how: str) -> None:
    """DOMAIN.md §2: they know its PIN, so it is out of use until the next keeper has a new key."""
    desk, seal, now = world.desk, holders.agency, world.now
    if how == "first":
        seal = credentials.enrol(
            desk, profile="agency-seal", subject=seal.holder, holder_id="MST:2800000002",
            keeper=FIRST, unit="H56.DEMO.1", pin=AGENCY_PIN, algorithm=seal.algorithm,
            now=now, by=BY,
        )  # fmt: skip
    elif how == "written down later":
        keepers.name_first(desk, seal.id, keeper=FIRST, now=now, by=BY)
        with pytest.raises(SignerError) as caught:
            keepers.name_first(desk, seal.id, keeper=NEXT, now=now, by=BY)
        assert caught.value.code == "handover-not-keeper"
    else:
        code = new_code()
        hand_over(
            world, seal.id, AGENCY_PIN, given_by=NEXT, received_by=FIRST, activation_code=code
        )
        pins.activate(desk, seal.id, code=code, pin=AGENCY_PIN, now=now, by=BY)
    assert credentials.find(desk, seal.id).keeper == FIRST
    # While they are there, a new key stays with them: another has it by a hand-over only.
    with pytest.raises(SignerError) as caught:
        successors.rekey(desk, seal.id, pin=NEW_PIN, keeper=NEXT, now=now, by=OFFICER)
    assert caught.value.code == "handover-not-keeper"
    seal = successors.rekey(desk, seal.id, pin=AGENCY_PIN, now=now, by=OFFICER)
    assert seal.keeper == FIRST
    # A hold for another reason is no way around it.
    lifecycle.suspend(desk, seal.id, reason="kiểm kê", now=now, by=OFFICER)
    left = leaving.leave(desk, FIRST, decision="1/QĐ", now=now, by=OFFICER)
    assert left.seals == (seal.id,)
    assert credentials.find(desk, seal.id).state == "suspended"
    for attempt in (
        lambda: lifecycle.resume(desk, seal.id, now=now, by=OFFICER),
        lambda: successors.rekey(desk, seal.id, pin=NEW_PIN, now=now, by=OFFICER),
        lambda: successors.rekey(desk, seal.id, pin=NEW_PIN, keeper=FIRST, now=now, by=OFFICER),
        lambda: hand_over(world, seal.id, AGENCY_PIN),
    ):
        with pytest.raises(SignerError) as caught:
            attempt()
        assert caught.value.code == "keeper-left"
    assert credentials.find(desk, seal.id).state == "suspended"
    made = successors.rekey(desk, seal.id, pin=NEW_PIN, keeper=NEXT, now=now, by=OFFICER)
    assert (made.state, made.keeper, keepers.kept_by(desk, NEXT)) == ("active", NEXT, [made.id])
    assert credentials.find(desk, seal.id).state == "revoked"
    assert keepers.kept_by(desk, FIRST) == []


def test_holders_stop_their_own_and_officers_let_it_go_on(world: World, holders: Holders) -> None:
    """Holder's portal actions: suspend and resume (certificateHold, RFC 5280 §5.3.1)."""
    own, desk, now = holders.official, world.desk, world.now
    with pytest.raises(ActivationRefused):
        holder_acts.suspend_own(desk, own.id, pin="wrong-1", reason="x", now=now, by=CLIENT)
    opened = authorizer(world, own, OFFICIAL_PIN)([DIGEST])
    holder_acts.suspend_own(desk, own.id, pin=OFFICIAL_PIN, reason="mất máy", now=now, by=CLIENT)
    assert status(world, serial(own)) is CertificateStatus.HELD
    with pytest.raises(ActivationRefused):
        activation.present(desk, token=opened.token, client=CLIENT, now=now)
    with pytest.raises(CredentialUnusable):
        activation.open_key(desk, own.id, OFFICIAL_PIN, now=now)
    lifecycle.resume(desk, own.id, now=now, by=OFFICER)
    assert status(world, serial(own)) is CertificateStatus.GOOD
    assert activation.open_key(desk, own.id, OFFICIAL_PIN, now=now)


@ONLY_SQLITE
def test_a_hold_is_of_the_key_and_all_its_certificates(
    world: World, holders: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5280 §5.3.1: a renewed key verifies under both certificates, so a hold takes both."""
    desk, now, before = world.desk, world.now, holders.official
    after = lifecycle.renew(desk, before.id, now=now, by=BY)
    pair = [serial(before), serial(after)]
    lifecycle.suspend(desk, before.id, reason="mất máy", now=now, by=OFFICER)
    assert [status(world, one) for one in pair] == [CertificateStatus.HELD] * 2
    lifecycle.resume(desk, before.id, now=now, by=OFFICER)
    assert [status(world, one) for one in pair] == [CertificateStatus.GOOD] * 2

    def struck(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle.closing, "close_in", struck)
    with pytest.raises(KeyboardInterrupt):
        lifecycle.suspend(desk, before.id, reason="x", now=now, by=OFFICER)
    monkeypatch.undo()
    assert credentials.find(desk, before.id).state == "active"
    assert [status(world, one) for one in pair] == [CertificateStatus.GOOD] * 2


@ONLY_SQLITE
def test_what_was_begun_before_a_hand_over_does_not_outlive_it(
    world: World, holders: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DOMAIN.md §2: the old keeper's new PIN or mandate, half done meanwhile, opens nothing."""
    seal, desk, now, code = holders.agency, world.desk, world.now, new_code()
    opened = pins.unseal

    def slow(*args: Any, **more: Any) -> bytes:
        blob = opened(*args, **more)
        monkeypatch.undo()
        hand_over(world, seal.id, AGENCY_PIN, activation_code=code)
        return blob

    monkeypatch.setattr(pins, "unseal", slow)
    with pytest.raises(CredentialUnusable) as caught:
        pins.change(desk, seal.id, old=AGENCY_PIN, new=NEW_PIN, now=now, by=CLIENT)
    assert caught.value.code == "credential-changed"
    pins.activate(desk, seal.id, code=code, pin=AGENCY_PIN, now=now, by=BY)

    def ended(*args: Any, **more: Any) -> bytes:
        blob = opened(*args, **more)
        monkeypatch.undo()
        reason = RevocationReason.KEY_COMPROMISE
        lifecycle.end(desk, seal.id, reason=reason, now=now, by=OFFICER)
        return blob

    monkeypatch.setattr(pins, "unseal", ended)
    with pytest.raises(CredentialUnusable):
        hand_over(
            world, seal.id, AGENCY_PIN, given_by="CCCD:038800000004",
            received_by="CCCD:038800000005",
        )  # fmt: skip
    with world.database.reading() as session:
        assert session.get_one(CredentialRow, seal.id).sealed_key == b""
    assert len(handovers.history(desk, seal.id)) == 1


@ONLY_SQLITE
def test_a_permission_is_dated_by_the_offices_calendar(world: World, holders: Holders) -> None:
    """At half past six in the morning it is still yesterday in UTC, and today in Thanh Hóa."""
    morning = world.now.replace(hour=23, minute=30) + timedelta(days=1)
    today = (morning + timedelta(hours=7)).date()
    paper = permission(world, date=today)
    assert hand_over(world, holders.agency.id, AGENCY_PIN, permission=paper, now=morning)
    with pytest.raises(SignerError):
        handovers._require_permission(permission(world, date=today + timedelta(days=1)), morning)


@ONLY_SQLITE
def test_the_picture_that_carries_on_is_the_one_that_was_drawn(
    world: World, holders: Holders
) -> None:
    """One sent in first and approved last is drawn; a successor has the same."""
    desk, own, later = world.desk, holders.official, world.now + timedelta(hours=2)
    sent = holder_images.submit(
        desk, own.id, signature_png(500), now=world.now + timedelta(hours=1), by=CLIENT
    )
    holder_images.set_image(desk, own.id, signature_png(510), approved_by=OFFICER, now=later, by=BY)
    holder_images.approve(desk, sent.id, now=later + timedelta(hours=1), by=OFFICER)
    assert holder_images.image_digest(desk, own.id) == sent.digest
    made = successors.rekey(desk, own.id, pin=NEW_PIN, now=later, by=OFFICER)
    assert holder_images.image_digest(desk, made.id) == sent.digest


@ONLY_SQLITE
def test_a_new_key_is_asked_for_and_granted_by_another(world: World, holders: Holders) -> None:
    """Request re-key; the second person has made sure who asks."""
    own, desk, now = holders.official, world.desk, world.now
    asked = holder_acts.request_rekey(desk, own.id, reason="quên mã PIN", now=now, by=CLIENT)
    again = holder_acts.request_rekey(desk, own.id, reason="quên", now=now, by=CLIENT)
    assert (again.id, len(holder_acts.waiting_requests(desk))) == (asked.id, 1)
    with pytest.raises(SignerError):
        holder_acts.grant_rekey(desk, asked.id, activation_code=new_code(), now=now, by=CLIENT)
    code = new_code()
    made = holder_acts.grant_rekey(desk, asked.id, activation_code=code, now=now, by=OFFICER)
    pins.activate(desk, made.id, code=code, pin=NEW_PIN, now=now, by=CLIENT)
    assert activation.open_key(desk, made.id, NEW_PIN, now=now)
    assert credentials.find(desk, own.id).state == "revoked"
    with pytest.raises(SignerError) as caught:
        holder_acts.reject_rekey(desk, asked.id, reason="x", now=now, by=OFFICER)
    assert caught.value.code == "rekey-request-decided"
