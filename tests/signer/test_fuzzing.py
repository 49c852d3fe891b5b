"""A short look at every parser's edge; `./dauso campaign fuzz` looks for hours.

Hostile files get a verdict or a refusal, never an odd exception. hypothesis chooses where the seeds
of tests/fuzz_targets.py are cut, changed and joined.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.errors import DocumentRefused
from signer.trust.certificates import read_certificate
from signer.trust.crl_statements import read_crl
from signer.verdicts import validation_xades
from tests.fuzz_targets import TARGETS, Target
from tests.signed_samples import plain_pdf

_SLOW = frozenset({"pdf-validate", "trusted-list", "xml", "scan", "signature-picture", "table"})
EDIT = st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=6))


def mutated(seed: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """At a place, so many octets go and these come."""
    for where, gone, come in edits:
        place = int(where * len(seed))
        seed = seed[:place] + come + seed[place + gone :]
    return seed


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_every_reader_answers_or_refuses(target: Target) -> None:
    seeds = target.seeds()
    for seed in seeds:
        target(seed)
    for rubbish in (b"", b"\0", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"<", b"PK\x03\x04"):
        target(rubbish)

    @settings(
        max_examples=6 if target.name in _SLOW else 60,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(seeds), st.lists(EDIT, min_size=1, max_size=3))
    def tried(seed: bytes, edits: list[tuple[float, int, bytes]]) -> None:
        target(mutated(seed, edits))

    tried()


def _named(name: str) -> Target:
    return next(one for one in TARGETS if one.name == name)


def test_a_file_without_a_catalogue_is_refused() -> None:
    """Found by the campaign: a trailer without /Root came out as pikepdf's own exception."""
    for data in (
        plain_pdf(form=True).replace(b"/Root", b"/Riot"),
        plain_pdf(form=True).replace(b"/AcroForm", b"/Perms   "),
    ):
        _named("pdf-sign")(data)
        _named("pdf-validate")(data)


def test_a_certificate_of_another_version_is_none() -> None:
    """Found by the campaign: `cryptography`'s InvalidVersion is no ValueError."""
    for seed in _named("certificate").seeds():
        place = seed.index(b"\xa0\x03\x02\x01\x02") + 4
        changed = seed[:place] + b"\x7a" + seed[place + 1 :]
        assert read_certificate(changed) is None
    (crl, *_others) = _named("ocsp-and-crl").seeds()
    place = crl.index(b"\x02\x01\x01\x30") + 2
    assert read_crl(crl[:place] + b"\x2b" + crl[place + 1 :]) is None


def test_a_cross_reference_to_another_object_is_refused() -> None:
    """Found by the campaign (`crossed.pdf` is what it made): the entry of object 4 leads to another
    object 3. qpdf 12.4.2 put that in place of the one it was walking through, and the process died:
    whoever could have a file signed could end the service."""
    found = (Path(__file__).parent / "crossed.pdf").read_bytes()
    _named("pdf-validate")(found)
    with pytest.raises(DocumentRefused):
        _named("pdf-sign").act(found)
    # Every entry of a proper file, leading to every other object.
    data = plain_pdf(form=True).replace(b"%%EOF", b" %%EOF")  # not for our own plain grammar
    table = data.rindex(b"xref\n0 ")
    for number in range(3, 9):
        for other in range(3, 9):
            entries = data[table:].split(b"\n")
            entries[number] = entries[other]
            crossed = data[:table] + b"\n".join(entries)
            if number != other:
                with pytest.raises(DocumentRefused):
                    _named("pdf-sign").act(crossed)


def test_a_namespace_of_no_address_is_not_canonical() -> None:
    """Found by the campaign: libxml2 refuses it in its own words (Canonical XML 1.0 §1.3)."""
    signed_list, _plain = _named("xml").seeds()
    relative = signed_list.replace(b" xmlns", b' xmlns:q="q" xmlns', 1)
    (claim,) = validation_xades.read_claims(relative, None).signatures
    assert [one.code for one in claim.findings] == ["validation-xml-transform"]
