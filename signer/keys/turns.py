"""Who waits for whom: one attempt at a time for each credential within a process."""

from __future__ import annotations

import threading
import zlib

_LOCKS = 256


class Turns:
    """Locks by name, without keeping one for every name there ever was."""

    def __init__(self) -> None:
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def of(self, name: str) -> threading.Lock:
        """The lock of `name`; two names may share one, which only makes one of them wait."""
        return self._locks[zlib.crc32(name.encode()) % _LOCKS]
