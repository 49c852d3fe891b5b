"""Where a revision's objects are: a classic table or a cross-reference stream, and its trailer.

ISO 32000-1 §7.5.4, §7.5.5 and §7.5.8. A revision follows the manner of the file it is appended to.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from signer.pdf.syntax import closed_stream, raw, written_name

_NOT_CARRIED = frozenset(
    ("/Prev", "/XRefStm", "/Size", "/Type", "/W", "/Index", "/Length", "/Filter", "/DecodeParms")
)

Offsets: TypeAlias = dict[int, tuple[int, int]]
"""Where each object of a revision begins, and its generation."""


class Section(NamedTuple):
    """One cross-reference section: where it begins and the one before it, the file's /Size now, and
    what its trailer repeats."""

    at: int
    previous: int
    size: int
    carried: bytes

    def table(self, offsets: Offsets) -> bytes:
        """From `xref` to `%%EOF`."""
        lines = [b"xref\n"]
        for run in _runs(offsets):
            lines.append(b"%d %d\n" % (run[0], len(run)))
            lines += [b"%010d %05d n \n" % offsets[one] for one in run]
        lines.append(
            b"trailer\n<</Size %d/Prev %d%s>>\nstartxref\n%d\n%%%%EOF\n"
            % (self.size, self.previous, self.carried, self.at)
        )
        return b"".join(lines)

    def stream(self, number: int, offsets: Offsets) -> bytes:
        """Object `number`, which lists itself too."""
        offsets = {**offsets, number: (self.at, 0)}
        table = b"".join(
            b"\x01" + offset.to_bytes(4, "big") + generation.to_bytes(2, "big")
            for _, (offset, generation) in sorted(offsets.items())
        )
        index = b" ".join(b"%d %d" % (run[0], len(run)) for run in _runs(offsets))
        head = b"%d 0 obj\n<</Type/XRef/W[1 4 2]/Index[%s]/Size %d/Prev %d%s/Length %d>>\n" % (
            number, index, self.size, self.previous, self.carried, len(table),
        )  # fmt: skip
        tail = b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % self.at
        return b"".join((head, b"stream\n", closed_stream(table), tail))


def carried(trailer: Any) -> bytes:
    """What a new trailer repeats of the old one (ISO 32000-1 §7.5.6)."""
    return b"".join(
        written_name(key) + b" " + raw(trailer[key])
        for key in sorted(trailer.keys() - _NOT_CARRIED)
    )


def _runs(numbers: Offsets) -> list[list[int]]:
    runs: list[list[int]] = []
    last = -2
    for number in sorted(numbers):
        if number != last + 1:
            run: list[int] = []
            runs.append(run)
        run.append(number)
        last = number
    return runs
