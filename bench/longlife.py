"""`./dauso bench longlife`: what it costs to keep the proofs of a province's documents alive.

100,000 documents get evidence records (RFC 4998) and are renewed by a new time-stamp before the
first one's certificate ends; some of them by a new hash tree before SHA-256 ends. The limit is
1,000 time-stamp tokens, where document time-stamps would cost one for each document.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from bench.report import Report, arguments
from records.blobs import BlobStore
from records.database import Database
from signer.long_life import evidence_renewal, evidence_store
from tests.eras import YEAR, Eras, patient_policy
from tests.small_pki import SIGNED_AT

_BY = "operator:bench"
_MOST_TOKENS = 1000


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; 1 when a renewal takes more tokens than it may."""
    report = Report("longlife", arguments("Evidence records").parse_args(arguments_))
    count = 10_000 if report.quick else 100_000
    with tempfile.TemporaryDirectory(prefix="dauso-longlife-") as folder:
        database = Database(f"sqlite:///{folder}/longlife.sqlite")
        database.migrate()
        eras = Eras(database, BlobStore(f"{folder}/blobs"))
        names = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(count)]
        _made(report, eras, names)
        _renewed(report, eras, names)
        _rebuilt(report, Path(folder), 200 if report.quick else 2_000)
        database.dispose()
    return report.finish()


def _made(report: Report, eras: Eras, names: list[str]) -> None:
    report.say(f"evidence records for {len(names)} documents")
    began = time.process_time()
    made = evidence_store.protect(eras.desk, names, now=SIGNED_AT, by=_BY)
    spent = time.process_time() - began
    report.add(
        f"{len(names)} documents protected", made.time_stamps, "tokens",
        limit=_MOST_TOKENS * len(names) / 100_000, peer="≤ 1,000 tokens for 100,000", goal=1.0,
    )  # fmt: skip
    report.add("protecting one document", 1000 * spent / len(names), "ms CPU")
    kept = Path(str(eras.database.engine.url.database)).parent
    size = sum(one.stat().st_size for one in kept.rglob("*") if one.is_file())
    report.add("kept for one document", size / len(names), "bytes")


def _renewed(report: Report, eras: Eras, names: list[str]) -> None:
    moment = SIGNED_AT + 4.7 * YEAR
    eras.unit(moment)
    before, began = eras.stamped, time.process_time()
    done = evidence_renewal.renew(eras.desk, now=moment, by=_BY, policy=patient_policy())
    spent = time.process_time() - began
    report.add(
        f"{len(names)} documents renewed", eras.stamped - before, "tokens",
        limit=_MOST_TOKENS * len(names) / 100_000, peer="≤ 1,000 tokens for 100,000", goal=1.0,
    )  # fmt: skip
    report.add("renewing one document", 1000 * spent / len(names), "ms CPU")
    if done.waiting:
        raise RuntimeError("some were not renewed")
    began, tried = time.process_time(), 20
    for name in names[:tried]:
        evidence = evidence_store.evidence_of(eras.desk, name)
    report.add(
        "putting one record together", 1000 * (time.process_time() - began) / tried, "ms CPU"
    )
    assert evidence is not None
    report.add("size of a record renewed once", len(evidence.record) / 1024, "kB")


def _rebuilt(report: Report, folder: Path, count: int) -> None:
    report.say(f"a new hash tree for {count} documents of 100 kB, read from the store")
    database = Database(f"sqlite:///{folder}/rebuilt.sqlite")
    database.migrate()
    eras = Eras(database, BlobStore(f"{folder}/rebuilt"))
    filling = b"\0" * 100_000
    names = [eras.blobs.put(b"%d" % number + filling) for number in range(count)]
    evidence_store.protect(eras.desk, names, now=SIGNED_AT, by=_BY)
    policy = patient_policy(2031)
    moment = SIGNED_AT + timedelta(days=4 * 365 - 100)
    eras.unit(moment)
    began = time.process_time()
    done = evidence_renewal.renew(eras.desk, now=moment, by=_BY, policy=policy)
    spent = time.process_time() - began
    assert done.documents == count, done
    report.add("a new tree, for one document", 1000 * spent / count, "ms CPU")
    database.dispose()


if __name__ == "__main__":
    raise SystemExit(main())
