"""`./dauso bench sign`: documents per second and core at each level, beside the raw token rate,
stock pyHanko on the same key, and other tools that sign PDFs.

Rates are per second of processor time of the one thread that signs: what a core does, whatever
else the machine is busy with. The limit is the bare token on that thread in the same run.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from api.interpreter import tune
from bench import batch_served, peers
from bench.ca_world import BY
from bench.peers.stock_pyhanko import Stock
from bench.report import Report, arguments
from bench.sign_processes import side_by_side
from bench.sign_world import PIN, Bureau, bureau
from bench.token_rate import bare_works
from signer.in_groups import GROUP, write_in_groups
from signer.keys import activation
from signer.levels import Level
from signer.pdf.original import Original
from signer.signature import Pen
from signer.signing import SignatureRequest, document_digest, sign_pdf
from tests.signer import paper

_RAW = "raw token signatures"
_SLICE = 0.05
_GOALS = {Level.B_T: 0.35, Level.B_LT: 0.25, Level.B_LTA: 0.18}
_UNUSUAL = ("hybrid", "object-streams", "updated")
"""Files whose structure qpdf has to tell: two kinds of cross-reference, streams, older sections."""
Work = Callable[[], object]


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; the exit status says whether every goal was met."""
    report = Report("sign", arguments("PDF signatures").parse_args(arguments_))
    report.say("ceremony, one official")
    with bureau() as office:
        tune()  # as `dauso serve` and its workers do
        one_page = paper.decision()
        raw = _levels(report, office, one_page)
        _big(report, office, raw)
        _wrapped(report, office, one_page)
        _whole_flow(report, office, one_page)
        two = _two_processes(report, office, one_page)
        _batch(report, two)
        _others(report, one_page)
    return report.finish()


def _levels(report: Report, office: Bureau, data: bytes) -> float:
    report.say("levels, 1 page, and stock pyHanko")
    pen = office.pen()
    digest = bytes(32)
    scheme, hashed = padding.PKCS1v15(), utils.Prehashed(hashes.SHA256())
    works: dict[str, Work] = {"raw": lambda: pen.key.sign(digest, scheme, hashed)}  # type: ignore[call-arg,arg-type,union-attr]  # the bench holds an RSA key open
    for level in Level:
        for visible in (False, True):
            works[_name(level, visible)] = _signing(office, data, pen, level, visible)
    for shape in _UNUSUAL:
        works[shape] = _signing(office, paper.shaped(shape), pen, Level.B_B, False)
    works["groups"] = _in_groups(office, data, pen, Level.B_B)
    stock = Stock(office, pen, data)
    works["stock"] = lambda: stock.sign(visible=False)
    works["stock visible"] = lambda: stock.sign(visible=True)
    rates = _rates(office, works, report)
    raw = rates["raw"]
    plain = rates[_name(Level.B_B, False)]
    report.add("raw token, RSA-2048", raw, "1/s")
    report.add("B-B, 1 page, invisible", plain, "1/s", limit=raw, peer=_RAW, goal=0.60)
    report.add(
        "B-B, 1 page, in groups as a batch signs", rates["groups"], "1/s", limit=raw, peer=_RAW,
        goal=0.60,
    )  # fmt: skip
    for shape in _UNUSUAL:
        report.add(
            f"B-B, 1 page, unusual file: {shape}",
            rates[shape],
            "1/s",
            limit=raw,
            peer=_RAW,
            goal=0.30,
        )
    stock_name = "stock pyHanko"
    report.add(
        "B-B against stock pyHanko", plain, "1/s", limit=rates["stock"], peer=stock_name, goal=15
    )
    seen = rates[_name(Level.B_B, True)]
    report.add("B-B, 1 page, visible", seen, "1/s", limit=plain, peer="invisible", goal=0.90)
    limit = rates["stock visible"]
    report.add("B-B visible against stock pyHanko", seen, "1/s", limit=limit, peer=stock_name)
    for level, goal in _GOALS.items():
        report.add(f"{level}, invisible", rates[_name(level, False)], "1/s", limit=raw, peer=_RAW)
        report.add(
            f"{level}, visible", rates[_name(level, True)], "1/s", limit=raw, peer=_RAW, goal=goal
        )
    return raw


def _big(report: Report, office: Bureau, raw: float) -> None:
    report.say("10 MB")
    pen, data = office.pen(), paper.padded(paper.decision(), 10)
    uploaded = Original.of(data)
    rates = _rates(
        office,
        {
            "hash": lambda: hashlib.sha256(data),
            "small": _signing(office, paper.decision(), pen, Level.B_B, False),
            "uploaded": lambda: office.sign(uploaded, pen, Level.B_B, visible=False),
            "cold": lambda: office.sign(Original.of(data), pen, Level.B_B, visible=False),
        },
        report,
    )
    both = 1 / (1 / rates["hash"] + 1 / raw)
    small, uploaded_rate, cold = rates["small"], rates["uploaded"], rates["cold"]
    report.add(
        "B-B, 10 MB, hashed at upload", uploaded_rate, "1/s", limit=small, peer="1 page", goal=0.60
    )
    report.add(
        "B-B, 10 MB, hashed again", cold, "1/s", limit=both, peer="SHA-256 + token", goal=0.60
    )


def _wrapped(report: Report, office: Bureau, data: bytes) -> None:
    report.say("one of many wrapped keys")
    custody, peer = office.desk.custody, "the token's own"
    kept, original = office.pen(), Original.of(data)
    opening = Pen(kept.template, partial(custody.unwrapped, office.wrapped), kept.name)

    attributes = kept.template.attributes(original.sha256)

    def whole() -> None:
        office.sign(original, opening, Level.B_B, visible=False)

    works: dict[str, Work] = {
        "whole": whole,
        "kept": lambda: office.sign(original, kept, Level.B_B, visible=False),
        "groups": _in_groups(office, data, kept, Level.B_B),
        "value whole": lambda: opening.sign(attributes),
        "value kept": lambda: office.pen().sign(attributes),
    }
    with bare_works(office.world.token) as bare:
        works["bare whole"] = bare["rsa-2048 unwrap+sign+destroy"]
        works["bare kept"] = bare["rsa-2048 kept"]
        rates = _rates(office, works, report)
    for name, key in (("unwrapped for it", "whole"), ("kept", "kept")):
        report.add(
            f"signature value alone, key {name}", rates[f"value {key}"], "1/s",
            limit=rates[f"bare {key}"], peer=peer, goal=0.80,
        )  # fmt: skip
    limit = rates["bare whole"]
    report.add(
        "B-B, key unwrapped for it", rates["whole"], "1/s", limit=limit, peer=peer, goal=0.80
    )
    limit = rates["bare kept"]
    report.add("B-B, key kept", rates["kept"], "1/s", limit=limit, peer=peer)
    name = "B-B, key kept, in groups as a batch signs"
    report.add(name, rates["groups"], "1/s", limit=limit, peer=peer, goal=0.80)


def _whole_flow(report: Report, office: Bureau, data: bytes) -> None:
    """sign_pdf as it is: authorised digest, intention and outcome committed, audited."""
    report.say("sign_pdf with its database")
    count = 40 if report.quick else 300
    documents = [data + b"\n" * number for number in range(count)]
    authorization = activation.authorize(
        office.desk,
        credential_id=office.credential.id,
        pin=PIN,
        digests=[document_digest(one) for one in documents],
        client="client:bench",
        now=office.now,
        by=BY,
    )
    request = SignatureRequest(level=Level.B_B)

    def all_of_them() -> float:
        began = time.perf_counter()
        for one in documents:
            sign_pdf(office.desk, one, request, authorization=authorization, now=office.now, by=BY)
        return time.perf_counter() - began

    seconds = office.world.token.on_token_thread(all_of_them)
    report.add("sign_pdf, B-B, each with two durable commits (SQLite)", count / seconds, "1/s")


def _two_processes(report: Report, office: Bureau, data: bytes) -> float:
    report.say("one process, two processes")
    rounds, seconds = (2, 0.2) if report.quick else (40, 0.25)
    found = side_by_side(office, data, rounds=rounds, seconds=seconds)
    report.add(
        "bare signatures, two processes", found.token_two, "1/s",
        limit=found.token_one, peer="one process",
    )  # fmt: skip
    report.add(
        "B-B, two processes", found.two, "1/s", limit=found.one, peer="one process", goal=1.9
    )
    return found.two


def _batch(report: Report, two: float) -> None:
    """Through the API of a service of its own, with the default number of workers: one a core."""
    count = 500 if report.quick else 5000
    report.say(f"a batch of {count} through the API")
    measured = batch_served.measure(count)
    report.add("batch, documents put in and inspected", measured.uploaded, "1/s")
    report.add(
        f"batch of {count}, embedded default, 2 workers",
        measured.signed,
        "1/s",
        limit=two,
        peer="two in-process workers",
        goal=0.50,
    )


def _others(report: Report, data: bytes) -> None:
    """Software keys on both sides, by the clock on the wall."""
    with tempfile.TemporaryDirectory(prefix="dauso-peers-") as directory:
        folder = Path(directory)
        pdf = folder / "one-page.pdf"
        pdf.write_bytes(data)
        store = peers.software_key(folder)
        # The same key in software, the same clock, one core, one whole file in memory each.
        report.say("this house's writer, software key")
        ours = peers.ours(store, pdf, report.seconds)
        for name in ("endesive", "pdfsig", "signpdf", "pdfbox"):
            report.say(f"{name}, software key")
            try:
                measured = getattr(peers, name)(store, pdf, report.seconds)
            except Exception as error:
                measured = f"failed: {error}"
            if isinstance(measured, str):
                report.say(f"{name}: {measured}")
                continue
            goal = 1.0 if name == "pdfbox" else None
            peer = f"{name}, software key"
            row = f"B-B with a software key, against {name}"
            report.add(row, ours, "1/s", limit=measured, peer=peer, goal=goal)


def _signing(office: Bureau, data: bytes, pen: Pen, level: Level, visible: bool) -> Work:
    return lambda: office.sign(Original.of(data), pen, level, visible=visible)


def _in_groups(office: Bureau, data: bytes, pen: Pen, level: Level) -> Work:
    """One group of documents, each read and hashed, as `batch_work` does; how many they are."""

    def work() -> int:
        written = write_in_groups(
            office.desk,
            [Original.of(data) for _ in range(GROUP)],
            SignatureRequest(level=level),
            office.credential,
            pen,
            lambda _document: None,
            now=office.now,
        )
        return len(list(written))

    return work


def _name(level: Level, visible: bool) -> str:
    return f"{level} {'visible' if visible else 'invisible'}"


def _rates(office: Bureau, works: dict[str, Work], report: Report) -> dict[str, float]:
    """All in turn on the token's thread, in slices so short that whatever else the machine does
    falls on all of them; the median of the slices. A work may do several documents at once."""
    slices = max(5, int(report.rounds * report.seconds / 2 / _SLICE))

    def measure() -> dict[str, float]:
        found: dict[str, list[float]] = {name: [] for name in works}
        for work in works.values():
            work()
        for _ in range(slices):
            for name, work in works.items():
                found[name].append(_rate(work, _SLICE))
        return {name: statistics.median(rates) for name, rates in found.items()}

    return office.world.token.on_token_thread(measure)


def _rate(work: Work, seconds: float) -> float:
    done, began = 0, time.thread_time()
    while (spent := time.thread_time() - began) < seconds or not done:
        made = work()
        done += made if isinstance(made, int) else 1
    return done / spent


if __name__ == "__main__":
    raise SystemExit(main())
