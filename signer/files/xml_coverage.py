"""How much of a document a signature covers: everything, all but its frame, or only a part.

Signature wrapping moves the signed element aside and puts another in its place; the mathematics
still holds. So what is not signed is looked at too (Somorovsky et al., "On Breaking SAML", 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from signer.files.xml_names import BASE64, XML, ds, xades
from signer.files.xml_reading import Element
from signer.files.xml_references import Document, Reference

_STYLESHEET = "xml-stylesheet"
_SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}"
_FRAME_ATTRIBUTES = frozenset({"Id", "ID", "id", f"{{{XML}}}id", f"{{{XML}}}space"})


class Coverage(Enum):
    """WHOLE: every octet that matters. FRAME: only elements that hold nothing but signed ones
    stand outside (as in electronic invoices). PART: something with content is not signed.
    COUNTERSIGNED: another signature, which it confirms; the document is that one's matter."""

    WHOLE = "whole"
    FRAME = "frame"
    PART = "part"
    COUNTERSIGNED = "countersigned"


def coverage(
    document: Document,
    signature: Element,
    references: Sequence[Reference],
    files: frozenset[str] | None,
) -> Coverage:
    """`files` are the data files of a container, all of which must be referenced."""
    targets = [one.target for one in references if _wholly(one)]
    if not _objects_signed(signature, targets):
        return Coverage.PART
    external = {one.file_name for one in references if one.external}
    if files is not None:
        return Coverage.WHOLE if files <= external else Coverage.PART
    if not document.beside <= external:
        return Coverage.PART
    root = document.root
    if _styled(root) and all(one.uri for one in references):  # "" is the whole, with what is beside
        return Coverage.PART
    if root is signature:
        return Coverage.WHOLE if references else Coverage.PART
    if root in targets:
        return Coverage.WHOLE
    covered = {id(one) for one in targets}
    keep = [*targets]  # ids are of living elements
    framed = bool(keep or external) and _frame(root, covered)
    return Coverage.FRAME if framed else Coverage.PART


def _styled(root: Element) -> bool:
    """Whether an instruction beside the root says how to show the document: a browser follows
    xml-stylesheet, and then shows what the style says (W3C, Associating Style Sheets with XML)."""
    beside = (*root.itersiblings(preceding=True), *root.itersiblings())
    return any(getattr(one, "target", None) == _STYLESHEET for one in beside)


def _wholly(reference: Reference) -> bool:
    """In base64 only the text is signed: whole for a ds:Object, not for an element of the data."""
    target = reference.target
    if target is None:
        return False
    decodes = any(one.get("Algorithm") == BASE64 for one in reference.transforms)
    return not decodes or target.tag == ds("Object")


def _objects_signed(signature: Element, targets: Sequence[Element]) -> bool:
    """Every ds:Object is signed, or holds the qualifying properties and nothing else."""
    for one in signature.findall(ds("Object")):
        if any(one is each for each in targets):
            continue
        inside = list(one.iterchildren("*"))
        if inside and all(
            each.tag == xades("QualifyingProperties") or any(each is target for target in targets)
            for each in inside
        ):
            continue
        return False
    return True


def _frame(element: Element, covered: set[int]) -> bool:
    """Whether everything here is signed, a signature, or an element that only holds such."""
    if id(element) in covered or element.tag == ds("Signature"):
        return True
    if not isinstance(element.tag, str):
        return True  # comments and instructions say nothing to a reader of the data
    if (element.text or "").strip():
        return False
    if any(
        name not in _FRAME_ATTRIBUTES and not name.startswith(_SCHEMA) for name in element.attrib
    ):
        return False
    children = list(element)
    if not any(isinstance(one.tag, str) for one in children):
        return False
    return all(_frame(one, covered) and not (one.tail or "").strip() for one in children)
