"""Reading a ceremony plan: strict, and in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ca.ceremonies.plan import Plan, load_plan, parse_plan
from ca.errors import PlanInvalid
from hsm.mechanisms import KeyAlgorithm
from tests.world import PROVINCE

TEXT = PROVINCE.read_text("utf-8")


def changed(**change: object) -> str:
    return yaml.safe_dump({**yaml.safe_load(TEXT), **change}, allow_unicode=True)


def refusal(text: str) -> str:
    with pytest.raises(PlanInvalid) as refused:
        parse_plan(text)
    assert refused.value.message("vi") != refused.value.message("en")
    return str(refused.value)


def test_the_province_s_plan_reads_as_written() -> None:
    """DESIGN §4: one reviewed YAML plan, two witnesses."""
    plan: Plan = load_plan(PROVINCE)
    assert plan.witnesses == ("Nguyễn Thị Mẫu", "Lê Văn Thử")
    assert [one.name for one in plan.issuing] == ["persons-g1", "agencies-g1", "services-g1"]
    assert plan.roots[0].key is KeyAlgorithm.RSA_4096
    assert plan.roots[0].years == 25
    assert {one.key for one in plan.services} == {KeyAlgorithm.P_256}
    assert {one.issuer for one in plan.services if one.profile == "ocsp"} == {
        "root",
        "persons-g1",
        "agencies-g1",
        "services-g1",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "words and values"),
        ("- a", "words and values"),
        ("title: [", "line "),
        ("title: a\ntitle: b", "given twice"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        (TEXT + "\nextra: 1", "extra"),
        (changed(witnesses=["A"]), "two different people"),
        (changed(witnesses=["A", "A"]), "two different people"),
        (changed(roots=[]), "a list is meant"),
        (changed(root_crl_days=0), "a number from 1 to 400"),
        (changed(root_crl_days=True), "a number from 1 to 400"),
        (TEXT.replace("key: rsa-4096", "key: rsa-1024"), "rsa-4096"),
        (TEXT.replace("years: 25", "years: 26"), "a number from 1 to 25"),
        (TEXT.replace("years: 10", "years: 11", 1), "a number from 1 to 10"),
        (TEXT.replace("under: root", "under: roof", 1), "no root roof"),
        (TEXT.replace("issuer: persons-g1", "issuer: people"), "there is no people"),
        (TEXT.replace("name: tsa-g1", "name: audit-g1"), "used twice"),
        (TEXT.replace("name: tsa-g1", "name: TSA"), "small letters"),
        (TEXT.replace("issues: [official, citizen]", "issues: [root]"), "not a profile"),
        (TEXT.replace("profile: tsa", "profile: official"), "one of ocsp"),
        (TEXT.replace("country: VN", "country: Vietnam", 1), "country"),
        (TEXT.replace("common_name: TEST Dấu Số Thanh Hóa Root CA G1", "common_name: ''"), "text"),
        (changed(revoked=[{"serial": "xyz", "reason": "superseded", "on": "x"}]), "hexadecimal"),
        (changed(cross=[{"name": "a", "issuer": "root", "certificate": "x", "years": 1}]), "PEM"),
        ("x" * 300_000, "256 KiB"),
    ],
)
def test_a_wrong_plan_says_where_and_why(text: str, told: str) -> None:
    """DESIGN §3 rule 8: contradictory settings refuse to start, in plain words."""
    assert told in refusal(text)


def test_a_service_under_the_root_must_be_its_responder() -> None:
    """DESIGN §4: the root certifies CAs; everything else stands under an issuing CA."""
    text = TEXT.replace("issuer: services-g1", "issuer: root")
    assert "only CAs and OCSP" in refusal(text)


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    """Bad input gives one clear message."""
    with pytest.raises(PlanInvalid):
        load_plan(tmp_path / "none.yaml")
