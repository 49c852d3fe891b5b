"""Documents that stay with their owner: a detached signature and a digest are all there is."""

from __future__ import annotations

import hashlib

import pytest

from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication, SubIndication, Weight
from tests.signer.signed_files import REPORT, Official
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def _asked(world: World, data: bytes, **digests: bytes) -> Report:
    known = DocumentDigests({"": digests})
    return validate(data, trust=world.trust, now=world.now, digests=known)


def test_an_archive_time_stamp_over_the_octets_counts_for_nothing(world: World) -> None:
    """EN 319 132-1, 5.5.2.2: its imprint takes in "the data objects" themselves, so a digest is not
    enough; EN 319 102-1, 5.6.3: a time-stamp that cannot be judged gives no proof of existence."""
    data = Official.of(world).sign(FileRequest(Format.XADES_DETACHED, level=Level.B_LTA)).data
    report = _asked(world, data, sha256=hashlib.sha256(REPORT.data).digest())
    assert report.passed
    (signature,) = report.signatures
    assert signature.level == "XAdES-BASELINE-LT"
    told = {one.code: one.weight for one in signature.findings}
    assert told["validation-archive-not-compared"] is Weight.WARNS
    (archive,) = [one for one in report.timestamps if one.covers_file]
    assert archive.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
    assert "chưa đối chiếu được" in report.to_text("vi")
    assert "was not compared" in report.to_text("en")
    whole = validate(data, trust=world.trust, now=world.now, content=REPORT.data)
    assert whole.passed
    assert whole.signatures[0].level == "XAdES-BASELINE-LTA"


def test_an_archive_time_stamp_over_a_digest_is_judged(world: World) -> None:
    """EN 319 122-1, 5.5.3: the imprint of archive-time-stamp-v3 takes in the digest alone."""
    data = Official.of(world).sign(FileRequest(Format.CADES_DETACHED, level=Level.B_LTA)).data
    report = _asked(world, data, sha256=hashlib.sha256(REPORT.data).digest())
    assert report.passed
    assert report.signatures[0].level == "CAdES-BASELINE-LTA"


@pytest.mark.parametrize("chosen", [Format.XADES_DETACHED, Format.CADES_DETACHED])
def test_another_digest_is_another_document(world: World, chosen: Format) -> None:
    """EN 319 102-1, 5.2.7: HASH_FAILURE; and SIGNED_DATA_NOT_FOUND where only another digest
    than the signature's was given."""
    data = Official.of(world).sign(FileRequest(chosen, level=Level.B_LTA)).data
    wrong = _asked(world, data, sha256=hashlib.sha256(b"another").digest())
    assert wrong.indication is Indication.TOTAL_FAILED
    assert wrong.sub_indication is SubIndication.HASH_FAILURE
    other = _asked(world, data, sha512=hashlib.sha512(REPORT.data).digest())
    assert other.indication is Indication.INDETERMINATE
    assert other.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
