"""No forged file passes: the published attacks on signed PDFs, run against our verdicts.

The short version: every recipe on two kinds of document. The long one is
`./dauso campaign attacks` (tests/attacks.py holds the recipes and their sources).
"""

from __future__ import annotations

import collections

import pytest
from pyhanko.sign import fields

from signer.verdicts.report import Report
from tests import attacks, attacks_prepared
from tests.signed_samples import pki, raised, signed
from tests.signer.test_validation import judged
from tests.small_pki import SIGNED_AT

# What a bug of ours would look like: validation turns every exception into "unreadable".
_OURS = {"NameError", "AttributeError", "UnboundLocalError", "KeyError", "AssertionError"}


def _check(mutant: attacks.Mutant, original: Report) -> None:
    report = judged(mutant.data)
    details = {str(found.params.get("detail")) for found in report.findings}
    assert not details & _OURS, (mutant, details)
    assert not attacks.deceives(mutant, report, original), (mutant, report.to_text("en"))


@pytest.mark.parametrize("recipe", sorted(attacks.NAMES))
@pytest.mark.parametrize(("level", "signatures"), [("LTA", 2), ("LT", 1)])
def test_no_mutant_passes(recipe: str, level: str, signatures: int) -> None:
    """Of the generated mutants none may pass."""
    data = signed(level, signatures, 2)
    original = judged(data)
    assert original.passed
    made = list(attacks.mutants(data, [recipe]))
    assert made
    for mutant in made:
        _check(mutant, original)


def test_prepared_documents_do_not_pass() -> None:
    """Shadow attacks and attacks on certified documents (NDSS 2021, S&P 2021)."""
    made = pki()

    def sign(document: bytes) -> bytes:
        return raised(document, made, made.official, 1, SIGNED_AT, "LT")

    def certify(document: bytes, level: int) -> bytes:
        how = fields.MDPPerm(level)
        return raised(document, made, made.official, 1, SIGNED_AT, "LT", certify=how)

    seen: collections.Counter[str] = collections.Counter()
    for mutant in attacks_prepared.prepared(sign, certify):
        seen[mutant.recipe] += 1
        assert not judged(mutant.data).passed, mutant
    assert seen["shadow"] >= 12
    assert seen["certified"] >= 100


def test_there_are_enough_of_them() -> None:
    """At least 200 mutants."""
    quick = ("usf", "isa", "swa", "pages", "eaa", "ssa", "damage")
    assert sum(1 for _ in attacks.mutants(signed("LTA", 2, 2), quick)) >= 200
