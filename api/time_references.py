"""What the time-stamp authority holds its clock against, from the settings.

`DAUSO_CLOCK_REFERENCES` is a list of `kernel` (what chrony or ntpd told the kernel) and time
servers (`ntp.example.vn`, `192.0.2.1:123`); `none` for a machine on its own; `auto`, the default,
takes the kernel where something keeps it synchronised when the service starts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ca.time.clock import KernelClock, Reference
from ca.time.sntp import TimeServer

AUTO, NONE, KERNEL = "auto", "none", "kernel"
_NTP_PORT = 123
_SERVER = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))(?::([0-9]{1,5}))?")


def readable(words: Sequence[str]) -> bool:
    """Whether every word can be understood; `auto` and `none` stand alone."""
    if any(word in (AUTO, NONE) for word in words):
        return len(words) == 1
    return bool(words) and all(_SERVER.fullmatch(word) is not None for word in words)


def references(words: Sequence[str]) -> tuple[Reference, ...]:
    """The references named; an empty tuple for `none`, and for `auto` without a kernel's."""
    if list(words) == [NONE]:
        return ()
    if list(words) == [AUTO]:
        try:
            KernelClock().offset()
        except OSError:
            return ()
        return (KernelClock(),)
    return tuple(_reference(word) for word in words)


def _reference(word: str) -> Reference:
    if word == KERNEL:
        return KernelClock()
    host, _, port = word.partition(":")
    return TimeServer(host, int(port or _NTP_PORT))
