"""What the time-stamps of a XAdES signature are over (EN 319 132-1 §5.3 and §5.5.2.2).

Signing asks for these octets to have them stamped, validation asks for them to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from signer.files.xml_canonical import canonical
from signer.files.xml_names import ds, xades
from signer.files.xml_reading import Element
from signer.files.xml_references import Reference


def signature_imprint(signature: Element, algorithm: str) -> bytes:
    """SignatureTimeStamp: the canonical ds:SignatureValue."""
    return canonical(signature.find(ds("SignatureValue")), algorithm)


def archive_imprint(
    signature: Element,
    references: Sequence[Reference],
    algorithm: str,
    *,
    before: Element | None = None,
) -> bytes:
    """ArchiveTimeStamp (not distributed): everything signed, the signature, what was added so far.

    `before` is the time-stamp itself when it is already there: only what precedes it counts.
    """
    octets = [one.octets(default=algorithm) for one in references]
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        element = signature.find(ds(name))
        if element is not None:
            octets.append(canonical(element, algorithm))
    for one in unsigned_properties(signature):
        if one is before:
            break
        octets.append(canonical(one, algorithm))
    for holder in signature.findall(ds("Object")):
        if holder.find(xades("QualifyingProperties")) is None:
            octets.append(canonical(holder, algorithm))
    return b"".join(octets)


def unsigned_properties(signature: Element) -> Iterator[Element]:
    """The unsigned signature properties, in order."""
    path = "/".join(
        (
            ds("Object"),
            xades("QualifyingProperties"),
            xades("UnsignedProperties"),
            xades("UnsignedSignatureProperties"),
        )
    )
    for holder in signature.findall(path):
        yield from holder.iterchildren("*")
