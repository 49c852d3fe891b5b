"""The person's store: given once, used again, and every look written down."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from certify import cancellation, verification
from certify.decisions import Decision, draft
from certify.errors import CertifyError, NotFound
from certify.issuance import CertifiedCopy, certify_copy
from certify.models import CopyStatus
from certify.register import entries
from certify.stores import sharing, store
from certify.stores.sharing import Recipient
from certify.verification import Verdict, verdict, verify_code, verify_file
from records import audit
from signer.keys import activation
from signer.levels import Level
from signer.routing.working_days import local
from signer.signing import SignatureRequest, document_digest, sign_pdf
from tests.certify.town_hall import BY, DEMO, MAU, PIN, SEAL_PIN, UNIT, TownHall, scans
from tests.world import ONE_DATABASE

ME = MAU.owner_id
SCHOOL = Recipient("agency", "H56.DEMO.14758", "UBND phường Hàm Rồng")


def issue(hall: TownHall) -> CertifiedCopy:
    case = hall.compared()
    return certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)


@ONE_DATABASE
def test_every_look_is_logged(hall: TownHall) -> None:
    """DOMAIN.md §6: "Every view of a person's document logs who, why and when"."""
    copy, office = issue(hall), hall.office
    data = store.fetch(office, copy.item_id, owner_id=ME, purpose="tải về", now=hall.now, by=ME)
    assert data == copy.data
    (seen,) = store.accesses(office, copy.item_id, owner_id=ME)
    assert (seen.by, seen.purpose, seen.at) == (ME, "tải về", hall.now)
    with pytest.raises(CertifyError, match="purpose"):
        store.fetch(office, copy.item_id, owner_id=ME, purpose=" ", now=hall.now, by=ME)
    for owner in ("citizen:038900000009", ""):
        with pytest.raises(NotFound):
            store.fetch(office, copy.item_id, owner_id=owner, purpose="x", now=hall.now, by=ME)


@ONE_DATABASE
def test_own_papers_never_call_themselves_certified(hall: TownHall) -> None:
    """ "own digitised papers (marked as not certified)"."""
    office = hall.office
    item = store.add(
        office, owner_id=ME, kind="own-paper", title="Ảnh thẻ", data=scans()[0], now=hall.now, by=ME
    )
    assert (item.certified, item.status, item.code) == (False, None, None)
    with pytest.raises(CertifyError):
        store.add(
            office, owner_id=ME, kind="certified-copy", title="x", data=b"x", now=hall.now, by=ME
        )


@ONE_DATABASE
def test_delete_takes_the_bytes_not_the_record(hall: TownHall) -> None:
    """DOMAIN.md §4 *Keeping*: register, digest and evidence stay; the document is the citizen's."""
    copy, office = issue(hall), hall.office
    store.purge(office, copy.item_id, owner_id=ME, now=hall.now, by=ME)
    assert not office.blobs.exists(copy.digest)
    assert store.find_item(office, copy.item_id, owner_id=ME).purged
    with pytest.raises(NotFound):
        store.fetch(office, copy.item_id, owner_id=ME, purpose="x", now=hall.now, by=ME)
    report, status = verify_file(office, copy.data, now=hall.now)
    assert verdict(report, status) is Verdict.VALID, "the person still has the file"


@ONE_DATABASE
def test_images_are_purged_after_their_term(hall: TownHall) -> None:
    """DOMAIN.md §4: "The authority's own images are purged after a configured term"."""
    copy, office = issue(hall), hall.office
    own = store.add(
        office, owner_id=ME, kind="own-paper", title="trang 1", data=scans()[0], now=hall.now, by=ME
    )
    term, later = timedelta(days=30), hall.now + timedelta(days=31)
    assert store.purge_images(office, older_than=term, now=hall.now, by="system:purge") == 0
    assert store.purge_images(office, older_than=term, now=later, by="system:purge") == 1
    assert store.purge_images(office, older_than=term, now=later, by="system:purge") == 0
    assert office.blobs.exists(own.digest), "the same bytes are also in somebody's store"
    assert office.blobs.exists(copy.digest)


def test_sharing_is_the_owners_act(hall: TownHall) -> None:
    """DOMAIN.md §4: "named recipient, purpose, expiry; revocable; every access logged"."""
    copy, office, now = issue(hall), hall.office, hall.now
    shared = sharing.share(
        office, copy.item_id, owner_id=ME, recipient=SCHOOL, purpose="tuyển dụng",
        expires_at=now + timedelta(days=7), now=now, by=ME,
    )  # fmt: skip
    assert shared.code not in repr(shared)
    used = sharing.reuse(
        office, shared.code.lower(), recipient_id=SCHOOL.id, purpose="hồ sơ",
        dossier_code="H56.17.22-261123-0001", now=now, by="client:school",
    )  # fmt: skip
    assert (used.data, used.item.digest, used.item.status) == (copy.data, copy.digest, "in-force")
    (seen,) = store.accesses(office, copy.item_id, owner_id=ME)
    assert (seen.by, seen.dossier_code) == ("client:school", "H56.17.22-261123-0001")
    assert seen.grant_id == shared.grant.id

    def fails(code: str, recipient: str, when: datetime = now) -> str:
        with pytest.raises(CertifyError) as caught:
            sharing.reuse(
                office, code, recipient_id=recipient, purpose="x", now=when, by="client:school"
            )
        return caught.value.code

    assert fails(shared.code, "H56.DEMO.14797") == "grant-unknown"
    assert fails("0000-0000-0000-0000-0000", SCHOOL.id) == "grant-unknown"
    assert fails(shared.code, SCHOOL.id, now + timedelta(days=7)) == "grant-ended"
    with pytest.raises(NotFound):
        sharing.revoke(office, shared.grant.id, owner_id="citizen:038900000009", now=now, by="x:y")
    sharing.revoke(office, shared.grant.id, owner_id=ME, now=now, by=ME)
    assert fails(shared.code, SCHOOL.id) == "grant-ended"
    (grant,) = sharing.grants(office, copy.item_id, owner_id=ME, now=now)
    assert not grant.active
    assert len(store.accesses(office, copy.item_id, owner_id=ME)) == 1


@ONE_DATABASE
@pytest.mark.parametrize("days", [0, -1, 400])
def test_a_share_ends(hall: TownHall, days: int) -> None:
    """DOMAIN.md §4: a share has an "expiry"; a year at most."""
    copy = issue(hall)
    with pytest.raises(CertifyError) as caught:
        sharing.share(
            hall.office, copy.item_id, owner_id=ME, recipient=SCHOOL, purpose="x",
            expires_at=hall.now + timedelta(days=days), now=hall.now, by=ME,
        )  # fmt: skip
    assert caught.value.code == "grant-term-wrong"


@ONE_DATABASE
def test_by_code_nothing_personal(hall: TownHall) -> None:
    """DOMAIN.md §4: by code "only status, unit, kind of document and date, never the person"."""
    copy = issue(hall)
    status = verify_code(hall.office, copy.code.lower().replace("-", " "), now=hall.now)
    told = json.dumps(status.to_json(), ensure_ascii=False)
    assert "Hạc Thành" in told
    assert status.kind_name("vi") == "Bảng điểm"
    assert status.status_name("vi") == "Còn hiệu lực"
    for secret in ("Mẫu", "0388", "VD-TEST", copy.digest, "Ví Dụ", "citizen"):
        assert secret not in told
    with pytest.raises(NotFound):
        verify_code(hall.office, "0000-0000-0000-0000-0000", now=hall.now)


def signed(hall: TownHall, document: bytes, hand: tuple[str, str] | None = None) -> bytes:
    """A document signed by the unit's official, or by somebody else."""
    credential, pin = hand or (hall.person.id, PIN)
    given = activation.authorize(
        hall.office.desk, credential_id=credential, pin=pin,
        digests=[document_digest(document)], client="client:test", now=hall.now, by=BY,
    )  # fmt: skip
    request = SignatureRequest(level=Level.B_LTA)
    return sign_pdf(
        hall.office.desk, document, request, authorization=given, now=hall.now, by=BY
    ).data


def drafted(hall: TownHall, copy: CertifiedCopy) -> bytes:
    return draft(
        hall.office, copy.copy_id, number="131/QĐ-UBND", reason="sai số trang",
        holder_id=hall.person.holder_id, now=hall.now,
    )  # fmt: skip


def decision(hall: TownHall, copy: CertifiedCopy) -> bytes:
    """The decision to cancel a copy, signed by who may decide."""
    return signed(hall, drafted(hall, copy))


def test_cancelling_and_replacing(hall: TownHall) -> None:
    """DOMAIN.md §4: "Verification then says: *signature valid, copy cancelled*"."""
    office, now = hall.office, hall.now
    copy = issue(hall)
    store.fetch(office, copy.item_id, owner_id=ME, purpose="tải về", now=now, by=ME)
    order = Decision("131/QĐ-UBND", local(now).date(), "sai số trang", "Lê Văn Thử")
    with pytest.raises(CertifyError) as caught:
        cancellation.cancel(
            office, copy.copy_id, order, signed_decision=(DEMO / "decision.pdf").read_bytes(),
            now=now, by=BY,
        )  # fmt: skip
    assert caught.value.code == "decision-not-signed"
    text = drafted(hall, copy)
    for paper, expected in (
        (signed(hall, (DEMO / "decision.pdf").read_bytes()), "decision-about-another-copy"),
        (copy.data, "decision-about-another-copy"),  # signed by the right person, and no decision
        (signed(hall, text, (hall.seal.id, SEAL_PIN)), "decision-signer-not-competent"),
    ):
        with pytest.raises(CertifyError) as caught:
            cancellation.cancel(office, copy.copy_id, order, signed_decision=paper, now=now, by=BY)
        assert caught.value.code == expected
    done = cancellation.cancel(
        office, copy.copy_id, order, signed_decision=decision(hall, copy), now=now, by=BY
    )
    assert done.fetched_by == (ME,)
    report, status = verify_file(office, copy.data, now=now)
    assert report.passed
    assert status is not None
    assert status.status is CopyStatus.CANCELLED
    assert status.cancellation_number == "131/QĐ-UBND"
    assert verdict(report, status) is Verdict.INVALID
    (line,) = entries(office, unit=UNIT, year=now.year)
    assert "131/QĐ-UBND" in line.notes
    with pytest.raises(CertifyError) as caught:
        cancellation.cancel(
            office, copy.copy_id, order, signed_decision=decision(hall, copy), now=now, by=BY
        )
    assert caught.value.code == "copy-not-in-force"
    better = issue(hall)
    cancellation.replace(office, copy.copy_id, by_copy=better.copy_id, now=now, by=BY)
    status = verify_code(office, copy.code, now=now)
    assert (status.status, status.replaced_by) == (CopyStatus.REPLACED, better.code)
    with pytest.raises(CertifyError):
        cancellation.replace(office, better.copy_id, by_copy=copy.copy_id, now=now, by=BY)
    assert audit.verify(office.database).ok


@ONE_DATABASE
def test_export_everything(hall: TownHall) -> None:
    """ "Export everything"; each document given out is a look that is logged."""
    copy = issue(hall)
    given = list(store.export(hall.office, owner_id=ME, now=hall.now, by=ME))
    assert [(item.id, data) for item, data in given] == [(copy.item_id, copy.data)]
    assert len(store.accesses(hall.office, copy.item_id, owner_id=ME)) == 1


@ONE_DATABASE
def test_a_foreign_file_has_no_status(hall: TownHall) -> None:
    """A file we did not issue gets the report on its signatures and nothing else."""
    report, status = verify_file(
        hall.office, signed(hall, (DEMO / "decision.pdf").read_bytes()), now=hall.now
    )
    assert report.passed
    assert status is None
    nothing, _ = verify_file(hall.office, b"%PDF-1.7\n", now=hall.now)
    assert verdict(nothing, None) is not Verdict.VALID
    assert verification.verdict(report, status) is Verdict.VALID
