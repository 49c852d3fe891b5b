"""A file as it arrived, and how much of one is looked at."""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_HASH_CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What is refused unread. `bytes` bounds memory and time, `pages` the walk of the page tree."""

    bytes: int = 256 << 20
    pages: int = 20_000
    stream_bytes: int = 256 << 20
    fields: int = 20_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Original:
    """A file as it arrived, with the SHA-256 state over all of it: hashed once, at upload."""

    data: bytes | mmap.mmap = field(repr=False)
    state: Any = field(repr=False)
    path: Path | None = None

    @classmethod
    def of(cls, data: bytes | mmap.mmap, *, state: Any | None = None) -> Original:
        """`state` is a `hashlib.sha256()` that has already been fed exactly this data."""
        return cls(data, state if state is not None else hashlib.sha256(data))

    @classmethod
    def at(cls, path: Path) -> Original:
        """Mapped, not read: the kernel pages in what is looked at. Hashed in pieces beside it."""
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return cls(b"", hashlib.sha256())
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            state = hashlib.sha256()
            while piece := file.read(_HASH_CHUNK):
                state.update(piece)
        return cls(mapped, state, path)

    @property
    def sha256(self) -> bytes:
        return bytes(self.state.digest())

    def state_for(self, name: str) -> Any:
        """A hash state over the whole file; only SHA-256 is kept, another one reads it again."""
        return self.state.copy() if name == "sha256" else hashlib.new(name, self.data)

    def __len__(self) -> int:
        return len(self.data)
