"""A decision of 2026 in a court of 2045: every certificate of its time has ended.

Renewed each time before the newest time-stamp ends: the file itself takes
one more document time-stamp, the copies given away an evidence record (docs/flows/long-life.md).
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509

from records.blobs import BlobStore
from records.database import Database
from signer.levels import Level
from signer.long_life import evidence_renewal, evidence_store
from signer.long_life.augmentation import augment
from signer.long_life.preview import Answer, preview
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication
from tests.api.conftest import ONLY_SQLITE
from tests.eras import YEAR, Eras, patient_policy
from tests.small_pki import SIGNED_AT
from tests.world import BY

COURT = dt.datetime(2045, 11, 23, 2, 0, tzinfo=dt.UTC)


@ONLY_SQLITE
def test_a_decision_in_court_in_2045(database: Database, blobs: BlobStore) -> None:
    """Issue: signed today, renewed, valid in twenty years with the certificates long expired."""
    eras, policy = Eras(database, blobs), patient_policy()

    def judged(data: bytes, when: dt.datetime, **more: object) -> Indication:
        fresh = eras.fresh(when)
        return validate(
            data, trust=eras.trust, now=when, policy=policy, revocation=fresh, **more,  # type: ignore[arg-type]  # evidence
        ).indication  # fmt: skip

    # 1. Signed by an official in 2026, raised from B-T to the archival level the same day.
    decision = eras.signed(SIGNED_AT)
    archived = augment(eras.desk, decision, to=Level.B_LTA, now=SIGNED_AT, by=BY)
    assert judged(archived, SIGNED_AT) is Indication.TOTAL_PASSED
    # A copy is given away; nobody can add anything to it. The house keeps its digest only.
    name = eras.desk.blobs.put(archived)
    evidence_store.protect(eras.desk, [name], now=SIGNED_AT + dt.timedelta(hours=9), by=BY)
    eras.desk.blobs.delete(name)

    # 2. What must be done to have it in 2045? One renewal for each time-stamp unit's life.
    seen = preview(
        archived, at=COURT, now=SIGNED_AT + YEAR, trust=eras.trust, policy=policy,
    )  # fmt: skip
    assert seen.answer is Answer.WITH_RENEWALS
    assert len(seen.steps) == 4

    # 3. Left alone, it cannot be judged once its authorities have gone.
    assert judged(archived, COURT) is Indication.INDETERMINATE

    # 4. Renewed in 2031, 2035, 2039 and 2043; each file grows out of the one before.
    renewed = archived
    for year in (4.6, 8.6, 12.6, 16.6):
        moment = SIGNED_AT + year * YEAR
        eras.unit(moment)
        before, renewed = renewed, augment(eras.desk, renewed, to=Level.B_LTA, now=moment, by=BY)
        assert renewed.startswith(before)
        assert judged(renewed, moment) is Indication.TOTAL_PASSED
        evidence_renewal.renew(eras.desk, now=moment, by=BY, policy=policy)

    # 5. The court: every certificate but the root's and those of the last years has ended.
    official = validate(renewed, trust=eras.trust, now=COURT, policy=policy).signatures[0]
    assert official.signer_certificate is not None
    ended = x509.load_der_x509_certificate(official.signer_certificate).not_valid_after_utc
    assert ended.year == 2031
    assert judged(renewed, COURT) is Indication.TOTAL_PASSED
    evidence = evidence_store.evidence_of(eras.desk, name)
    assert judged(archived, COURT, evidence=evidence) is Indication.TOTAL_PASSED
    report = validate(
        renewed, trust=eras.trust, now=COURT, policy=policy, revocation=eras.fresh(COURT)
    )
    assert report.signatures[0].best_signature_time == SIGNED_AT
    assert report.signatures[0].level == "PAdES-BASELINE-LTA"
    assert len([one for one in report.timestamps if one.covers_file]) == 5
