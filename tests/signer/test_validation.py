"""The verdicts of EN 319 102-1 on documents made by somebody else's signer (stock pyHanko)."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko.sign import fields

from ca.trust import TrustStore
from signer.verdicts.report import Changes, Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication, SubIndication
from tests import pyhanko_judge
from tests.signed_samples import (
    MINUTE,
    add_dss,
    document_timestamp,
    pki,
    plain_pdf,
    raised,
    sign,
    signed,
)
from tests.small_pki import DAY, SIGNED_AT, Party, SmallPki, issue, rsa_key

NOW = SIGNED_AT + 30 * MINUTE
LEVELS = ("B", "T", "LT", "LTA")


def trust(made: SmallPki | None = None) -> TrustStore:
    return TrustStore(((made or pki()).root.certificate,))


def judged(
    data: bytes,
    *,
    now: dt.datetime = NOW,
    evidence: list[bytes] | None = None,
    made: SmallPki | None = None,
) -> Report:
    return validate(data, trust=trust(made), now=now, revocation=evidence or ())


def fresh(made: SmallPki, at: dt.datetime, *parties: Party) -> list[bytes]:
    return made.evidence(*(parties or (made.official, made.agency, made.tsa)), at=at)


def codes(report: Report) -> set[str]:
    found = [*report.findings]
    for one in (*report.signatures, *report.timestamps):
        found += one.findings
    return {finding.code for finding in found}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("signatures", [1, 2, 3])
def test_untouched_documents_pass_at_every_level(level: str, signatures: int) -> None:
    """0 of the untouched documents, at any level, refused."""
    evidence = fresh(pki(), NOW) if level in ("B", "T") else None
    report = judged(signed(level, signatures), evidence=evidence)
    assert report.passed, report.to_text("en")
    assert [one.level for one in report.signatures] == [f"PAdES-BASELINE-{level}"] * signatures
    assert report.signatures[-1].covers_whole_file == (level in ("B", "T"))
    assert all(one.changes is not Changes.NOT_ALLOWED for one in report.signatures)


@pytest.mark.parametrize("level", ["B", "T"])
def test_missing_revocation_data_is_never_passed(level: str) -> None:
    """EN 319 102-1, 5.2.6.4: without revocation status the result is INDETERMINATE/TRY_LATER."""
    report = judged(signed(level))
    assert report.indication is Indication.INDETERMINATE
    assert report.sub_indication is SubIndication.TRY_LATER
    assert "validation-revocation-missing" in codes(report)


def test_stale_revocation_data_are_not_enough() -> None:
    """EN 319 102-1, 5.2.5: data past their nextUpdate say nothing about the present."""
    data = signed("B")
    report = judged(data, now=NOW + 3 * DAY, evidence=fresh(pki(), NOW))
    assert report.sub_indication is SubIndication.TRY_LATER
    assert "validation-revocation-stale" in codes(report)


def test_person_then_seal_then_archive_data() -> None:
    """The sequence of our own signer: signature, seal, DSS, document time-stamps."""
    made = pki()
    data = sign(plain_pdf(2), made, made.official, "Person", SIGNED_AT, box=(300, 100, 450, 180))
    data = sign(data, made, made.agency, "Seal", SIGNED_AT + MINUTE, box=(250, 90, 350, 190))
    data = add_dss(data, made, [made.official, made.agency, made.tsa], SIGNED_AT + 2 * MINUTE)
    data = document_timestamp(data, made, SIGNED_AT + 3 * MINUTE, "Archive1")
    data = document_timestamp(data, made, SIGNED_AT + 4 * MINUTE, "Archive2")
    report = judged(data)
    assert report.passed, report.to_text("en")
    assert [one.level for one in report.signatures] == ["PAdES-BASELINE-LTA"] * 2
    assert [one.changes for one in report.signatures] == [
        Changes.PERMITTED,
        Changes.ARCHIVE_DATA_ONLY,
    ]


def test_best_signature_time_is_the_time_stamp() -> None:
    """EN 319 102-1, 5.5.4: the best-signature-time is the genTime of the signature time-stamp."""
    one = judged(signed("LTA")).signatures[0]
    assert one.signing_time == SIGNED_AT
    assert one.best_signature_time == SIGNED_AT + dt.timedelta(seconds=1)
    assert judged(signed("B"), evidence=fresh(pki(), NOW)).signatures[0].best_signature_time is None


def test_archive_outlives_the_signing_certificate() -> None:
    """EN 319 102-1, 5.6: past validation by proofs of existence after the certificate's end."""
    later = SIGNED_AT + 800 * DAY
    assert later > pki().official.certificate.not_valid_after_utc
    data = signed("LTA", 2)
    report = judged(data, now=later, evidence=fresh(pki(), later, pki().tsa))
    assert report.passed, report.to_text("en")
    without = judged(data, now=later)
    assert without.sub_indication is SubIndication.OUT_OF_BOUNDS_NO_POE
    assert without.timestamps[-1].sub_indication is SubIndication.TRY_LATER, "status unknown"
    unproven = judged(signed("B"), now=later, evidence=fresh(pki(), later))
    assert unproven.sub_indication is SubIndication.OUT_OF_BOUNDS_NO_POE


def test_archive_renewed_outlives_the_tsa() -> None:
    """EN 319 142-1, 5.5: each document time-stamp is proven by the next."""
    made = pki()
    then = SIGNED_AT + 1000 * DAY
    data = add_dss(signed("LTA", 1), made, [made.tsa], then)
    data = document_timestamp(data, made, then + MINUTE, "Archive2")
    renewed = SmallPki.__new__(SmallPki)
    renewed.__dict__.update(made.__dict__)
    renewed.tsa = issue(
        "TEST TSA 2",
        rsa_key("tsa2", 3072),
        made.issuing,
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        key_usage=("digital_signature",),
        not_before=then,
        not_after=then + 400 * DAY,
    )
    data = add_dss(data, made, [made.tsa], then + 2 * MINUTE)
    data = document_timestamp(data, renewed, then + 3 * MINUTE, "Archive3")
    end = made.tsa.certificate.not_valid_after_utc + 10 * DAY
    report = judged(data, now=end, evidence=fresh(made, end, renewed.tsa))
    assert report.passed, report.to_text("en")
    assert report.signatures[0].level == "PAdES-BASELINE-LTA"
    assert report.signatures[0].best_signature_time == SIGNED_AT + dt.timedelta(seconds=1)


def test_revoked_before_the_proven_time() -> None:
    """EN 319 102-1, 5.5.4: revoked and no proof of existence before: REVOKED_NO_POE."""
    made = replace(pki(), revoked={})
    made.revoke(made.official, SIGNED_AT - DAY)
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "LT")
    report = judged(data, made=made)
    assert report.sub_indication is SubIndication.REVOKED_NO_POE


def test_revoked_after_the_proven_time_still_passes() -> None:
    """EN 319 102-1, 5.5.4: a time-stamp older than the revocation saves the signature."""
    made = replace(pki(), revoked={})
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "T")
    made.revoke(made.official, SIGNED_AT + 10 * MINUTE)
    report = judged(data, made=made, evidence=fresh(made, NOW))
    assert report.passed, report.to_text("en")
    bare = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "B")
    assert judged(bare, made=made, evidence=fresh(made, NOW)).sub_indication is (
        SubIndication.REVOKED_NO_POE
    )


def test_suspended_certificate_is_an_open_question() -> None:
    """EN 319 102-1, 5.2.6.4: certificateHold leads to TRY_LATER."""
    made = replace(pki(), revoked={})
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "B")
    made.revoke(made.official, SIGNED_AT - DAY, x509.ReasonFlags.certificate_hold)
    report = judged(data, made=made, evidence=fresh(made, NOW))
    assert report.sub_indication is SubIndication.TRY_LATER
    assert "validation-suspended" in codes(report)


def test_revoked_time_stamping_authority_proves_nothing() -> None:
    """EN 319 102-1, 5.4: a time-stamp whose certificate was revoked before is not a proof."""
    made = replace(pki(), revoked={})
    made.revoke(made.tsa, SIGNED_AT - DAY)
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "LTA")
    report = judged(data, made=made)
    assert report.signatures[0].best_signature_time is None
    assert all(one.indication is not Indication.TOTAL_PASSED for one in report.timestamps)


def test_unknown_authority_has_no_chain() -> None:
    """EN 319 102-1, 5.2.6.4: no path to a trust anchor: NO_CERTIFICATE_CHAIN_FOUND."""
    report = validate(signed("LTA", 2), trust=trust(SmallPki("OTHER")), now=NOW)
    assert report.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND


def test_same_names_other_keys_are_not_trusted() -> None:
    """Anchors are certificates, not names: a look-alike hierarchy leads nowhere."""
    fake = SmallPki()
    fake.root = issue("TEST Root", rsa_key("fake-root"), None, ca=True)
    fake.issuing = issue("TEST Issuing", rsa_key("fake-issuing"), fake.root, ca=True)
    fake.official = issue("Nguyễn Thị Mẫu", rsa_key("fake-official"), fake.issuing)
    fake.tsa = issue(
        "TEST TSA",
        rsa_key("fake-tsa"),
        fake.issuing,
        purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
        key_usage=("digital_signature",),
    )
    data = raised(plain_pdf(), fake, fake.official, 1, SIGNED_AT, "LTA")
    assert judged(data).sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.parametrize(
    ("name", "how", "expected"),
    [
        ("tsa", {"purposes": (ExtendedKeyUsageOID.TIME_STAMPING,)}, "CHAIN_CONSTRAINTS_FAILURE"),
        ("web", {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)}, "CHAIN_CONSTRAINTS_FAILURE"),
        ("ocsp", {"purposes": (ExtendedKeyUsageOID.OCSP_SIGNING,)}, "CHAIN_CONSTRAINTS_FAILURE"),
        ("cipher", {"key_usage": ("key_encipherment",)}, "CHAIN_CONSTRAINTS_FAILURE"),
        ("not yet", {"not_before": SIGNED_AT + DAY}, "NOT_YET_VALID"),
        ("expired", {"not_after": SIGNED_AT - DAY}, "OUT_OF_BOUNDS_NO_POE"),
    ],
)
def test_certificates_that_may_not_sign(name: str, how: dict[str, object], expected: str) -> None:
    """EN 319 102-1, 5.2.6 and 5.2.8: purpose, algorithms and period of the certificate."""
    made = pki()
    party = issue(f"TEST {name}", rsa_key("wrong"), made.issuing, **how)  # type: ignore[arg-type]  # one table
    data = raised(plain_pdf(), made, party, 1, SIGNED_AT, "LT")
    assert judged(data).sub_indication == expected


def test_short_keys_are_refused() -> None:
    """TS 119 312: RSA below 2048 bits cannot be believed in 2026."""
    made = pki()
    party = issue("TEST short", rsa_key("short", 1024), made.issuing)
    data = raised(plain_pdf(), made, party, 1, SIGNED_AT, "LT")
    assert judged(data).sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE


def test_sha1_signature_is_refused() -> None:
    """TS 119 312: a SHA-1 digest of 2026 is not evidence of anything."""
    made = pki()
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "LT", digest="sha1")
    # Its time-stamp is over a SHA-1 digest too, so there is no proof of existence either.
    assert judged(data).sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


def test_end_entity_cannot_issue() -> None:
    """RFC 5280, 6.1.4 (k): an issuer that is not a CA makes no path."""
    made = pki()
    party = issue("TEST child", rsa_key("child"), made.official)
    data = raised(plain_pdf(), made, party, 1, SIGNED_AT, "LT")
    assert judged(data).sub_indication is SubIndication.CHAIN_CONSTRAINTS_FAILURE


def test_answers_of_a_false_responder_are_not_heard() -> None:
    """RFC 6960, 4.2.2.2: a delegate is issued directly by the CA it speaks for."""
    made = pki()
    false = issue(
        "TEST OCSP",
        rsa_key("false-ocsp"),
        SmallPki("OTHER").issuing,
        purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
        extra=((x509.OCSPNoCheck(), False),),
    )
    answers = [
        made.ocsp(party, NOW, responder=false).public_bytes(Encoding.DER)
        for party in (made.official, made.tsa)
    ]
    crl = made.crl(made.root, NOW).public_bytes(Encoding.DER)
    report = judged(signed("T"), evidence=[crl, *answers])
    assert report.sub_indication is SubIndication.TRY_LATER


def test_pss_and_adobe_signatures_pass() -> None:
    """RSASSA-PSS (RFC 4055) and the older adbe.pkcs7.detached are understood."""
    made = pki()
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "LT", pss=True)
    assert judged(data).passed
    adobe = fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "LT", subfilter=adobe)
    report = judged(data)
    assert report.passed, report.to_text("en")
    assert report.signatures[0].level == "PKCS7-LT"


def test_claimed_time_seven_hours_ahead_is_only_warned_of() -> None:
    """DOMAIN.md: some tools write local time as UTC; the time-stamp counts."""
    made = replace(pki())
    claimed = SIGNED_AT + dt.timedelta(hours=7)
    data = sign(plain_pdf(), made, made.official, "Sig1", claimed, stamped_at=SIGNED_AT)
    report = judged(data, evidence=fresh(made, NOW))
    assert report.passed
    assert "validation-claimed-time-later" in codes(report)
    assert report.signatures[0].best_signature_time == SIGNED_AT


def test_validation_time_is_an_argument() -> None:
    """`at` judges as of another moment: before its time-stamp there is no proof yet."""
    data = signed("LTA")
    early = validate(data, trust=trust(), now=NOW, at=SIGNED_AT - DAY)
    assert early.indication is not Indication.TOTAL_PASSED
    assert early.validation_time == SIGNED_AT - DAY


def test_a_file_without_signatures() -> None:
    """No signature is not a verdict on anything: INDETERMINATE, with its own word."""
    report = judged(plain_pdf())
    assert (report.indication, report.sub_indication) == (
        Indication.INDETERMINATE,
        SubIndication.NO_SIGNATURE_FOUND,
    )
    assert report.exit_code == 2


def test_json_has_exactly_the_promised_fields() -> None:
    """The fields of `dauso validate --json`."""
    data = judged(signed("LTA", 2)).named("a.pdf").to_json()
    assert list(data) == ["file", "indication", "sub_indication", "signatures"]
    rows = data["signatures"]
    assert isinstance(rows, list)
    assert list(rows[0]) == [
        "indication",
        "sub_indication",
        "signer",
        "level",
        "signing_time",
        "best_signature_time",
        "covers_whole_file",
        "changes",
    ]
    assert json.loads(json.dumps(data)) == data
    assert rows[0]["best_signature_time"] == "2026-11-02T08:00:01Z"


@pytest.mark.parametrize("level", LEVELS)
def test_report_survives_the_pipe(level: str) -> None:
    """details() holds the whole report: it is how one leaves the limited child process."""
    report = judged(signed(level, 2)).named("a.pdf")
    again = Report.from_details(json.loads(json.dumps(report.details())))
    assert again.details() == report.details()
    assert again.to_text("vi") == report.to_text("vi")


def test_words_for_citizens() -> None:
    """The verdict in words, in both languages, with the reason and the policy."""
    vietnamese = judged(signed("T")).named("quyet-dinh.pdf").to_text("vi")
    assert vietnamese.startswith("CHƯA ĐỦ CĂN CỨ: quyet-dinh.pdf")
    assert "Không có dữ liệu cho biết chứng thư số của Nguyễn Thị Mẫu có bị thu hồi" in vietnamese
    assert "dauso 2026-3" in vietnamese
    english = judged(signed("LTA", 2)).to_text("en")
    assert "Signature 2: UBND phường Hạc Thành TEST – valid" in english


@pytest.mark.parametrize("level", ["LT", "LTA"])
def test_pyhanko_agrees_on_untouched_documents(level: str) -> None:
    """Judge: pyHanko's validator, asking for revocation data, believes what we believe."""
    data = signed(level, 2)
    assert judged(data).passed
    assert all(pyhanko_judge.judge(data, pki().root.certificate, NOW))


def test_pyhanko_agrees_on_missing_revocation_data() -> None:
    """Judge: neither passes a signature whose status nobody can tell."""
    assert not any(pyhanko_judge.judge(signed("T"), pki().root.certificate, NOW))
    assert not judged(signed("T")).passed


@pytest.mark.skipif(not shutil.which("pdfsig"), reason="poppler's pdfsig is not installed")
def test_pdfsig_counts_the_same_signatures(tmp_path: Path) -> None:
    """Judge: pdfsig finds as many signatures and believes their mathematics."""
    path = tmp_path / "a.pdf"
    path.write_bytes(signed("LTA", 2))
    said = subprocess.run(["pdfsig", str(path)], capture_output=True, text=True, check=False).stdout
    assert said.count("Signature Validation: Signature is Valid.") == 2
    assert len(judged(path.read_bytes()).signatures) == 2
