"""No forged CAdES, XAdES or ASiC file passes."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from tests.attacks import deceives
from tests.attacks_on_files import forged_files
from tests.signer.signed_files import REPORT, Official, sources
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
_OURS = {"NameError", "AttributeError", "UnboundLocalError", "KeyError", "AssertionError"}


@pytest.mark.parametrize(
    ("chosen", "every", "least"),
    [
        (Format.CADES_DETACHED, 150, 80),
        (Format.XADES_ENVELOPED, 400, 150),
        (Format.XADES_DETACHED, 3000, 150),
        (Format.ASIC_E_CADES, 300, 45),
        (Format.ASIC_E_XADES, 300, 45),
    ],
)
def test_no_mutant_of_a_file_passes(world: World, chosen: Format, every: int, least: int) -> None:
    """Each part taken away, doubled, altered, renamed; octets flipped; parts of another file."""
    official = Official.of(world)
    request = FileRequest(chosen, level=Level.B_LTA)
    data = official.sign(request).data
    files = [
        replace(one, data=one.data.replace(b"2000", b"9000") + b"\n") for one in sources(chosen)
    ]
    other = official.sign(request, *files).data
    content = REPORT.data if "DETACHED" in chosen.name else None

    def judged(file: bytes) -> Report:
        return validate(file, trust=world.trust, now=world.now, content=content)

    honest = judged(data)
    assert honest.passed
    made = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of names borne twice
        for mutant in forged_files(data, other, every=every):
            report = judged(mutant.data)
            said = (mutant, report.to_text("en"))
            details = {str(found.params.get("detail")) for found in report.findings}
            assert not details & _OURS, said
            assert not deceives(mutant, report, honest), said
            made += 1
    assert made >= least
