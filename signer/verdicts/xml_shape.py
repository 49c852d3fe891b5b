"""What may stand in a ds:Signature, and where: nothing that nobody signs and somebody may read.

XML Signature 1.1 §4 and the schema of EN 319 132-1. A canonical form without comments joins the
text around one, a parser gives the text before it: "2026-11-02<!---->T08:00Z" was signed whole and
would be read as midnight. Text between elements is nobody's claim, and is shown by whatever shows
the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from signer.files.xml_names import ds, xades
from signer.files.xml_reading import Element
from signer.files.xml_references import refused

_CHILDREN = tuple(map(ds, ("SignedInfo", "SignatureValue", "KeyInfo", "Object")))
_OF_QUALIFYING = tuple(map(xades, ("SignedProperties", "UnsignedProperties")))
_OF_UNSIGNED = tuple(map(xades, ("UnsignedSignatureProperties", "UnsignedDataObjectProperties")))
_SIGNED = frozenset({xades("SignedProperties")})


def require_shape(signature: Element) -> None:
    """Raises Rejected (FORMAT_FAILURE) for anything but what the standards put there."""
    _require_order(signature, _CHILDREN, repeated=ds("Object"))
    for holder in signature.findall(ds("Object")):
        qualifying = holder.findall(xades("QualifyingProperties"))
        for one in qualifying:
            _require_order(one, _OF_QUALIFYING)
            for unsigned in one.findall(xades("UnsignedProperties")):
                _require_order(unsigned, _OF_UNSIGNED)
    for one in _own(signature):
        _require_plain(one)


def _require_order(holder: Element, names: tuple[str, ...], repeated: str = "") -> None:
    """Each child of a name that is expected, in that order, once unless it is `repeated`."""
    tags = [each.tag for each in holder.iterchildren("*")]
    places = [names.index(each) if each in names else len(names) for each in tags]
    once = [each for each in tags if each != repeated]
    if len(names) in places or places != sorted(places) or len(set(once)) < len(once):
        raise refused("validation-xml-structure", part=_local(holder))


def _own(element: Element) -> Iterator[Element]:
    """The element and what it holds, without signed data and without other signatures."""
    yield element
    for one in element.iterchildren("*"):
        data = one.tag == ds("Object") and one.find(xades("QualifyingProperties")) is None
        if not data and one.tag != ds("Signature"):
            yield from _own(one)


def _require_plain(element: Element) -> None:
    """Either elements or text; no comment in a text. What is signed may mix its elements."""
    children = list(element)
    if not children:
        return
    mixed = any((text or "").strip() for text in (element.text, *(one.tail for one in children)))
    elements = any(isinstance(one.tag, str) for one in children)
    if mixed and not (elements and _is_signed(element)):
        raise refused("validation-xml-structure", part=_local(element))


def _is_signed(element: Element) -> bool:
    return any(one.tag in _SIGNED for one in (element, *element.iterancestors()))


def _local(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1][:40]
