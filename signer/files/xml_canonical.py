"""The canonical octets of a document or an element (Canonical XML 1.0, 1.1, exclusive).

libxml2 writes them; two things it cannot know from lxml are done here: the `xml:` attributes that
an element inherits in the inclusive forms, and leaving signatures out for a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from lxml import etree

from signer.files.xml_names import CANONICAL, XML
from signer.files.xml_reading import Element

_INHERITED_1_1 = frozenset({f"{{{XML}}}lang", f"{{{XML}}}space"})
_BASE = f"{{{XML}}}base"


class NotCanonical(Exception):
    """The algorithm is not one of ours, or the document needs what it cannot do."""


def canonical(
    element: Element,
    algorithm: str,
    prefixes: Sequence[str] = (),
    *,
    whole: bool = False,
    comments: bool = True,
) -> bytes:
    """The octets of `element` and all below it, with comments where the algorithm keeps them.

    A reference inside the document never does (XML Signature 1.1 §4.4.3.3): `comments` is False.

    `whole` is the document of that root, with the instructions beside it; `prefixes` is the
    InclusiveNamespaces PrefixList of the exclusive form.
    """
    method = CANONICAL.get(algorithm)
    if method is None:
        raise NotCanonical(algorithm)
    with _inherited(element, inclusive=not method.exclusive, version_1_1=method.version_1_1):
        try:
            written: bytes = etree.tostring(
                element.getroottree() if whole else element,
                method="c14n",
                exclusive=method.exclusive,
                with_comments=method.comments and comments,
                inclusive_ns_prefixes=list(prefixes) if method.exclusive and prefixes else None,
            )
        except etree.C14NError as error:  # for instance a namespace named by a relative URI
            raise NotCanonical(str(error)) from None
    return written


@contextmanager
def _inherited(element: Element, *, inclusive: bool, version_1_1: bool) -> Iterator[None]:
    """C14N 1.0 §2.4: a subset's apex shows the `xml:` attributes of what is above it."""
    added = []
    above = element.getparent() if inclusive else None
    while above is not None:
        for name, value in above.attrib.items():
            if not name.startswith(f"{{{XML}}}") or name in element.attrib:
                continue
            if version_1_1 and name == _BASE:
                raise NotCanonical("xml:base")
            if not version_1_1 or name in _INHERITED_1_1:
                element.set(name, value)
                added.append(name)
        above = above.getparent()
    try:
        yield
    finally:
        for name in added:
            del element.attrib[name]


@contextmanager
def without(elements: Iterable[Element]) -> Iterator[None]:
    """The tree as if these elements were not in it; all is as before afterwards."""
    taken = []
    try:
        for one in elements:
            parent = one.getparent()
            if parent is None:
                raise NotCanonical("a document that is nothing but its signature")
            before = one.getprevious()
            position, tail = parent.index(one), one.tail
            host = parent if before is None else before
            text = host.text if before is None else host.tail
            taken.append((one, parent, position, tail, host, before is None, text))
            parent.remove(one)
            if tail:
                joined = (text or "") + tail
                if before is None:
                    host.text = joined
                else:
                    host.tail = joined
        yield
    finally:
        for one, parent, position, tail, host, first, text in reversed(taken):
            parent.insert(position, one)
            one.tail = tail
            if first:
                host.text = text
            else:
                host.tail = text
