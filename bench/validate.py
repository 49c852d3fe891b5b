"""`./dauso bench validate`: verdicts per second and core, beside other validators in one run.

Rates are per second of processor time, so a busy machine bothers nobody; a peer that is another
program is charged the processor time of its process. The documents are made by stock pyHanko.
EU DSS is asked in batches: its starting time is subtracted.
"""

from __future__ import annotations

import logging
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from bench.report import Report, arguments
from ca.trust import TrustStore
from signer.verdicts.sandbox import Pool
from signer.verdicts.validation import validate
from tests import pyhanko_judge
from tests.interop import maven_judges
from tests.signed_samples import MINUTE, pki, plain_pdf, sign, signed
from tests.small_pki import SIGNED_AT

NOW = SIGNED_AT + 30 * MINUTE
_TWO = "B-LTA, two signatures"
_MEMORY = """
import sys
from datetime import datetime
from pathlib import Path
from ca.trust import TrustStore
from signer.verdicts.validation import validate
store = TrustStore.load([Path(sys.argv[2])])
report = validate(Path(sys.argv[1]).read_bytes(), trust=store,
                  now=datetime.fromisoformat(sys.argv[3]))
# Of this program alone: ru_maxrss would begin with what the bench itself held when it started it.
(most,) = [one.split()[1] for one in open("/proc/self/status") if one.startswith("VmHWM")]
print(report.passed, int(most) // 1024)
"""


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; the exit status says whether every goal was met."""
    report = Report("validate", arguments("Validation of signed PDFs").parse_args(arguments_))
    logging.disable(logging.CRITICAL)
    report.say("documents")
    with tempfile.TemporaryDirectory() as folder:
        _rates(report, Path(folder))
        _many(report)
        _large(report, Path(folder))
    return report.finish()


def _rates(report: Report, folder: Path) -> None:
    """Warm rates in this process, through the limited child, and of the peers."""
    root = pki().root.certificate
    store = TrustStore((root,))
    data = signed("LTA", 2)
    path, anchor = folder / "two.pdf", folder / "root.cer"
    path.write_bytes(data)
    anchor.write_bytes(root.public_bytes(Encoding.DER))

    report.say("ours and pyHanko in turn")
    ours, stock = _alternately(
        report,
        lambda: validate(data, trust=store, now=NOW),
        lambda: pyhanko_judge.judge(data, root, NOW),
    )
    report.add(_TWO, ours, "1/s", limit=20, peer="least wanted", goal=1.0)
    report.add(f"{_TWO}, beside pyHanko", ours, "1/s", limit=stock, peer="stock pyHanko", goal=1.5)

    report.say("through the limited child process")
    pool = Pool(1)
    try:
        pooled = _wall(lambda: pool.validate(path, trust=store, now=NOW), report.seconds)
    finally:
        pool.close()
    report.add(f"{_TWO}, file in a limited child", pooled, "1/s", limit=20, peer="least wanted")

    if shutil.which("pdfsig"):
        beside = _children(lambda: _pdfsig(path), report.seconds)
        peer = "pdfsig (mathematics only)"
        report.add(f"{_TWO}, beside pdfsig", ours, "1/s", limit=beside, peer=peer)
    else:
        report.say("pdfsig is not installed: no row")
    reason = maven_judges.why_absent("dss")
    if reason is None:
        report.say("EU DSS")
        beside = _dss(folder, path, anchor, 30 if report.quick else 150)
        report.add(f"{_TWO}, beside EU DSS", ours, "1/s", limit=beside, peer="EU DSS, warming JVM")
    else:
        report.say(reason)

    evidence = pki().evidence(pki().official, pki().agency, pki().tsa, at=NOW)
    for level in ("B", "T", "LT", "LTA"):
        one = signed(level, 1)
        value = _cpu(
            lambda one=one: validate(one, trust=store, now=NOW, revocation=evidence),  # type: ignore[misc]  # bound now
            report.seconds,
        )
        report.add(f"B-{level}, one signature", value, "1/s")


def _many(report: Report) -> None:
    """A document that fifty people signed."""
    count = 10 if report.quick else 50
    report.say(f"{count} signatures")
    made, data = pki(), plain_pdf()
    for number in range(count):
        data = sign(data, made, made.official, f"S{number}", SIGNED_AT, timestamp=False)
    store, evidence = TrustStore((made.root.certificate,)), made.evidence(made.official, at=NOW)
    began = time.process_time()
    done = validate(data, trust=store, now=NOW, revocation=evidence)
    taken = time.process_time() - began
    if not done.passed:
        raise RuntimeError("the document with many signatures was not passed")
    report.add(f"{count} signatures", taken, "s", limit=5, peer="most allowed", goal=1.0)


def _large(report: Report, folder: Path) -> None:
    """Memory for a large file: the whole process, in a child of its own."""
    megabytes = 20 if report.quick else 200
    report.say(f"{megabytes} MB")
    made = pki()
    path, anchor = folder / "large.pdf", folder / "root.cer"
    path.write_bytes(_with_signature(megabytes))
    anchor.write_bytes(made.root.certificate.public_bytes(Encoding.DER))
    began = time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(path), str(anchor), NOW.isoformat()],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    taken = time.perf_counter() - began
    if said[0] != "True":
        raise RuntimeError("the large document was not passed")
    most = 3 * megabytes + 200
    name = f"{megabytes} MB file"
    report.add(f"{name}, memory", float(said[1]), "MiB", limit=most, peer="bound", goal=1.0)
    report.add(f"{name}, time with start", taken, "s", limit=10, peer="most allowed", goal=1.0)


def _with_signature(megabytes: int) -> bytes:
    from tests.pdf_surgery import append, changed, opened, size_of, stream
    from tests.signed_samples import raised

    base = plain_pdf()
    pdf = opened(base)
    new = size_of(pdf)
    big = append(
        base,
        {
            new: stream(bytes(range(256)) * (megabytes << 12)),
            pdf.Root.objgen[0]: changed(pdf.Root, Attachment=b"%d 0 R" % new),
        },
    )
    return raised(big, pki(), pki().official, 1, SIGNED_AT, "LTA")


def _alternately(report: Report, *works: Callable[[], object]) -> list[float]:
    rows = [[_cpu(work, report.seconds) for work in works] for _each in range(report.rounds)]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def _cpu(work: Callable[[], object], seconds: float) -> float:
    """How often per second of processor time, after one run to warm up."""
    work()
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        work()
        done += 1
    return done / spent


def _wall(work: Callable[[], object], seconds: float) -> float:
    work()
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        work()
        done += 1
    return done / spent


def _children(work: Callable[[], object], seconds: float) -> float:
    """The same for a program: the processor time of its processes."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    work()
    done, began = 0, spent()
    while (now := spent() - began) < seconds:
        work()
        done += 1
    return done / now


def _pdfsig(path: Path) -> None:
    subprocess.run(["pdfsig", str(path)], capture_output=True, check=True)


def _dss(folder: Path, path: Path, anchor: Path, count: int) -> float:
    copies = []
    for number in range(count):
        copy = folder / f"copy-{number}.pdf"
        shutil.copyfile(path, copy)
        copies.append(copy)

    def seconds(files: list[Path]) -> float:
        began = time.perf_counter()
        maven_judges.dss(files, trust=[anchor])
        return time.perf_counter() - began

    few = max(2, count // 3)
    return (count - few) / max(1e-6, seconds(copies) - seconds(copies[:few]))


if __name__ == "__main__":
    raise SystemExit(main())
