"""What stands behind the last signature of a PDF, read to the letter.

Archive data and later updates may follow a signature, and nobody signs them. Readers forgive much
there: a wrong octet at the end of a cross-reference entry, a vertical tab between two words. Where
one forgives and the next does not they see different files, so nothing is forgiven (ISO 32000-2,
7.2.3, 7.5.4): such a file "needs repair".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from signer.verdicts.structure import Document

# Streams and strings may hold any octet; what is between them may not. NUL and form feed are white
# space to the standard (7.2.3) and the end of the text, or nothing, to some readers.
_OPENING = re.compile(rb"stream\r?\n|\(")
_STRING = re.compile(rb"\((?:\\.|[^\\()])*\)?", re.DOTALL)
_STRANGE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SUBSECTION = re.compile(rb"[\0\t\n\f\r ]*(\d{1,10}) (\d{1,10}) ?(?:\r\n|\r|\n)")
_ENTRY = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \r| \n|\r\n)")
_ENTRY_SIZE = 20


def is_exact(document: Document) -> bool:
    """Whether everything after what the last signature covers is exactly as the standard says."""
    start = max((one.end for one in document.signatures if one.intact), default=0)
    data = document.data
    if not start or start == len(data):
        return True
    xrefs = document.reader.xrefs
    places = {xrefs.get_startxref_for_revision(number) for number in range(xrefs.total_revisions)}
    in_use = {number for number, _generation in document.pdf.get_xref_table()}
    size = int(document.pdf.trailer.get("/Size", 0))

    def is_free(number: int) -> bool:
        return number < size and number not in in_use

    tables = all(_exact_table(data, place, is_free) for place in places if place >= start)
    return tables and not _strange(data, start, document.revisions[-1].end)


def _exact_table(data: bytes, place: int, is_free: Callable[[int], bool]) -> bool:
    """Each entry has its twenty octets; a free one leads to another free one (7.5.4)."""
    if not data.startswith(b"xref", place):
        return True  # a stream, which two parsers decoded
    at = place + len(b"xref")
    while head := _SUBSECTION.match(data, at):
        at = head.end()
        for number in range(int(head[1]), int(head[1]) + int(head[2])):
            entry = _ENTRY.fullmatch(data, at, at + _ENTRY_SIZE)
            if entry is None or (entry[3] == b"f" and not is_free(int(entry[1]))):
                return False
            if number == 0 and (entry[2], entry[3]) != (b"65535", b"f"):
                return False
            at += _ENTRY_SIZE
    return data[at : at + 32].lstrip(b"\0\t\n\f\r ").startswith(b"trailer")


def _strange(data: bytes, start: int, end: int) -> bool:
    """Whether a control character that not all take for white space stands between the words."""
    at = start
    while opening := _OPENING.search(data, at, end):
        if _STRANGE.search(data, at, opening.start()):
            return True
        if data[opening.start()] == ord("("):
            # A parenthesis inside begins a string of its own: nothing is looked at twice.
            string = _STRING.match(data, opening.start(), end)
            at = string.end() if string else opening.end()
        else:
            close = data.find(b"endstream", opening.end(), end)
            # Past the word: its end would pass for the opening of another stream.
            at = close + len(b"endstream") if close >= 0 else end
    return _STRANGE.search(data, at, end) is not None
