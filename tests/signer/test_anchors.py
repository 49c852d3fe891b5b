"""Anchors believed on terms: the file that names them, and what a verdict makes of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.trust import TrustStore, fingerprint
from ca.trust_file import TrustFileError, load_trust
from records.errors import LANGUAGES
from signer.verdicts.report import Report
from signer.verdicts.sandbox import shared_pool
from signer.verdicts.validation import validate
from tests.signed_samples import MINUTE, pki, signed
from tests.small_pki import SIGNED_AT, SmallPki

NOW = SIGNED_AT + 30 * MINUTE


def written(folder: Path, **anchor: object) -> Path:
    """A trust file that pins the sample hierarchy's root."""
    made = pki()
    (folder / "root.cer").write_bytes(made.root.der)
    (folder / "issuing.pem").write_bytes(made.issuing.certificate.public_bytes(Encoding.PEM))
    row = {
        "name": "TEST national root",
        "kind": "national-public",
        "file": "root.cer",
        "sha256": fingerprint(made.root.certificate).upper(),
        "purposes": ["signatures", "time-stamps"],
    }
    row |= anchor
    helping = {"file": "issuing.pem", "sha256": fingerprint(made.issuing.certificate)}
    content = {
        "version": 1,
        "anchors": [{key: value for key, value in row.items() if value is not None}],
        "intermediates": [helping],
    }
    path = folder / "trust.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def judged(path: Path) -> Report:
    return validate(signed("LTA"), trust=load_trust(path).store, now=NOW)


def codes(report: Report) -> set[str]:
    return {one.code for signature in report.signatures for one in signature.findings}


def test_a_pinned_anchor_is_named_in_the_report(tmp_path: Path) -> None:
    """Issue: anchors configured and pinned by SHA-256; the report says which one it was."""
    path = written(tmp_path)
    report = judged(path)
    assert report.passed
    assert "TEST national root" in report.to_text("vi")
    # In the confined process too.
    again = shared_pool().validate(signed("LTA"), trust=load_trust(path).store, now=NOW)
    assert again.passed
    assert codes(again) == codes(report) == {"validation-trusted-by"}


def test_purposes_and_dates_bind(tmp_path: Path) -> None:
    """EN 319 102-1 §5.2.6: an anchor counts for what it is trusted for, when it is trusted."""
    report = judged(written(tmp_path, purposes=["time-stamps"]))
    assert not report.passed
    assert "validation-anchor-purpose" in codes(report)
    assert all(one.indication.value == "TOTAL_PASSED" for one in report.timestamps)
    # Without anybody to believe the time-stamps by, the signature is as good as not stamped.
    assert (
        judged(written(tmp_path, purposes=["signatures"])).signatures[0].best_signature_time is None
    )
    # Withdrawn before the signature: not believed. Withdrawn afterwards: it still counts.
    day = SIGNED_AT.date()
    before = judged(written(tmp_path, until=day - dt.timedelta(days=1)))
    assert not before.passed
    assert "validation-anchor-dates" in codes(before)
    store = load_trust(written(tmp_path, until=day + dt.timedelta(days=300))).store
    made = pki()
    later = SIGNED_AT + dt.timedelta(days=400)
    fresh = made.evidence(made.tsa, at=later)
    report = validate(signed("LTA"), trust=store, now=later, revocation=fresh)
    assert "validation-anchor-dates" in {
        one.code for stamp in report.timestamps for one in stamp.findings
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sha256": "0" * 64}, "anchor-not-pinned"),
        ({"sha256": None}, "trust-pin-missing"),
        ({"kind": "friend"}, "trust-anchor-kind"),
        ({"purposes": []}, "trust-anchor-purposes"),
        ({"purposes": ["everything"]}, "trust-anchor-purposes"),
        ({"from": dt.date(2030, 1, 1), "until": dt.date(2029, 1, 1)}, "trust-anchor-dates"),
        ({"from": dt.date(2099, 1, 1)}, "trust-anchor-dates-outside"),
        ({"colour": "red"}, "trust-file-key"),
        ({"name": ""}, "trust-file-missing"),
        ({"file": "issuing.pem", "sha256": "issuing"}, "trust-anchor-and-intermediate"),
    ],
)
def test_contradictions_are_refused_in_plain_words(
    tmp_path: Path, change: dict[str, object], code: str
) -> None:
    """DESIGN §3.8: contradictory settings refuse to start, in plain words."""
    if change.get("sha256") == "issuing":
        change = {**change, "sha256": fingerprint(pki().issuing.certificate)}
    with pytest.raises(Exception) as caught:
        load_trust(written(tmp_path, **change))
    assert caught.value.code == code
    for language in LANGUAGES:
        assert "{" not in caught.value.message(language)


@pytest.mark.parametrize("text", ["", "- a", "version: 2", "version: 1\nanchors: x", "a: [", "\0"])
def test_a_file_that_is_something_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(TrustFileError):
        load_trust(path)


def test_leaf_certificates_are_no_anchors(tmp_path: Path) -> None:
    made = SmallPki("OTHER")
    path = written(tmp_path)
    (tmp_path / "root.cer").write_bytes(made.official.der)
    text = path.read_text("utf-8").replace(
        fingerprint(pki().root.certificate).upper(), fingerprint(made.official.certificate)
    )
    path.write_text(text, "utf-8")
    with pytest.raises(TrustFileError) as caught:
        load_trust(path)
    assert caught.value.code == "trust-anchor-not-ca"


def test_own_terms_come_first(tmp_path: Path) -> None:
    configured = load_trust(written(tmp_path)).store
    own = TrustStore((pki().root.certificate,))
    assert own.and_also(configured).terms == {}
    assert configured.and_also(own).terms == configured.terms
    assert isinstance(configured.anchors[0], x509.Certificate)
