"""Sole control: PIN, counters, authorisations bound to holder, client, key and exact digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ca.status import revocation
from hsm.mechanisms import KeyAlgorithm
from records import audit
from records.models import AuditEntry
from signer.errors import ActivationRefused, CredentialUnusable, SignerError
from signer.holders import holder_images, unfinished_enrolments
from signer.keys import activation, credentials, mandates, pins
from signer.keys.activation import Authorization
from signer.models import AuthorizationRow, AuthorizedDigestRow, CredentialRow, MandateRow
from tests.signer.holders import AGENCY_PIN, BY, CLIENT, OFFICIAL_PIN, Holders, authorizer, enrol
from tests.world import World

DIGESTS = [hashlib.sha256(bytes([number])).digest() for number in range(3)]


@pytest.fixture
def holders(world: World) -> Holders:
    return enrol(world)


@pytest.fixture
def give(world: World, holders: Holders) -> Callable[..., Authorization]:
    return authorizer(world, holders.official, OFFICIAL_PIN)


def code(work: Callable[[], Any]) -> str:
    with pytest.raises(SignerError) as caught:
        work()
    assert caught.value.message("vi") != caught.value.code
    return caught.value.code


def reserve(world: World, authorization: Authorization, *digests: bytes, **when: Any) -> list[int]:
    with world.database.transaction() as session:
        return activation.reserve(session, authorization, digests, now=when.get("now", world.now))


def tags(world: World) -> list[str]:
    with world.database.reading() as session:
        return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))


def test_an_authorisation_is_for_these_digests_only(world: World, give: Any) -> None:
    """EN 419 241-1 SRA_SAP.1: the SAD is bound to the data to be signed."""
    authorization = give(DIGESTS[:2])
    assert reserve(world, authorization, DIGESTS[1]) == [1]
    assert code(lambda: reserve(world, authorization, DIGESTS[2])) == "digest-not-authorized"


def test_a_digest_is_used_once(world: World, give: Any) -> None:
    """CSC API v2 §8.4: a SAD is consumed; replay is refused."""
    authorization = give(DIGESTS)
    reserve(world, authorization, DIGESTS[0])
    assert code(lambda: reserve(world, authorization, DIGESTS[0])) == "digest-already-used"


def test_reservation_is_all_or_nothing(world: World, give: Any) -> None:
    """Either each digest of a request is taken or none."""
    authorization = give(DIGESTS[:2])
    stranger = hashlib.sha256(b"not shown").digest()
    assert code(lambda: reserve(world, authorization, DIGESTS[0], stranger))
    assert reserve(world, authorization, *DIGESTS[:2]) == [0, 1]


def test_it_is_bound_to_client_credential_and_secret(
    world: World, holders: Holders, give: Any
) -> None:
    """A SAD taken by somebody else, or changed, opens nothing."""
    from dataclasses import replace

    good = give(DIGESTS)
    for wrong in (
        replace(good, client="client:other"),
        replace(good, token="x" * 43),
        replace(good, credential_id=holders.agency.id),
        replace(good, id="0" * 32),
    ):
        assert (
            code(lambda wrong=wrong: reserve(world, wrong, DIGESTS[0])) == "authorization-unknown"
        )
    refused = code(
        lambda: activation.present(
            world.desk, token=good.token, client="client:other", now=world.now
        )
    )
    assert refused == "authorization-unknown"
    assert activation.present(world.desk, token=good.token, client=CLIENT, now=world.now) == good


def test_it_lives_for_minutes_and_leaves_no_key(world: World, give: Any) -> None:
    """DESIGN.md §4: minutes of life; then the seal is erased."""
    authorization = give(DIGESTS, minutes=5)
    late = world.now + timedelta(minutes=5)
    assert (
        code(lambda: reserve(world, authorization, DIGESTS[0], now=late)) == "authorization-expired"
    )
    assert activation.expire(world.desk, now=late) == 1
    assert activation.expire(world.desk, now=late) == 0
    with world.database.reading() as session:
        assert session.get_one(AuthorizationRow, authorization.id).sealed_key is None
    assert "authorization.ended" in tags(world)


def test_a_closed_authorisation_is_over(world: World, give: Any) -> None:
    """Recall and cancelled batch."""
    authorization = give(DIGESTS)
    activation.close(world.desk, authorization, now=world.now, by=BY)
    assert code(lambda: reserve(world, authorization, DIGESTS[0])) == "authorization-expired"
    assert code(lambda: activation.opened_key(world.desk, authorization, now=world.now))


def test_five_wrong_pins_lock(world: World, holders: Holders) -> None:
    """Our own counter, in the database: SoftHSM has none."""
    wrong = authorizer(world, holders.official, "135799")
    for left in (4, 3, 2, 1):
        with pytest.raises(ActivationRefused) as caught:
            wrong(DIGESTS)
        assert (caught.value.code, caught.value.params["left"]) == ("pin-wrong", left)
    assert code(lambda: wrong(DIGESTS)) == "credential-locked"
    right = authorizer(world, holders.official, OFFICIAL_PIN)
    assert code(lambda: right(DIGESTS)) == "credential-locked"
    credentials.unlock(world.desk, holders.official.id, now=world.now, by=BY)
    assert right(DIGESTS).credential_id == holders.official.id
    assert tags(world).count("authorization.refused") == 6
    assert "credential.locked" in tags(world)
    assert audit.verify(world.database).ok


def test_a_right_pin_clears_the_count(world: World, holders: Holders, give: Any) -> None:
    """Four mistakes in five years are not five in a row."""
    wrong = authorizer(world, holders.official, "135799")
    for _ in range(4):
        assert code(lambda: wrong(DIGESTS)) == "pin-wrong"
    give(DIGESTS)
    assert code(lambda: wrong(DIGESTS)) == "pin-wrong"


def test_right_pins_at_once_lock_nobody(world: World, holders: Holders) -> None:
    """A clerk with a dozen windows open, each with the right PIN: they take turns."""
    right = authorizer(world, holders.official, OFFICIAL_PIN)
    with ThreadPoolExecutor(12) as windows:
        given = list(windows.map(lambda _: right(DIGESTS), range(12)))
    assert len({one.id for one in given}) == 12


def test_wrong_pins_at_once_are_five(world: World, holders: Holders) -> None:
    """Twelve guesses in parallel are no more than five."""
    wrong = authorizer(world, holders.official, "135799")
    with ThreadPoolExecutor(12) as guesses:
        codes = list(guesses.map(lambda _: code(lambda: wrong(DIGESTS)), range(12)))
    assert codes.count("pin-wrong") == 4
    assert codes.count("credential-locked") == 8


def test_an_attempt_counts_before_it_is_tried(world: World, holders: Holders) -> None:
    """Guessing in parallel gains nothing: the count is committed first."""
    with world.database.transaction() as session:
        session.get_one(CredentialRow, holders.official.id).wrong_pins = 5
    right = authorizer(world, holders.official, OFFICIAL_PIN)
    assert code(lambda: right(DIGESTS)) == "credential-locked"


def test_an_unusable_credential_gives_nothing(world: World, holders: Holders, give: Any) -> None:
    """DOMAIN.md §2: validity and status are checked before signing."""
    official = holders.official
    credentials.suspend(world.desk, official.id, reason="leave", now=world.now, by=BY)
    assert code(lambda: give(DIGESTS)) == "credential-suspended"
    credentials.resume(world.desk, official.id, now=world.now, by=BY)
    later = world.now + timedelta(days=365 * 9)
    assert code(lambda: give(DIGESTS, now=later)) == "certificate-expired"
    early = world.now - timedelta(days=400)
    assert code(lambda: give(DIGESTS, now=early)) == "certificate-not-yet-valid"
    credentials.retire(world.desk, official.id, reason="left", now=world.now, by=BY)
    assert code(lambda: give(DIGESTS)) == "credential-revoked"
    with world.database.reading() as session:
        assert session.get_one(CredentialRow, official.id).sealed_key == b""


def test_a_revoked_certificate_gives_nothing(world: World, holders: Holders, give: Any) -> None:
    """A certificate is revoked when its holder leaves."""
    revocation.revoke(
        world.authority,
        holders.official.certificate.serial_number,
        reason=revocation.RevocationReason.CESSATION_OF_OPERATION,
        now=world.now,
        by=BY,
    )
    assert code(lambda: give(DIGESTS)) == "certificate-revoked"


def test_senseless_requests_are_refused(world: World, give: Any) -> None:
    """Each with its own words."""
    assert code(lambda: give([])) == "digests-missing"
    assert code(lambda: give([b"short"])) == "digest-malformed"
    assert code(lambda: give(DIGESTS, minutes=0)) == "authorization-too-long"
    assert code(lambda: give(DIGESTS, minutes=600)) == "authorization-too-long"
    assert code(lambda: give([bytes(32)] * 10_001)) == "too-many-digests"


def test_nothing_in_the_database_opens_the_key(world: World, holders: Holders, give: Any) -> None:
    """Sole control: the database holds neither PIN nor SAD nor an unsealed key."""
    authorization = give(DIGESTS)
    wrapped = activation.opened_key(world.desk, authorization, now=world.now)
    with world.database.reading() as session:
        row = session.get_one(AuthorizationRow, authorization.id)
        credential = session.get_one(CredentialRow, holders.official.id)
        digests = session.scalars(select(AuthorizedDigestRow)).all()
    everything = b"".join((credential.sealed_key, row.sealed_key or b"", row.token_hash))
    assert wrapped.blob not in everything
    assert authorization.token.encode() not in everything
    assert authorization.token not in repr(authorization)
    assert {one.state for one in digests} == {"open"}


def test_a_mandate_lets_one_client_seal(world: World, holders: Holders) -> None:
    """DOMAIN.md §2: handed over only by written permission, with a record."""
    until = world.now + timedelta(days=30)
    mandate = mandates.give(
        world.desk, credential_id=holders.agency.id, pin=AGENCY_PIN, client=CLIENT, until=until,
        now=world.now, by="official:clerk",
    )  # fmt: skip

    def use(client: str = CLIENT, after: timedelta = timedelta(0)) -> Authorization:
        return mandates.authorize(
            world.desk, mandate_id=mandate.id, digests=DIGESTS, client=client,
            now=world.now + after, by=client,
        )  # fmt: skip

    authorization = use()
    assert authorization.credential_id == holders.agency.id
    assert activation.opened_key(world.desk, authorization, now=world.now).blob
    assert code(lambda: use("client:other")) == "mandate-unknown"
    assert code(lambda: use(after=timedelta(days=31))) == "mandate-ended"
    mandates.end(world.desk, mandate.id, now=world.now, by="official:clerk")
    assert code(use) == "mandate-ended"
    with world.database.reading() as session:
        assert session.get_one(MandateRow, mandate.id).sealed_key is None
    assert {"mandate.given", "mandate.ended"} <= set(tags(world))


def test_a_person_cannot_be_given_away(world: World, holders: Holders) -> None:
    """Only an agency's seal knows mandates."""
    refused = code(
        lambda: mandates.give(
            world.desk, credential_id=holders.official.id, pin=OFFICIAL_PIN, client=CLIENT,
            until=world.now + timedelta(days=1), now=world.now, by=BY,
        )
    )  # fmt: skip
    assert refused == "mandate-only-for-seals"


def test_weak_pins_are_refused(world: World) -> None:
    """Before a key is made for them."""
    for pin in ("12345", "111111", "123456", "987654", "ababab", "x" * 65):
        assert code(lambda pin=pin: pins.check(pin)) == "pin-too-simple"
    pins.check("925817")


def test_a_pin_is_changed_by_its_holder(world: World, holders: Holders) -> None:
    """The old one opens nothing from then on; a wrong old one counts as an attempt."""
    official = holders.official.id
    when = {"now": world.now, "by": BY}
    assert code(lambda: pins.change(world.desk, official, old="135799", new="806412", **when))
    pins.change(world.desk, official, old=OFFICIAL_PIN, new="806412", **when)
    assert code(lambda: authorizer(world, holders.official, OFFICIAL_PIN)(DIGESTS)) == "pin-wrong"
    assert authorizer(world, holders.official, "806412")(DIGESTS)
    refused = code(lambda: pins.change(world.desk, official, old="806412", new="123456", **when))
    assert refused == "pin-too-simple"


def test_bulk_enrolment_is_activated_by_its_code(world: World) -> None:
    """DESIGN.md §4: a random one-time code, replaced by the PIN at first use."""
    from ca.names import Subject

    secret = "K7QF-2M9X-T4WD-8HPA"
    enrolled = credentials.enrol(
        world.desk,
        profile="citizen",
        subject=Subject.citizen(
            "Lê Văn Thử", citizen_id="038900000001", state="Thanh Hóa", locality="Hạc Thành"
        ),
        holder_id="CCCD:038900000001",
        activation_code=secret,
        algorithm=KeyAlgorithm.P_256,
        now=world.now,
        by=BY,
    )
    when = {"now": world.now, "by": BY}
    assert code(lambda: authorizer(world, enrolled, secret)(DIGESTS)) == "activation-pending"
    wrong = "AAAA-AAAA-AAAA-AAAA"
    assert code(lambda: pins.activate(world.desk, enrolled.id, code=wrong, pin="806412", **when))
    pins.activate(world.desk, enrolled.id, code=secret.lower(), pin="806412", **when)
    assert authorizer(world, enrolled, "806412")(DIGESTS)
    with pytest.raises(ActivationRefused):
        pins.activate(world.desk, enrolled.id, code=secret, pin="806412", **when)


def test_an_interrupted_enrolment_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intention before act: what an interruption leaves is found, and nothing signs with it."""
    from ca import issuance

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(issuance, "issue", interrupted)
    with pytest.raises(KeyboardInterrupt):
        enrol(world)
    assert unfinished_enrolments.abandon(world.desk, now=world.now, by="system:signer") == 0
    at = {"now": world.now + timedelta(minutes=10), "by": "system:signer"}
    assert unfinished_enrolments.abandon(world.desk, **at) == 1
    assert unfinished_enrolments.abandon(world.desk, **at) == 0
    with world.database.reading() as session:
        (row,) = session.scalars(select(CredentialRow)).all()
    assert (row.state, row.sealed_key) == ("abandoned", b"")
    with pytest.raises(CredentialUnusable):
        credentials.find(world.desk, row.id)


def test_holders_are_found(world: World, holders: Holders) -> None:
    """By holder and by unit, newest first."""
    (one,) = credentials.by_holder(world.desk, "CCCD:038800000001")
    assert one == holders.official
    seals = credentials.of_unit(world.desk, "H56.DEMO.1", "agency")
    assert [seal.id for seal in seals] == [holders.agency.id]
    assert holder_images.image_digest(world.desk, one.id)
