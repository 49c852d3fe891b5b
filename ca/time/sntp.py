"""Asking a time server how far this clock is off (SNTPv4, RFC 4330): a reference for the clock."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

_SINCE_1900 = 2_208_988_800
_CLIENT = 0x23  # version 4, mode 3
_SERVER_MODE = 4
_ALARM = 3


@dataclass(frozen=True)
class TimeServer:
    """One server of the operator's choosing; nothing is asked unless it is configured."""

    host: str
    port: int = 123
    timeout: float = 1.0
    wall: Callable[[], int] = time.time_ns

    @property
    def name(self) -> str:
        return self.host

    def offset(self) -> timedelta:
        """How far this clock is ahead; OSError for silence, nonsense or an unsure server."""
        cookie = secrets.token_bytes(8)
        question = bytes([_CLIENT]) + bytes(39) + cookie
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(self.timeout)
            line.connect((self.host, self.port))
            sent = self.wall()
            line.send(question)
            answer = line.recv(512)
            received = self.wall()
        if len(answer) < 48 or answer[24:32] != cookie:
            raise OSError("an answer to something else")
        if answer[0] & 7 != _SERVER_MODE or answer[0] >> 6 == _ALARM or not 0 < answer[1] < 16:
            raise OSError("the server does not know the time itself")
        arrived, left = (_nanoseconds(answer[start : start + 8]) for start in (32, 40))
        return timedelta(microseconds=((sent - arrived) + (received - left)) / 2000)


def _nanoseconds(stamp: bytes) -> int:
    seconds, fraction = int.from_bytes(stamp[:4]), int.from_bytes(stamp[4:])
    if seconds < _SINCE_1900:
        seconds += 1 << 32  # the era that begins in 2036 (RFC 4330 §3)
    return (seconds - _SINCE_1900) * 10**9 + (fraction * 10**9 >> 32)
