"""What an XML signature signs: references resolved, transformed, and the octets they come to.

XML Signature 1.1 §4.4.3. Only what is needed is understood: the whole document, one element by its
Id, an Object in base64, a file beside the signature. An Id that two elements bear, a transform
that is a program, a reference to anything on a network: refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote

from signer.files.xml_canonical import NotCanonical, canonical, without
from signer.files.xml_names import (
    ALL_SIGNATURES,
    BASE64,
    CANONICAL,
    DEFAULT_CANONICAL,
    DIGEST_NAMES,
    DS,
    ENVELOPED,
    FILTER,
    NOT_IN_A_SIGNATURE,
    SIGNED_PROPERTIES,
    XML,
    XPATH,
    ds,
)
from signer.files.xml_reading import Element, Tree, parse
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.mathematics import digest
from signer.verdicts.verdict import Rejected, SubIndication, Unreadable, fails

_ID_NAMES = ("Id", "ID", "id", f"{{{XML}}}id")
_MOST_TRANSFORMS = 5
_PREFIX_LIST = "{http://www.w3.org/2001/10/xml-exc-c14n#}InclusiveNamespaces"

Resolver = Callable[[str], bytes | None]
"""The octets of a file beside the signature, by the name in the reference."""


def refused(code: str, **params: object) -> Rejected:
    return Rejected(fails(code, SubIndication.FORMAT_FAILURE, **params))


@dataclass(frozen=True)
class Document:
    """A parsed document, its Ids, and the files that signatures in it may be about."""

    tree: Tree
    resolver: Resolver = field(default=lambda _name: None)
    digests: DocumentDigests | None = None
    beside: frozenset[str] = frozenset()
    """The names in references whose files were given beside the document."""
    by_name: bool = False
    """Whether each of them is known for the one it is: of several given, not of one alone."""

    @property
    def root(self) -> Element:
        return self.tree.getroot()

    @cached_property
    def signatures(self) -> list[Element]:
        return list(self.root.iter(ds("Signature")))

    @cached_property
    def _by_id(self) -> dict[str, Element | None]:
        """An Id borne twice leads nowhere: signature wrapping lives from it."""
        found: dict[str, Element | None] = {}
        for element in self.root.iter("*"):
            for value in {element.get(name) for name in _ID_NAMES} - {None}:
                found[value] = None if value in found else element
        return found

    def element(self, identifier: str) -> Element:
        if identifier not in self._by_id:
            raise Rejected(
                fails("validation-xml-reference-missing", SubIndication.SIGNED_DATA_NOT_FOUND)
            )
        found = self._by_id[identifier]
        if found is None:
            raise refused("validation-xml-id-doubled")
        return found


@dataclass(frozen=True)
class Reference:
    """One ds:Reference of a signature, read but not yet believed."""

    document: Document
    signature: Element
    uri: str
    kind: str | None
    transforms: tuple[Element, ...]
    digest: str
    value: bytes
    identifier: str | None

    @classmethod
    def read(cls, document: Document, signature: Element, element: Element) -> Reference:
        uri = element.get("URI")
        if uri is None:
            raise refused("validation-xml-reference", reason="URI")
        holder = element.find(ds("Transforms"))
        transforms = tuple(holder.findall(ds("Transform"))) if holder is not None else ()
        if len(transforms) > _MOST_TRANSFORMS:
            raise refused("validation-xml-transform", transform="…")
        return cls(
            document,
            signature,
            uri,
            element.get("Type"),
            transforms,
            digest_named(element.find(ds("DigestMethod"))),
            decoded(element.findtext(ds("DigestValue"))),
            element.get("Id"),
        )

    @property
    def is_properties(self) -> bool:
        return self.kind == SIGNED_PROPERTIES

    @property
    def external(self) -> bool:
        return bool(self.uri) and not self.uri.startswith("#")

    @property
    def file_name(self) -> str:
        return unquote(self.uri)

    @property
    def absent(self) -> bool:
        """Whether it is about a file beside the document of which nothing is at hand."""
        known = self.document.digests is not None or not self.external
        return not known and self.document.resolver(self.file_name) is None

    @cached_property
    def target(self) -> Element | None:
        """The element that is signed; None for a file beside the signature."""
        if self.external:
            return None
        if not self.uri:
            return self.document.root
        if self.uri.startswith("#xpointer"):
            raise refused("validation-xml-reference", reason="xpointer")
        return self.document.element(self.uri[1:])

    @cached_property
    def left_out(self) -> tuple[Element, ...]:
        """The signatures that the transforms leave out of what is signed."""
        names = [one.get("Algorithm") for one in self.transforms]
        if XPATH in names or FILTER in names:
            return tuple(one for one in self.document.signatures if _outermost(one))
        return (self.signature,) if ENVELOPED in names else ()

    def hashed(self) -> bytes:
        """The digest of what is signed; of a file that stays with its owner, the one given."""
        if self.document.digests is not None and self.target is None:
            if self.transforms:
                raise refused("validation-xml-transform", transform="a file by its digest")
            return self.document.digests.of(self.digest, self.file_name)
        return digest(self.digest, self.octets())

    def octets(self, default: str = DEFAULT_CANONICAL) -> bytes:
        """What is hashed. `default` canonicalises what no transform has made octets of."""
        if self.target is None:
            return self._file()
        method, prefixes = default, tuple[str, ...]()
        for one in self.transforms:
            name = one.get("Algorithm")
            if name in CANONICAL:
                method, prefixes = name, _prefixes(one)
            elif name == BASE64:
                if len(self.target):
                    raise refused("validation-xml-base64")
                return decoded(self.target.text)
            elif name in (XPATH, FILTER):
                _require_known_xpath(one, name)
            elif name != ENVELOPED:
                raise refused("validation-xml-transform", transform=str(name)[:80])
        with ExitStack() as stack:
            inside = [one for one in self.left_out if _within(one, self.target)]
            try:
                stack.enter_context(without(inside))
                return canonical(self.target, method, prefixes, whole=not self.uri, comments=False)
            except NotCanonical as found:
                raise refused("validation-xml-transform", transform=str(found)[:80]) from None

    def _file(self) -> bytes:
        content = self.document.resolver(self.file_name)
        if content is None:
            missing = SubIndication.SIGNED_DATA_NOT_FOUND
            raise Rejected(fails("validation-content-missing", missing))
        for one in self.transforms:
            name = one.get("Algorithm")
            if name not in CANONICAL:
                raise refused("validation-xml-transform", transform=str(name)[:80])
            content = canonical(
                parse(content, Unreadable).getroot(), name, _prefixes(one), whole=True
            )
        return content


def digest_named(method: Element | None) -> str:
    """The digest of a DigestMethod; raises Rejected for one that is not known."""
    uri = method.get("Algorithm") if method is not None else None
    name = DIGEST_NAMES.get(str(uri))
    if name is None:
        sub = SubIndication.CRYPTO_CONSTRAINTS_FAILURE
        raise Rejected(fails("validation-unknown-algorithm", sub, algorithm=str(uri)[:80]))
    return name


def decoded(text: str | None) -> bytes:
    """Base64 as XML writes it, with white space anywhere."""
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise refused("validation-xml-base64") from None


def _prefixes(transform: Element) -> tuple[str, ...]:
    listed = transform.find(_PREFIX_LIST)
    found = (listed.get("PrefixList") or "").split() if listed is not None else ()
    return tuple(found)


def _require_known_xpath(transform: Element, name: str) -> None:
    """One meaning is understood, because it can be known by sight: everything but signatures.

    As XPath (XML Signature §6.6.3) and as XPath Filter 2.0, which EU DSS writes.
    """
    held = list(transform.iterchildren("*"))
    tag = ds("XPath") if name == XPATH else f"{{{FILTER}}}XPath"
    if len(held) == 1 and held[0].tag == tag and not len(held[0]):
        known = NOT_IN_A_SIGNATURE if name == XPATH else ALL_SIGNATURES
        subtracts = name == XPATH or held[0].get("Filter") == "subtract"
        text = "".join((held[0].text or "").split())
        for prefix, uri in held[0].nsmap.items():
            if prefix and uri == DS and subtracts and text == known.replace("ds:", f"{prefix}:"):
                return
    raise refused("validation-xml-transform", transform="XPath")


def _outermost(signature: Element) -> bool:
    return next(signature.iterancestors(ds("Signature")), None) is None


def _within(element: Element, ancestor: Element) -> bool:
    return any(one is ancestor for one in _upwards(element))


def _upwards(element: Element) -> Iterator[Element]:
    node: Element | None = element
    while node is not None:
        yield node
        node = node.getparent()
