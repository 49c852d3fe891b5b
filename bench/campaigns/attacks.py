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
from collections.abc import Iterator
from pathlib import Path

import pikepdf
from pyhanko.sign import fields

from bench.forged_files import forge
from bench.report import Report, arguments
from ca.trust import TrustStore
from signer.verdicts.report import Report as Verdict
from signer.verdicts.validation import validate
from tests import attacks, attacks_prepared
from tests.signed_samples import MINUTE, pki, plain_pdf, raised, signed
from tests.small_pki import SIGNED_AT

NOW = SIGNED_AT + 30 * MINUTE


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; 1 when a forgery passed or an untouched document did not."""
    report = Report("attacks", arguments("Forgeries of signed files").parse_args(arguments_))
    tried: collections.Counter[str] = collections.Counter()
    passed: collections.Counter[str] = collections.Counter()
    untouched = 0
    for name, data in _originals(report.quick):
        report.say(name)
        honest = _judge(data)
        untouched += not honest.passed
        for mutant in _mutants(data, report.quick):
            tried[mutant.recipe] += 1
            if attacks.deceives(mutant, _judge(mutant.data), honest):
                passed[mutant.recipe] += 1
                kept = Path(f"passed-{mutant.recipe}-{sum(passed.values())}.pdf")
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
    forged = sum(tried.values()) + sum(one.tried for one in of_files.values())
    wrong = sum(passed.values()) + sum(len(one.passed) for one in of_files.values())
    report.add("all mutants", forged, "made")
    report.add("all that passed", wrong, "passed", peer="none may")
    report.add("untouched documents refused", untouched, "refused", peer="none may")
    return max(report.finish(), int(bool(untouched or wrong)))


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


def _mutants(data: bytes, quick: bool) -> Iterator[attacks.Mutant]:
    yield from attacks.mutants(data)
    for seed in range(0 if quick else 20):
        yield from attacks.flips(data, every=100, seed=seed)


def _signed(document: bytes) -> bytes:
    return raised(document, pki(), pki().official, 1, SIGNED_AT, "LT")


def _certified(document: bytes, level: int) -> bytes:
    how = fields.MDPPerm(level)
    return raised(document, pki(), pki().official, 1, SIGNED_AT, "LT", certify=how)


if __name__ == "__main__":
    raise SystemExit(main())
