"""`./dauso campaign attacks`: forge signed documents by every known recipe; none may pass.

Thousands of mutants (tests/attacks.py holds the recipes and their sources) of documents with one
to three signatures at every archival level, with and without object streams, certified and not;
then of CAdES, XAdES and ASiC files in every format (bench/forged_files.py), counted by format.
A mutant that passes is kept in the working directory for whoever must explain it.
"""

from __future__ import annotations

import collections
import io
import itertools
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign import fields

from bench.forged_files import forge
from bench.report import Report, arguments
from ca.trust import TrustStore
from signer.verdicts.report import Report as Verdict
from signer.verdicts.validation import validate
from tests import attacks, attacks_prepared
from tests.pdf_surgery import gaps
from tests.signed_samples import MINUTE, pki, plain_pdf, raised, signed
from tests.small_pki import SIGNED_AT

NOW = SIGNED_AT + 30 * MINUTE
_FLIP_SEEDS = 20
_PARTS = 8
_FEW_GAPS = 2
"""One signature, with or without a document time-stamp."""


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; 1 when a forgery passed or an untouched document did not."""
    report = Report("attacks", arguments("Forgeries of signed files").parse_args(arguments_))
    tried: collections.Counter[str] = collections.Counter()
    passed: collections.Counter[str] = collections.Counter()
    untouched = 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        root = pki().root.certificate.public_bytes(Encoding.DER)
        waiting: dict[Future[_Forged], str] = {}
        for name, data in _originals(report.quick):
            for some in _shares(len(gaps(data)), report.quick):
                waiting[pool.submit(_forged, data, root, some)] = name
        for done in as_completed(waiting):
            forged, name = done.result(), waiting[done]
            report.say(f"{name}: {forged.tried.total()} mutants")
            tried += forged.tried
            untouched += forged.refused
            for mutant in forged.passed:
                passed[mutant.recipe] += 1
                kept = Path(f"passed-{mutant.recipe}-{passed.total()}.pdf")
                kept.write_bytes(mutant.data)
                report.say(f"PASSED: {mutant.recipe}: {mutant.name}, kept as {kept}")
    report.say("documents prepared before signing")
    for mutant in attacks_prepared.prepared(_signed, _certified):
        tried[mutant.recipe] += 1
        passed[mutant.recipe] += _judge(mutant.data).passed
    of_files = forge(report)
    for recipe, count in sorted(tried.items()):
        report.add(f"{recipe}: mutants", count, "made")
        report.add(f"{recipe}: passed", passed[recipe], "passed", peer="none may")
    for name, files in of_files.items():
        report.add(f"{name}: mutants", files.tried, "made")
        report.add(f"{name}: passed", len(files.passed), "passed", peer="none may")
        untouched += files.refused
        for number, (what, data) in enumerate(files.passed, start=1):
            kept = Path(f"passed-{name}-{number}")
            kept.write_bytes(data)
            report.say(f"PASSED: {name}: {what}, kept as {kept}")
    made = tried.total() + sum(one.tried for one in of_files.values())
    wrong = sum(passed.values()) + sum(len(one.passed) for one in of_files.values())
    report.add("all mutants", made, "made")
    report.add("all that passed", wrong, "passed", peer="none may")
    report.add("untouched documents refused", untouched, "refused", peer="none may")
    return max(report.finish(), int(bool(untouched or wrong)))


@dataclass
class _Forged:
    """What was tried of one document, and what should not have passed."""

    tried: collections.Counter[str] = field(default_factory=collections.Counter)
    passed: list[attacks.Mutant] = field(default_factory=list)
    refused: bool = False


Share = tuple[str, int]


def _shares(signatures: int, quick: bool) -> list[Share]:
    """What is tried of one document, in pieces for several processes: every recipe, bits flipped
    all over it, and where signatures are few, one bit of every octet of theirs."""
    shares = [("recipes", 0)]
    if not quick:
        shares += [("flips", seed) for seed in range(_FLIP_SEEDS)]
        shares += [("octets", part) for part in range(_PARTS if signatures <= _FEW_GAPS else 0)]
    return shares


def _mutants(data: bytes, share: Share) -> Iterator[attacks.Mutant]:
    kind, number = share
    if kind == "flips":
        return attacks.flips(data, every=100, seed=number)
    if kind == "octets":
        return attacks.octets(data, part=number, parts=_PARTS)
    return attacks.mutants(data)


def _forged(data: bytes, root: bytes, share: Share) -> _Forged:
    """One share of what is tried of a document."""
    trust = TrustStore((x509.load_der_x509_certificate(root),))
    honest, forged = validate(data, trust=trust, now=NOW), _Forged()
    forged.refused = share[0] == "recipes" and not honest.passed
    for mutant in _mutants(data, share):
        forged.tried[mutant.recipe] += 1
        if attacks.deceives(mutant, validate(mutant.data, trust=trust, now=NOW), honest):
            forged.passed.append(mutant)
    return forged


def _judge(data: bytes) -> Verdict:
    return validate(data, trust=TrustStore((pki().root.certificate,)), now=NOW)


def _originals(quick: bool) -> Iterator[tuple[str, bytes]]:
    levels, counts = (("LTA",), (2,)) if quick else (("LT", "LTA"), (1, 2, 3))
    for level, count in itertools.product(levels, counts):
        yield f"B-{level}, {count} signatures", signed(level, count, 2)
    if quick:
        return
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(plain_pdf(3, form=True))) as pdf:
        pdf.save(out, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    made = pki()
    yield (
        "B-LTA, object streams",
        raised(out.getvalue(), made, made.official, 1, SIGNED_AT, "LTA"),
    )


def _signed(document: bytes) -> bytes:
    return raised(document, pki(), pki().official, 1, SIGNED_AT, "LT")


def _certified(document: bytes, level: int) -> bytes:
    how = fields.MDPPerm(level)
    return raised(document, pki(), pki().official, 1, SIGNED_AT, "LT", certify=how)


if __name__ == "__main__":
    raise SystemExit(main())
