"""DER that differs in a few places only: written once, then filled in.

    answer = Form(lambda tbs, signature: der.sequence(tbs, ALGORITHM, der.bit_string(signature)))
    answer(tbs, signature)      # the same octets, without building them piece by piece

The function says what the form is, and stays the truth: for each combination of lengths it is
called once, with marks in place of the values, and what stands around the marks (tags, lengths,
everything constant) is kept. DER's lengths depend on lengths only, so another value of the same
length changes nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

_SHORTEST = 8
"""A shorter mark could stand in the form by chance: such parts are written the long way."""
_KEPT = 1_024


class Form:
    """`write` must put each part into its result once, in the order given, and as it is."""

    __slots__ = ("_known", "_write")

    def __init__(self, write: Callable[..., bytes]) -> None:
        self._write = write
        self._known: dict[tuple[int, ...], bytes] = {}

    def __call__(self, *parts: bytes) -> bytes:
        sizes = tuple(map(len, parts))
        form = self._known.get(sizes)
        if form is None:
            if min(sizes) < _SHORTEST:
                return self._write(*parts)
            form = self._learnt(sizes)
        return form % parts

    def _learnt(self, sizes: tuple[int, ...]) -> bytes:
        marks = [secrets.token_bytes(size) for size in sizes]
        rest, form = self._write(*marks), b""
        for mark in marks:
            before, found, rest = rest.partition(mark)
            if not found:
                raise ValueError("a form must contain each of its parts, in their order")
            form += before.replace(b"%", b"%%") + b"%b"
        form += rest.replace(b"%", b"%%")
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[sizes] = form
        return form
