"""Signing processes beside each other: each with its own login, each with the same wrapped key."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from api.interpreter import tune
from bench.report import rate
from bench.sign_world import Bureau, desk_of, opened
from ca.authority import Authority
from hsm.token import Token, TokenSettings
from records.database import Database
from signer import signing
from signer.keys import credentials
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.signature import Pen
from signer.signing import SignatureRequest


@dataclass(frozen=True)
class Beside:
    """Medians per second: one process alone, and two at once, of documents and of bare signatures
    by the same two processes (what the machine itself gives)."""

    one: float
    two: float
    token_one: float
    token_two: float


def side_by_side(office: Bureau, data: bytes, *, rounds: int, seconds: float) -> Beside:
    """Two workers that live all along and are asked in turn: one, both, the other, both…

    What the machine does meanwhile falls on all four alike; starting is in none of them.
    """
    context = multiprocessing.get_context("spawn")
    settings, url = office.world.token.settings, str(office.world.database.engine.url)
    base = office.desk.authority.base_url
    job = (settings, url, base, office.credential.id, data, office.world.home)
    lines, workers = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        workers.append(context.Process(target=_worker, args=(*job, theirs)))
        workers[-1].start()
        lines.append(ours)
    for line in lines:
        _answer(line, 120.0)

    def together(asked: Sequence[Connection], what: str) -> float:
        for line in asked:
            line.send((what, seconds))
        return sum(_answer(line, 60.0 + seconds) for line in asked)

    found: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds):
        for what in ("documents", "token"):
            found.setdefault((what, 1), []).append(together([lines[number % 2]], what))
            found.setdefault((what, 2), []).append(together(lines, what))
    for line, worker in zip(lines, workers, strict=True):
        line.send(None)
        worker.join()
    middle = {key: statistics.median(values) for key, values in found.items()}
    return Beside(
        middle["documents", 1], middle["documents", 2], middle["token", 1], middle["token", 2]
    )


def _answer(line: Connection, seconds: float) -> float:
    if not line.poll(seconds):
        raise RuntimeError("a signing process does not answer")
    answer: float = line.recv()
    return answer


def _worker(
    settings: TokenSettings,
    url: str,
    base_url: str,
    credential_id: str,
    data: bytes,
    home: Path,
    line: Connection,
) -> None:
    """A process of its own: its own C_Initialize, one login, one thread for PKCS#11."""
    database, token = Database(url), Token.open(settings)
    try:
        authority = Authority(database, token, base_url=base_url)
        desk = desk_of(authority, database, token, home)
        credential = credentials.find(desk, credential_id)
        wrapped = opened(credential)
        template = signing.template_for(desk, credential)
        attributes = template.attributes(bytes(32))

        def work() -> None:
            tune()
            with desk.custody.unwrapped(wrapped) as key:
                pen = Pen(template, key, credential.name)
                works: dict[str, Callable[[], object]] = {
                    "documents": lambda: _plain(desk, credential, pen, data),
                    "token": lambda: pen.sign(attributes),
                }
                line.send(0.0)
                while (asked := line.recv()) is not None:
                    line.send(rate(works[asked[0]], asked[1]))

        token.on_token_thread(work)
    finally:
        token.close()


def _plain(desk: Any, credential: Any, pen: Pen, data: bytes) -> None:
    with Document.open(Original.of(data), desk.limits) as document:
        document.require_signable()
        signing.write_signature(
            desk, document, SignatureRequest(), credential, pen, None, now=datetime.now(UTC)
        )
