"""Trusted lists (TS 119 612): signed by whom we pinned, up to date, and true of the day."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ca.trust_file import ListSource
from signer.trust.trusted_lists import MalformedList, load_lists, read_list
from signer.verdicts.validation import validate
from tests.interop import maven_judges
from tests.signed_samples import MINUTE, pki, signed
from tests.small_pki import SIGNED_AT, Party
from tests.trusted_list_maker import GRANTED, WITHDRAWN, Service, operator, trusted_list

NOW = SIGNED_AT + 30 * MINUTE
YEAR = dt.timedelta(days=365)
EARLIER = SIGNED_AT - YEAR


def services(*states: tuple[str, dt.datetime]) -> list[Service]:
    made = pki()
    told = states or ((GRANTED, EARLIER),)
    return [
        Service("CA/QC", "TEST CA", made.issuing, told),
        Service("TSA/QTST", "TEST TSA", made.tsa, ((GRANTED, EARLIER),)),
        Service("Archiv", "TEST archive", made.root, ((GRANTED, EARLIER),)),
    ]


def source(signer: Party, **place: object) -> ListSource:
    return ListSource("VN", "foreign", "VN", (signer.certificate,), **place)  # type: ignore[arg-type]  # file or url


def test_a_service_granted_on_the_day_is_believed(tmp_path: Path) -> None:
    """The issuing CA and the TSA unit are anchors by the list alone; the root is not in it."""
    scheme = operator()
    data = trusted_list(scheme, services())
    found = read_list(data, name="VN", kind="foreign", signers=(scheme.certificate,), now=NOW)
    assert (found.number, found.territory, len(found.store.anchors)) == (7, "VN", 2)
    report = validate(signed("LTA"), trust=found.store, now=NOW)
    assert report.passed, report.to_text("en")
    (told,) = (one for one in report.signatures[0].findings if one.code == "validation-trusted-by")
    assert told.params["anchor"] == "VN: TEST provider – TEST CA"
    assert "ForeSignatures" in str(told.params["kind"])
    # xmlsec1 finds the list's signature good too.
    (tmp_path / "tsl.xml").write_bytes(data)
    (tmp_path / "operator.pem").write_bytes(scheme.certificate.public_bytes(Encoding.PEM))
    run = subprocess.run(
        [
            "xmlsec1", "--verify", "--trusted-pem", "operator.pem", "--enabled-key-data", "x509",
            "--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties", "tsl.xml",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("states", "passes"),
    [
        (((GRANTED, EARLIER), (WITHDRAWN, SIGNED_AT + MINUTE)), True),
        (((GRANTED, EARLIER), (WITHDRAWN, SIGNED_AT - MINUTE)), False),
        (((WITHDRAWN, EARLIER), (GRANTED, SIGNED_AT - MINUTE)), True),
        (((WITHDRAWN, EARLIER), (GRANTED, SIGNED_AT + MINUTE)), False),
        (((GRANTED, SIGNED_AT + MINUTE),), False),
    ],
)
def test_the_status_on_the_day_counts(
    states: tuple[tuple[str, dt.datetime], ...], passes: bool
) -> None:
    """TS 119 612 §5.5.4 and §5.6: the status in force at the best signature time."""
    scheme = operator()
    data = trusted_list(scheme, services(*states))
    found = read_list(data, name="VN", kind="foreign", signers=(scheme.certificate,), now=NOW)
    assert validate(signed("LTA"), trust=found.store, now=NOW).passed is passes


def test_whoever_else_signed_it_is_not_heard() -> None:
    """TS 119 612 §5.7: only the pinned signer, only the whole list, only unchanged."""
    scheme, other = operator(), operator("TEST Other Operator")
    good = trusted_list(scheme, services())
    tricks = {
        "another-signer": trusted_list(other, services()),
        "validation-hash": good.replace(
            b"/Svcstatus/granted", b"/Svcstatus/recognisedatnationallevel", 1
        ),
        "one-signature": b"<a/>",
    }
    for why, data in tricks.items():
        with pytest.raises(MalformedList) as caught:
            read_list(data, name="VN", kind="foreign", signers=(scheme.certificate,), now=NOW)
        assert caught.value.code == "trusted-list-signature"
        assert caught.value.params["why"] == why
    for bad in (
        trusted_list(scheme, services(), version=4),
        trusted_list(scheme, services()).replace(b"</TrustServiceStatusList>", b""),
    ):
        with pytest.raises(MalformedList):
            read_list(bad, name="VN", kind="foreign", signers=(scheme.certificate,), now=NOW)


def test_a_list_that_should_have_been_replaced_is_unknown(tmp_path: Path) -> None:
    """TS 119 612 §5.3.15: past its next update nothing follows from a list."""
    scheme = operator()
    path = tmp_path / "tsl.xml"
    for data in (
        trusted_list(scheme, services(), next_update=SIGNED_AT + MINUTE),
        trusted_list(scheme, services(), next_update=None),
    ):
        path.write_bytes(data)
        store, findings = load_lists([source(scheme, file=path)], fetch=None, now=NOW)
        assert store.anchors == ()
        assert [one.code for one in findings] == ["trusted-list-expired"]


def test_a_list_of_lists_is_followed_one_step() -> None:
    """TS 119 612 §5.3.13: each list under the certificates that the pointer names."""
    top, scheme, other = operator("TEST LOTL"), operator(), operator("TEST Other Operator")
    places = {
        "http://lotl.test/": trusted_list(
            top, pointers=[("VN", "http://vn.test/", scheme), ("LA", "http://la.test/", scheme)]
        ),
        "http://vn.test/": trusted_list(
            scheme, services(), pointers=[("ZZ", "http://further.test/", scheme)]
        ),
        "http://la.test/": trusted_list(other, services()),
    }
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return places[url]

    store, findings = load_lists([source(top, url="http://lotl.test/")], fetch=fetch, now=NOW)
    assert asked == list(places)
    assert len(store.anchors) == 2
    assert [one.code for one in findings] == [
        "trusted-list-used",
        "trusted-list-used",
        "trusted-list-signature",
    ]
    store, findings = load_lists([source(top, url="http://lotl.test/")], fetch=None, now=NOW)
    assert [one.code for one in findings] == ["trusted-list-unreachable"]


def test_eu_dss_reads_and_judges_the_same_lists(tmp_path: Path) -> None:
    """DSS's own job finds the same signature, services, statuses and starts; the list is as the
    schema of TS 119 612 wants it. An altered list and another signer's count for neither."""
    if reason := maven_judges.why_absent("dss"):
        pytest.skip(reason)
    scheme, stranger = operator(), operator("TEST Stranger")
    states = ((GRANTED, EARLIER), (WITHDRAWN, SIGNED_AT))
    good = trusted_list(scheme, services(*states))
    made = {
        "good": good,
        "altered": good.replace(b"Svcstatus/withdrawn", b"Svcstatus/granted"),
        "stranger": trusted_list(stranger, services(*states)),
    }
    paths = {name: tmp_path / f"{name}.xml" for name in made}
    for name, data in made.items():
        paths[name].write_bytes(data)
    signer = tmp_path / "operator.cer"
    signer.write_bytes(scheme.der)
    theirs = maven_judges.trusted_lists(list(paths.values()), signer=signer)

    found = theirs[paths["good"]]
    assert (found.indication, found.number, found.territory) == ("TOTAL_PASSED", "7", "VN")
    assert found.against_the_schema in ("null", "[]")
    assert set(found.services) == {
        ("CA/QC", GRANTED, int(EARLIER.timestamp())),
        ("CA/QC", WITHDRAWN, int(SIGNED_AT.timestamp())),
        ("TSA/QTST", GRANTED, int(EARLIER.timestamp())),
        ("Archiv", GRANTED, int(EARLIER.timestamp())),
    }
    ours = read_list(good, name="VN", kind="foreign", signers=(scheme.certificate,), now=NOW)
    spans = {one.name: one.periods for one in ours.store.terms.values()}
    assert spans["VN: TEST provider – TEST CA"] == ((EARLIER, SIGNED_AT),)
    for name in ("altered", "stranger"):
        assert theirs[paths[name]].indication != "TOTAL_PASSED"
        with pytest.raises(MalformedList):
            read_list(made[name], name="VN", kind="foreign", signers=(scheme.certificate,), now=NOW)
