"""A file as qpdf reads it, without repair, or why it is not read.

xref_at = located(original, limits)        # refused already: empty, too large, no PDF
pdf = strictly_read(original, limits)      # refused: damaged, encrypted
"""

from __future__ import annotations

import io
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pikepdf
from pikepdf import settings as pikepdf_settings

from signer.errors import DocumentRefused

if TYPE_CHECKING:
    import mmap

    from signer.pdf.original import Limits, Original

_TAIL = 2048
_HEAD = re.compile(rb"[\x00\t\n\f\r ]{0,8}0*(\d{1,10})\s{1,8}0*(\d{1,5})\s{1,8}obj")
_IN_USE = 1
_START = re.compile(rb"startxref\s+(\d{1,12})\s+%%EOF")
ODD = (
    pikepdf.PdfError,
    TypeError,
    ValueError,
    AttributeError,
    KeyError,
    RuntimeError,
    OverflowError,
)
"""What pikepdf and our reading of its objects raise over files that are not what they say."""


def located(original: Original, limits: Limits) -> int:
    """Where its newest cross-reference is; what needs no parser to be refused is refused."""
    data = original.data
    if not len(data):
        raise DocumentRefused("document-empty")
    if len(data) > limits.bytes:
        raise DocumentRefused("document-too-large", limit_mb=limits.bytes >> 20)
    if data[:5] != b"%PDF-":
        raise DocumentRefused("document-not-pdf")
    return _last_xref(data)


def strictly_read(original: Original, limits: Limits) -> pikepdf.Pdf:
    """The file as qpdf reads it without repairing anything; raises DocumentRefused."""
    _guard_parser(limits.stream_bytes)
    try:
        pdf = pikepdf.open(
            _readable(original), attempt_recovery=False, inherit_page_attributes=False
        )
    except pikepdf.PasswordError:
        raise DocumentRefused("document-encrypted") from None
    except (pikepdf.PdfError, ValueError, RuntimeError, OverflowError) as error:
        raise DocumentRefused("document-damaged", reason=reason(error)) from None
    try:
        rooted = isinstance(pdf.Root, pikepdf.Dictionary)
    except pikepdf.PdfError:
        rooted = False
    if not rooted or crossed(pdf, original.data):
        pdf.close()
        found = "cross-reference" if rooted else "no /Root"
        raise DocumentRefused("document-damaged", reason=found)
    return pdf


def crossed(pdf: pikepdf.Pdf, data: bytes | mmap.mmap) -> bool:
    """Whether a cross-reference entry leads to another object than the one it is for.

    qpdf then puts what it finds there in place of that other object, even while somebody walks
    through it, and the process dies (qpdf 12.4.2, found by fuzzing). So such a file is let go
    before anything in it is looked at.
    """
    return any(
        entry.type == _IN_USE
        and entry.offset is not None
        and (found := _HEAD.match(data, entry.offset)) is not None
        and (int(found[1]), int(found[2])) != place
        for place, entry in pdf.get_xref_table().items()
    )


def _last_xref(data: bytes | mmap.mmap) -> int:
    """Where the newest cross-reference begins, from the end of the file (ISO 32000-1 §7.5.5)."""
    at = data.rfind(b"startxref", max(0, len(data) - _TAIL))
    found = _START.match(data, at) if at >= 0 else None
    if found is None or not 0 < int(found[1]) < len(data):
        raise DocumentRefused("document-damaged", reason="startxref")
    return int(found[1])


@cache
def _guard_parser(stream_bytes: int) -> None:
    """A few kilobytes of Flate can claim gigabytes; the limit is the process's."""
    pikepdf_settings.set_qpdf_limits(
        flate_max_memory=stream_bytes,
        png_max_memory=stream_bytes,
        tiff_max_memory=stream_bytes,
        run_length_max_memory=stream_bytes,
    )


def _readable(original: Original) -> Any:
    if original.path is not None:
        return original.path
    return io.BytesIO(original.data)


def reason(error: Exception) -> str:
    """qpdf's words without the file's name, which may tell more than the reader should know."""
    return str(error).rsplit(": ", 1)[-1][:120]
