"""Serial numbers of certificates and time-stamps: unpredictable, of one length, drawn in advance.

Each is 126 random bits of the operating system in 16 octets: positive, never shortened (CA/B BR
7.1 asks for 64 bits). Asking the system gives the interpreter to another thread, which may keep
it for longer than a signature takes: so many are drawn at once.
"""

from __future__ import annotations

import os
from collections import deque

_OCTETS = 16
_AT_ONCE = 256

_drawn: deque[bytes] = deque()
# A forked child must not give the same ones.
os.register_at_fork(after_in_child=_drawn.clear)


def new_serial() -> int:
    """A number between 2**126 and 2**127 that nobody else draws."""
    try:
        octets = _drawn.popleft()
    except IndexError:
        fresh = os.urandom(_OCTETS * _AT_ONCE)
        octets, *rest = (fresh[at : at + _OCTETS] for at in range(0, len(fresh), _OCTETS))
        _drawn.extend(rest)
    return int.from_bytes(octets, "big") >> 2 | 1 << 126
