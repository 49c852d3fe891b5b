"""Evidence records (RFC 4998): the tree, the octets, both renewals, documents that outlive them."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from ca.status import crl
from records.blobs import BlobStore
from records.database import Database
from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.long_life import evidence_renewal, evidence_store
from signer.long_life.augmentation import augment
from signer.long_life.evidence_records import Evidence
from signer.long_life.evidence_syntax import EvidenceRecord
from signer.long_life.hash_tree import HashTree, hashed, node, root_of
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from tests.eras import YEAR, Eras, patient_policy
from tests.interop import maven_judges
from tests.signer.signed_files import Official
from tests.small_pki import SIGNED_AT
from tests.world import BY, World

HOUR = dt.timedelta(hours=1)


def digests(count: int) -> list[bytes]:
    return [hashlib.sha256(bytes([one])).digest() for one in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_every_document_leads_to_the_root(count: int) -> None:
    """RFC 4998 §4.3: hash the sorted list, add the result to the next one, to the end."""
    tree = HashTree.over([[one] for one in digests(count)], "sha256")
    for place, one in enumerate(digests(count)):
        lists = tree.reduced(place)
        if count == 1:
            assert lists == ()
            assert tree.root == one
        else:
            assert one in lists[0]
            assert root_of(lists, "sha256") == tree.root


def test_a_data_group_is_hashed_first() -> None:
    """RFC 4998 §4.2, steps 3 and 4: H(sorted a, b, c) is one value beside the others."""
    one, a, b, c = digests(4)
    tree = HashTree.over([[one], [c, a, b]], "sha256")
    group = hashed(b"".join(sorted([a, b, c])), "sha256")
    assert tree.root == hashed(b"".join(sorted([one, group])), "sha256")
    assert tree.reduced(1) == (tuple(sorted([a, b, c])), (one,))
    assert tree.reduced(0) == (tuple(sorted([one, group])),)
    assert node([one], "sha256") == one


def archived(eras: Eras, now: dt.datetime, text: str = "Quyet dinh") -> bytes:
    return augment(eras.desk, eras.signed(now, text), to=Level.B_LTA, now=now, by=BY)


def test_documents_outlive_certificates_and_digests(database: Database, blobs: BlobStore) -> None:
    """Signed 2026; time-stamps renewed 2030; SHA-256 ends 2036 and every tree is made anew in 2035;
    in 2045 all of it still passes, with one token for many documents each time."""
    eras, policy = Eras(database, blobs), patient_policy(2036)
    desk, signed_at = eras.desk, SIGNED_AT
    documents = [archived(eras, signed_at, f"Quyet dinh so {one}") for one in range(3)]
    names = [desk.blobs.put(one) for one in documents]
    eras.stamped = 0

    # 2026, the night after: one token, said twice, and one more document the next day.
    for _ in range(2):
        made = evidence_store.protect(desk, names[:2], now=signed_at + HOUR, by=BY)
    assert eras.stamped == 1
    assert made.documents == 0
    evidence_store.protect(desk, names, now=signed_at + 24 * HOUR, by=BY)
    assert eras.stamped == 2
    assert evidence_store.coverage(desk) == (3, 2)
    assert evidence_store.evidence_of(desk, "00" * 32) is None

    def passes(when: dt.datetime, number: int = 0) -> bool:
        evidence = evidence_store.evidence_of(desk, names[number])
        report = validate(
            documents[number], trust=eras.trust, now=when, policy=policy,
            revocation=eras.fresh(when), evidence=evidence,
        )  # fmt: skip
        return report.passed

    assert passes(signed_at + YEAR)
    assert not validate(
        documents[0], trust=eras.trust, now=signed_at + 6 * YEAR, policy=policy
    ).passed

    # Each time before the unit's certificate ends: time-stamps over time-stamps.
    moment = signed_at + 4.7 * YEAR
    eras.unit(moment)
    before = eras.stamped
    done = evidence_renewal.renew(desk, now=moment, by=BY, policy=policy)
    assert (done.trees, done.time_stamps, done.waiting) == (2, 1, 0)
    assert eras.stamped == before + 1
    assert evidence_renewal.renew(desk, now=moment, by=BY, policy=policy).trees == 0
    assert passes(moment + HOUR)
    assert passes(moment + HOUR, 2)

    # Before SHA-256 ends: the documents are hashed anew; one was purged meanwhile.
    moment = signed_at + 8.7 * YEAR
    eras.unit(moment)
    desk.blobs.delete(names[1])
    done = evidence_renewal.renew(desk, now=moment, by=BY, policy=policy)
    assert (done.documents, done.time_stamps, done.absent) == (2, 2, (names[1],))
    record = EvidenceRecord.read(evidence_store.evidence_of(desk, names[0]).record)
    assert [len(chain) for chain in record.chains] == [2, 1]
    assert [chain[0].algorithm for chain in record.chains] == ["sha256", "sha384"]

    for year in (12.7, 16.7, 18.9):
        moment = signed_at + year * YEAR
        eras.unit(moment)
        evidence_renewal.renew(desk, now=moment, by=BY, policy=policy)
    moment = dt.datetime(2045, 11, 23, tzinfo=dt.UTC)
    assert passes(moment)
    assert passes(moment, 2)
    assert not passes(moment, 1)


def test_what_is_not_a_proof_of_this_file_proves_nothing(
    database: Database, blobs: BlobStore
) -> None:
    """EN 319 102-1 §5.6.2.4: a record that is broken or of something else gives no proof; the file
    is judged as if it were not there, and the report says why."""
    if database.dialect != "sqlite":
        pytest.skip("nothing of this is stored")
    eras = Eras(database, blobs)
    one, other = (archived(eras, SIGNED_AT, text) for text in ("mot", "hai"))
    names = [eras.desk.blobs.put(each) for each in (one, other)]
    evidence_store.protect(eras.desk, names[:1], now=SIGNED_AT + HOUR, by=BY)
    proof = evidence_store.evidence_of(eras.desk, names[0])
    assert proof is not None
    now = SIGNED_AT + 2 * YEAR

    def judged(data: bytes, evidence: Evidence) -> Report:
        return validate(
            data, trust=eras.trust, now=now, policy=patient_policy(), evidence=evidence,
            revocation=eras.fresh(now),
        )  # fmt: skip

    def told(data: bytes, evidence: Evidence) -> set[str]:
        return {each.code for each in judged(data, evidence).findings}

    assert told(one, proof) == {"evidence-since"}
    assert told(one, replace(proof, companions=())) == {"evidence-since", "evidence-of-more"}
    assert told(other, proof) == {"evidence-about-something-else"}
    assert told(one, replace(proof, companions=(b"x",))) == {"evidence-about-something-else"}
    # Whatever octet is flipped: the record proves nothing, or (where it lay in what nobody signs,
    # such as the status beside a token) exactly what it proved before.
    since = (SIGNED_AT + HOUR).isoformat()
    nothing = {"evidence-damaged", "evidence-about-something-else", "evidence-not-believed"}
    step = len(proof.record) // 40
    for place in range(7, len(proof.record), step):
        spoilt = bytearray(proof.record)
        spoilt[place] ^= 0x41
        report = judged(one, replace(proof, record=bytes(spoilt)))
        found = {each.code: each.params.get("time") for each in report.findings}
        assert found.keys() & nothing or found == {"evidence-since": since}


def test_a_record_about_any_kind_of_signed_file(world: World) -> None:
    """EN 319 102-1 §5.6.2.4 for CAdES and XAdES: as old as the record says, whatever the format."""
    if world.database.dialect != "sqlite":
        pytest.skip("nothing of this depends on the database")
    official = Official.of(world)
    later = world.now + HOUR
    lists = [crl.current(world.authority, one.name) for one in world.authority.issuers()]
    for form in (Format.CADES_ENVELOPING, Format.XADES_ENVELOPED):
        data = official.sign(FileRequest(format=form, level=Level.B_B)).data
        evidence_store.protect(world.desk, [hashlib.sha256(data).hexdigest()], now=later, by=BY)
        proof = evidence_store.evidence_of(world.desk, hashlib.sha256(data).hexdigest())
        report = validate(
            data, trust=world.trust, now=later, revocation=[one for one in lists if one],
            evidence=proof,
        )  # fmt: skip
        assert report.signatures[0].best_signature_time == later
        assert "evidence-since" in {one.code for one in report.findings}
        assert [one.field for one in report.timestamps] == ["evidence-record"]


def test_outside_judges_agree(world: World, tmp_path: Path) -> None:
    """EU DSS and BouncyCastle read our record: every object found, the time-stamp believed."""
    reason = maven_judges.why_absent("dss")
    if reason is not None or world.database.dialect != "sqlite":
        pytest.skip(reason or "one database is enough for the judges")
    data = [f"quyết định {number}".encode() for number in range(5)]
    names = [world.blobs.put(one) for one in data]
    evidence_store.protect(world.desk, names, now=world.now, by=BY)
    evidence = evidence_store.evidence_of(world.desk, names[3])
    assert evidence is not None
    record, *objects = (tmp_path / name for name in ("record.ers", "document.bin", "status.p7c"))
    for path, value in zip(
        (record, *objects), (evidence.record, data[3], *evidence.companions), strict=True
    ):
        path.write_bytes(value)
    verdict = maven_judges.evidence(record, objects, trust=[world.certificates(tmp_path)["root"]])
    assert verdict.found == 2
    assert (verdict.indication, verdict.messages) == ("PASSED", "[]")
