"""The copy's QR code that can be checked without a network: made before anything is signed.

    assembled = with_code(office, intention, assembled, now=now, by=by)

1. The file is put together with a blank where the code will be (`certify.pages.assembly`).
2. Its SHA-256 goes, with number, unit and day, into a payload that the unit's key signs.
3. The code is stamped into the blank. What the person and the unit then sign holds the code too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from certify.errors import CertifyError
from certify.intention import Intention
from certify.office import Office
from certify.pages import code_image, code_seal
from certify.pages.assembly import Assembled
from certify.pages.code_keys import seal_for
from certify.pages.code_seal import Claims, Sealed

_LONGEST_PAYLOAD = 160
"""Octets of a payload whatever its numbers; the code's size must be known before them."""


def version_of(address: str) -> int:
    """The QR version that holds this address and any payload."""
    longest = f"{address}#{code_seal.fragment(bytes(_LONGEST_PAYLOAD))}"
    return code_image.version_for(len(longest.encode()))


def with_code(
    office: Office, intention: Intention, assembled: Assembled, *, now: datetime, by: str
) -> Assembled:
    """The file with its signed code; the code's text is kept with the evidence."""
    claims = Claims(
        unit=intention.unit,
        number=intention.number,
        volume=intention.volume,
        day=intention.day,
        digest=code_image.digest_of(assembled.pdf),
        size=len(assembled.pdf),
    )
    sealed = seal_for(office, claims, now=now, by=by)
    address = str(intention.frozen["address"])
    text = f"{address}#{code_seal.fragment(sealed)}"
    matrix = code_image.matrix_of(text, version_of(address))
    return replace(assembled, pdf=code_image.stamped(assembled.pdf, matrix), code=text)


def require_file(sealed: Sealed, file: bytes) -> None:
    """That this file is the copy the code speaks of. Raises `CertifyError`: `qr-file-differs`.

    Signatures and archive data come after the first `size` octets and are judged by themselves.
    """
    claims = sealed.claims
    if len(file) < claims.size or code_image.digest_of(file[: claims.size]) != claims.digest:
        raise CertifyError("qr-file-differs")
