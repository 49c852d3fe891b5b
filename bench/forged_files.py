"""The half of `./dauso campaign attacks` that is about CAdES, XAdES and ASiC.

Each format is signed by our own desk at LTA and forged by tests/attacks_on_files.py. A mutant
passes when it is TOTAL_PASSED though something was touched, or when one that only lacks what
nobody signed claims a higher level than the honest file.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.report import Report
from records.blobs import BlobStore
from records.database import Database
from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.verdicts.report import Report as Verdict
from signer.verdicts.validation import validate
from tests.attacks import deceives
from tests.attacks_on_files import forged_files
from tests.signer.signed_files import Official, sources
from tests.tokens import test_token
from tests.world import World, load_hierarchy


@dataclass
class Count:
    """What was tried of one format, and what should not have passed."""

    tried: int = 0
    passed: list[tuple[str, bytes]] = field(default_factory=list)
    refused: int = 0


def forge(report: Report) -> dict[str, Count]:
    """Counts by format. `refused` are untouched files that did not pass."""
    counts = {one.value: Count() for one in Format}
    with _world() as world, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of names borne twice
        official = Official.of(world)
        for chosen in Format:
            report.say(chosen.value)
            request = FileRequest(chosen, level=Level.B_LTA)
            _try(world, official, request, counts, report.quick)
    return counts


def _try(
    world: World, official: Official, request: FileRequest, counts: dict[str, Count], quick: bool
) -> None:
    files = sources(request.format)
    changed = [replace(one, data=one.data.replace(b"2000", b"9000") + b"\n") for one in files]
    data = official.sign(request).data
    other = official.sign(request, *changed).data
    content = files[0].data if request.format.detached else None
    judged = _judge(world, content)
    honest, count = judged(data), counts[request.format.value]
    count.refused += not honest.passed
    for mutant in forged_files(data, other, every=400 if quick else 40):
        count.tried += 1
        if deceives(mutant, judged(mutant.data), honest):
            count.passed.append((mutant.name, mutant.data))


def _judge(world: World, content: bytes | None) -> Callable[[bytes], Verdict]:
    return lambda file: validate(file, trust=world.trust, now=world.now, content=content)


@contextmanager
def _world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="dauso-forged-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'world.sqlite'}")
        database.migrate()
        root = load_hierarchy(database)
        blobs = BlobStore(str(Path(folder) / "blobs"))
        yield World(database=database, blobs=blobs, token=test_token(), root_directory=root)
        database.dispose()
