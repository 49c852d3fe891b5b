"""The person first, then the seal: order is enforced, whatever PIN or mandate is shown."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from records.models import AuditEntry
from signer import workflow
from signer.errors import CredentialUnusable, OrderRefused
from signer.keys import credentials
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.signing import SignatureRequest, document_digest, sign_pdf
from signer.verdicts.validation import validate
from tests.signer import paper
from tests.signer.holders import AGENCY_PIN, BY, OFFICIAL_PIN, Holders, authorizer, enrol
from tests.world import World

PERSON = SignatureRequest(level=Level.B_LTA, appearance=Appearance.person())
SEAL = SignatureRequest(level=Level.B_LTA, appearance=Appearance.seal())


@pytest.fixture
def holders(world: World) -> Holders:
    return enrol(world)


def seal(
    world: World, holders: Holders, data: bytes, *, entitled: set[int]
) -> workflow.SignedDocument:
    return workflow.seal_pdf(
        world.desk, data, SEAL, authorize=authorizer(world, holders.agency, AGENCY_PIN),
        entitled=entitled, now=world.now, by="official:clerk",
    )  # fmt: skip


def test_person_then_seal(world: World, holders: Holders) -> None:
    """Decree 30/2020: both signatures valid, the person's first, the seal over it."""
    done = workflow.sign_then_seal(
        world.desk, paper.decision(pdfa="a-2b"),
        person=authorizer(world, holders.official, OFFICIAL_PIN), person_request=PERSON,
        seal=authorizer(world, holders.agency, AGENCY_PIN), seal_request=SEAL,
        now=world.now, by=BY, seal_by="official:clerk",
    )  # fmt: skip
    report = validate(done.data, trust=world.trust, now=world.now)
    assert [one.signer for one in report.signatures] == ["Nguyễn Thị Mẫu", "UBND phường Hạc Thành"]
    assert {one.indication.value for one in report.signatures} == {"TOTAL_PASSED"}


def test_no_seal_on_an_unsigned_document(world: World, holders: Holders) -> None:
    """Only a document already signed by the authorised person may be sealed."""
    serial = holders.official.certificate.serial_number
    with pytest.raises(OrderRefused) as caught:
        seal(world, holders, paper.decision(), entitled={serial})
    assert caught.value.code == "seal-before-signature"
    with world.database.reading() as session:
        assert "signature.refused" in session.scalars(select(AuditEntry.tag)).all()


def test_no_seal_over_somebody_elses_signature(world: World, holders: Holders) -> None:
    """Entitled are certificates, not names."""
    give = authorizer(world, holders.agency, AGENCY_PIN)
    data = paper.decision()
    authorization = give([document_digest(data)])
    signed = sign_pdf(
        world.desk, data, SignatureRequest(level=Level.B_LT), authorization=authorization,
        now=world.now, by=BY,
    )  # fmt: skip
    serial = holders.official.certificate.serial_number
    with pytest.raises(OrderRefused) as caught:
        seal(world, holders, signed.data, entitled={serial})
    assert caught.value.code == "seal-before-signature"


def test_no_seal_on_a_changed_document(world: World, holders: Holders) -> None:
    """A document cannot change once the first signature is on it."""
    give = authorizer(world, holders.official, OFFICIAL_PIN)
    data = paper.decision()
    authorization = give([document_digest(data)])
    signed = sign_pdf(
        world.desk, data, PERSON, authorization=authorization, now=world.now, by=BY
    ).data
    at = signed.index(b"/M(D:")
    changed = signed[: at + 5] + b"2020" + signed[at + 9 :]
    serial = holders.official.certificate.serial_number
    with pytest.raises(OrderRefused) as caught:
        seal(world, holders, changed, entitled={serial})
    assert caught.value.code == "signature-not-valid"
    assert "HASH_FAILURE" in str(caught.value.params["reason"])


def test_no_seal_when_the_person_is_suspended_meanwhile(world: World, holders: Holders) -> None:
    """The signature must still stand when the seal is put on it."""
    give = authorizer(world, holders.official, OFFICIAL_PIN)
    data = paper.decision()
    authorization = give([document_digest(data)])
    signed = sign_pdf(
        world.desk, data, PERSON, authorization=authorization, now=world.now, by=BY
    ).data
    credentials.suspend(world.desk, holders.official.id, reason="x", now=world.now, by=BY)
    serial = holders.official.certificate.serial_number
    with pytest.raises(CredentialUnusable):
        seal(world, holders, signed, entitled={serial})
