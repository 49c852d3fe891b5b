"""The stories to read first: what people do with this house, each from beginning to end.

They run on SQLite and on PostgreSQL, with a real token, a real hierarchy and real documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ca.status import revocation
from ca.status.revocation import RevocationReason
from certify import cancellation, decisions, issuance, register, verification
from certify.cancellation import Decision
from certify.models import CopyStatus
from certify.stores import store
from certify.verification import Verdict
from records import audit
from records.errors import DomainError
from signer import signing, workflow
from signer.errors import ActivationRefused, CredentialUnusable, OrderRefused
from signer.keys import activation, credentials
from signer.keys.activation import Authorization
from signer.keys.credentials import Credential
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.routing.working_days import local
from signer.signing import SignatureRequest, document_digest
from signer.verdicts.validation import validate
from tests.certify.town_hall import BY, MAU, PIN, SEAL_PIN, UNIT, TownHall, town_hall
from tests.world import World

DECISION = (Path(__file__).parents[2] / "demo" / "decision.pdf").read_bytes()
CLERK = "official:van-thu"


@pytest.fixture
def hall(world: World) -> TownHall:
    return town_hall(world)


def holder(
    world: World, credential: Credential, pin: str, by: str
) -> Callable[[Sequence[bytes]], Authorization]:
    """A person at the keyboard: asked for a PIN, they authorise exactly the digests shown."""

    def authorize(digests: Sequence[bytes]) -> Authorization:
        return activation.authorize(
            world.desk,
            credential_id=credential.id,
            pin=pin,
            digests=digests,
            client="client:story",
            now=world.now,
            by=by,
        )

    return authorize


def test_an_official_signs_and_the_clerk_seals(world: World, hall: TownHall) -> None:
    """Decree 30/2020: the authorised person signs first; then the agency's seal, one third over."""
    sealed = workflow.sign_then_seal(
        world.desk,
        DECISION,
        person=holder(world, hall.person, PIN, BY),
        person_request=SignatureRequest(
            level=Level.B_LTA, appearance=Appearance.person(anchor="Lê Văn Thử")
        ),
        seal=holder(world, hall.seal, SEAL_PIN, CLERK),
        seal_request=SignatureRequest(level=Level.B_LTA, appearance=Appearance.seal()),
        now=world.now,
        by=BY,
        seal_by=CLERK,
    )
    report = validate(sealed.data, trust=world.trust, now=world.now)
    assert report.passed
    assert [one.level for one in report.signatures] == ["PAdES-BASELINE-LTA"] * 2
    assert sealed.data.startswith(DECISION)  # nothing was rewritten, only appended
    assert audit.verify(world.database).ok


def test_no_seal_before_the_signature(world: World, hall: TownHall) -> None:
    """Decree 30/2020: only a document signed by the authorised person may be sealed."""
    with pytest.raises(OrderRefused) as refusal:
        workflow.seal_pdf(
            world.desk,
            DECISION,
            SignatureRequest(level=Level.B_LTA, appearance=Appearance.seal()),
            authorize=holder(world, hall.seal, SEAL_PIN, CLERK),
            entitled={hall.person.certificate.serial_number},
            now=world.now,
            by=CLERK,
        )
    assert refusal.value.code == "seal-before-signature"


def test_what_is_signed_is_what_was_shown(world: World, hall: TownHall) -> None:
    """Sole control: an authorisation is good for the shown file, once, and for no other file."""
    shown = holder(world, hall.person, PIN, BY)([document_digest(DECISION)])
    other = DECISION + b"\n"
    request = SignatureRequest(level=Level.B_B)
    with pytest.raises(ActivationRefused) as refusal:
        signing.sign_pdf(world.desk, other, request, authorization=shown, now=world.now, by=BY)
    assert refusal.value.code == "digest-not-authorized"
    signing.sign_pdf(world.desk, DECISION, request, authorization=shown, now=world.now, by=BY)
    with pytest.raises(ActivationRefused):
        signing.sign_pdf(world.desk, DECISION, request, authorization=shown, now=world.now, by=BY)


def test_five_wrong_pins_lock_the_credential(world: World, hall: TownHall) -> None:
    """Five wrong PINs lock it, the right one does not open it any more; each try is in the log."""
    for _ in range(5):
        with pytest.raises((ActivationRefused, CredentialUnusable)):
            holder(world, hall.person, "000111222", BY)([document_digest(DECISION)])
    with pytest.raises(CredentialUnusable) as refusal:
        holder(world, hall.person, PIN, BY)([document_digest(DECISION)])
    assert refusal.value.code == "credential-locked"
    assert audit.verify(world.database).ok


def test_whoever_has_left_signs_no_more(world: World, hall: TownHall) -> None:
    """A certificate is revoked when its holder leaves: from that moment nothing is signed."""
    before = holder(world, hall.person, PIN, BY)([document_digest(DECISION)])
    revocation.revoke(
        world.authority,
        hall.person.certificate.serial_number,
        reason=RevocationReason.CESSATION_OF_OPERATION,
        now=world.now,
        by="operator:test",
    )
    with pytest.raises(CredentialUnusable):
        signing.sign_pdf(
            world.desk,
            DECISION,
            SignatureRequest(level=Level.B_B),
            authorization=before,
            now=world.now,
            by=BY,
        )
    with pytest.raises(DomainError):
        credentials.require_usable(
            world.desk, credentials.find(world.desk, hall.person.id), now=world.now
        )


def test_a_citizen_shows_the_original_once(world: World, hall: TownHall) -> None:
    """DOMAIN §4: presented, captured, compared, signed, sealed, numbered, kept, verifiable."""
    case = hall.compared()
    copy = issuance.certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
    assert (copy.number, copy.register) == ("01", "SCTĐT/BS")

    # Anyone with the file gets both answers; with the code alone, nothing personal.
    report, status = verification.verify_file(hall.office, copy.data, now=hall.now)
    assert verification.verdict(report, status) is Verdict.VALID
    public = str(verification.verify_code(hall.office, copy.code, now=hall.now).to_json())
    assert MAU.name not in public
    assert MAU.identifier not in public

    # It is in the citizen's store, and the citizen sees who looked.
    (item,) = store.items(hall.office, owner_id=MAU.owner_id)
    store.fetch(
        hall.office, item.id, owner_id=MAU.owner_id, purpose="xem", now=hall.now, by="citizen:mau"
    )
    (look,) = store.accesses(hall.office, item.id, owner_id=MAU.owner_id)
    assert look.purpose == "xem"


def test_a_wrong_copy_is_cancelled_for_everybody(world: World, hall: TownHall) -> None:
    """DOMAIN §4: cancelling is a decision; then *signature valid, copy cancelled*."""
    case = hall.compared()
    copy = issuance.certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
    written = decisions.draft(
        hall.office, copy.copy_id, number="02/QĐ-UBND", reason="Chứng thực sai",
        holder_id=hall.person.holder_id, now=hall.now,
    )  # fmt: skip
    signed = signing.sign_pdf(
        world.desk,
        written,
        SignatureRequest(level=Level.B_LTA),
        authorization=holder(world, hall.person, PIN, BY)([document_digest(written)]),
        now=world.now,
        by=BY,
    )
    decision = Decision("02/QĐ-UBND", local(hall.now).date(), "Chứng thực sai", "Lê Văn Thử")
    cancellation.cancel(
        hall.office, copy.copy_id, decision, signed_decision=signed.data, now=hall.now, by=BY
    )
    report, status = verification.verify_file(hall.office, copy.data, now=hall.now)
    assert report.passed
    assert status is not None
    assert status.status is CopyStatus.CANCELLED
    assert verification.verdict(report, status) is Verdict.INVALID


def test_the_register_has_no_gap(world: World, hall: TownHall) -> None:
    """Per unit, register and year: 01, 02, …, without a gap."""
    numbers = []
    for _ in range(3):
        case = hall.compared()
        copy = issuance.certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
        numbers.append(copy.number)
    assert numbers == ["01", "02", "03"]
    assert register.gaps(hall.office, unit=UNIT, year=local(hall.now).year) == []
