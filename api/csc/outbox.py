"""Messages to holders: one-time codes and requests to approve, on their way to a gateway.

    outbox.send(Message(to="thu@example.gov.vn", subject=…, text=…, until=…), now=now)

The spool is a directory of small JSON files that only their owner can read; a mail or SMS gateway
takes them from there and removes them. A message holds a secret for some minutes, so it is never
in the database, the log or the audit trail, and what nobody fetched is removed when it expires.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from records.errors import RecordsError


@dataclass(frozen=True)
class Message:
    """`until` is when it stops being of use."""

    to: str
    subject: str
    text: str = field(repr=False)
    until: datetime


class Outbox(Protocol):
    """What remote signing needs of a way to reach people."""

    def send(self, message: Message, *, now: datetime) -> None: ...


class SpoolOutbox:
    """The directory; several processes may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written = itertools.count()

    def send(self, message: Message, *, now: datetime) -> None:
        """Write a message where the gateway looks; RecordsError `disk-full` when it cannot be."""
        # Oldest first by name, also within one second.
        name = f"{now:%Y%m%dT%H%M%S%f}-{next(self._written):06d}-{secrets.token_hex(8)}"
        body = {**asdict(message), "until": message.until.isoformat()}
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._directory / f".{name}.part"
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(body, file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self._directory / f"{name}.json")
        except OSError as error:
            raise RecordsError("disk-full", place=self._directory) from error

    def waiting(self) -> Iterator[Message]:
        """What lies in the spool, oldest first: for a gateway in Python, and for tests."""
        for path in sorted(self._directory.glob("*.json")):
            body = json.loads(path.read_text("utf-8"))
            yield Message(**{**body, "until": datetime.fromisoformat(body["until"])})

    def purge(self, *, now: datetime) -> int:
        """Remove what has expired; returns how many."""
        removed = 0
        for path in self._directory.glob("*.json"):
            try:
                until = datetime.fromisoformat(json.loads(path.read_text("utf-8"))["until"])
            except FileNotFoundError:
                continue  # the gateway was quicker
            if until <= now:
                path.unlink(missing_ok=True)
                removed += 1
        return removed
