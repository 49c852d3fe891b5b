"""XML from strangers, read so that it can do nothing: no DTD, no entity, no fetching, no bomb.

A first pass with expat looks at nothing but the shape and stops at the first thing that is out of
bounds; only then lxml builds the tree. Both must be able to read the document.
"""

from __future__ import annotations

from typing import Any, TypeAlias
from xml.parsers import expat

from lxml import etree

from records.errors import DomainError
from signer.errors import DocumentRefused

Element: TypeAlias = Any
"""An lxml element (lxml ships no types)."""
Tree: TypeAlias = Any

LARGEST = 64 << 20
_DEEPEST = 100
_MOST_ELEMENTS = 500_000
_MOST_ATTRIBUTES = 200
_MOST_PREFIXES = 64
_MOST_WORK = 400_000_000
_ENCODINGS = frozenset({"UTF-8", "UTF8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ASCII"})


class _OutOfBounds(Exception):
    """The document is refused; `code` says why."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params


def parse(data: bytes, refusal: type[DomainError] = DocumentRefused) -> Tree:
    """The tree of a harmless, well-formed document; raises `refusal` with what is wrong."""
    try:
        _look(data)
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            attribute_defaults=False,
            huge_tree=True,  # its limits are those of the first pass
            remove_comments=False,
            remove_pis=False,
        )
        return etree.ElementTree(etree.fromstring(data, parser))
    except _OutOfBounds as found:
        raise refusal(found.code, **found.params) from None
    except (expat.ExpatError, etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise refusal("xml-malformed", reason=str(error)[:120]) from None


def _look(data: bytes) -> None:
    if len(data) > LARGEST:
        raise _OutOfBounds("xml-too-large", limit_mb=LARGEST >> 20)
    reader = expat.ParserCreate(namespace_separator=" ")
    shape = _Shape()
    reader.XmlDeclHandler = shape.declaration
    reader.StartDoctypeDeclHandler = shape.doctype
    reader.StartElementHandler = shape.start
    reader.EndElementHandler = shape.end
    reader.StartNamespaceDeclHandler = shape.prefix
    reader.EndNamespaceDeclHandler = shape.prefix_end
    reader.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    reader.Parse(data, True)


class _Shape:
    """What the first pass counts."""

    def __init__(self) -> None:
        self.depth = self.elements = self.prefixes = self.work = 0

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() not in _ENCODINGS:
            raise _OutOfBounds("xml-encoding", encoding=encoding[:30])

    def doctype(self, *_: object) -> None:
        # Entities, external subsets, default attributes: nothing a signed document needs.
        raise _OutOfBounds("xml-doctype")

    def start(self, _name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > _DEEPEST:
            raise _OutOfBounds("xml-too-deep", limit=_DEEPEST)
        if self.elements > _MOST_ELEMENTS or len(attributes) > _MOST_ATTRIBUTES:
            raise _OutOfBounds("xml-too-many", limit=_MOST_ELEMENTS)
        # Canonicalisation looks at every prefix in scope at every element, and compares them.
        self.work += self.prefixes * self.prefixes
        if self.work > _MOST_WORK:
            raise _OutOfBounds("xml-too-many-namespaces", limit=_MOST_PREFIXES)

    def end(self, _name: str) -> None:
        self.depth -= 1

    def prefix(self, *_: object) -> None:
        self.prefixes += 1
        if self.prefixes > _MOST_PREFIXES:
            raise _OutOfBounds("xml-too-many-namespaces", limit=_MOST_PREFIXES)

    def prefix_end(self, *_: object) -> None:
        self.prefixes -= 1
