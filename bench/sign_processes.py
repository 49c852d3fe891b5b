"""Signing processes beside each other: each with its own login, each with the same wrapped key."""

from __future__ import annotations

import multiprocessing
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.interpreter import tune
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


def documents_per_second(
    count: int, settings: TokenSettings, url: str, office: Bureau, data: bytes, seconds: float
) -> float:
    context = multiprocessing.get_context("spawn")
    barrier, counts = context.Barrier(count), context.Queue()
    base = office.desk.authority.base_url
    job = (settings, url, base, office.credential.id, data, seconds, office.world.home)
    workers = [context.Process(target=_worker, args=(*job, barrier, counts)) for _ in range(count)]
    for worker in workers:
        worker.start()
    total = sum(counts.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join()
    return float(total) / seconds


def _worker(
    settings: TokenSettings,
    url: str,
    base_url: str,
    credential_id: str,
    data: bytes,
    seconds: float,
    home: Path,
    barrier: Any,
    counts: Any,
) -> None:
    """A process of its own: its own C_Initialize, one login, one thread for PKCS#11."""
    database, token = Database(url), Token.open(settings)
    try:
        authority = Authority(database, token, base_url=base_url)
        desk = desk_of(authority, database, token, home)
        credential = credentials.find(desk, credential_id)
        wrapped = opened(credential)

        def work() -> int:
            tune()
            done = 0
            with desk.custody.unwrapped(wrapped) as key:
                pen = Pen(signing.template_for(desk, credential), key, credential.name)
                barrier.wait()
                until = time.perf_counter() + seconds
                while time.perf_counter() < until:
                    _plain(desk, credential, pen, data)
                    done += 1
            return done

        counts.put(token.on_token_thread(work))
    finally:
        token.close()


def _plain(desk: Any, credential: Any, pen: Pen, data: bytes) -> None:
    with Document.open(Original.of(data), desk.limits) as document:
        document.require_signable()
        signing.write_signature(
            desk, document, SignatureRequest(), credential, pen, None, now=datetime.now(UTC)
        )
