"""One ds:Signature taken apart: each part strictly where it belongs, and everything it signs.

XML Signature 1.1 §4, EN 319 132-1. Nothing here is believed yet: `validation_xades` checks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from signer.files.xades_imprint import unsigned_properties
from signer.files.xml_names import ds, xades
from signer.files.xml_reading import Element
from signer.files.xml_references import Document, Reference, decoded, refused

_MOST_REFERENCES = 1_000
_MANIFEST = ds("Manifest")


@dataclass(frozen=True)
class XmlSignature:
    """One ds:Signature with its parts found strictly where they belong."""

    document: Document
    element: Element
    files: frozenset[str] | None

    def child(self, name: str) -> Element:
        found = self.element.findall(ds(name))
        if len(found) != 1:
            raise refused("validation-xml-structure", part=name)
        return found[0]

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        found = self.child("SignedInfo").findall(ds("Reference"))
        if not 1 <= len(found) <= _MOST_REFERENCES:
            raise refused("validation-xml-structure", part="Reference")
        return tuple(Reference.read(self.document, self.element, one) for one in found)

    @cached_property
    def signed_properties(self) -> Element:
        """The one SignedProperties of this signature, which exactly one reference must sign."""
        found = self.element.findall(
            "/".join((ds("Object"), xades("QualifyingProperties"), xades("SignedProperties")))
        )
        own = [one for one in self.references if one.is_properties]
        if len(found) != 1 or len(own) != 1 or own[0].target is not found[0]:
            raise refused("validation-xml-structure", part="SignedProperties")
        properties: Element = found[0]
        if properties.getparent().get("Target") != f"#{self.element.get('Id')}":
            raise refused("validation-xml-structure", part="QualifyingProperties")
        return properties

    @cached_property
    def bag(self) -> tuple[bytes, ...]:
        path = "/".join((ds("KeyInfo"), ds("X509Data"), ds("X509Certificate")))
        return tuple(decoded(one.text) for one in self.element.findall(path))

    @cached_property
    def signed_data_references(self) -> tuple[Reference, ...]:
        """What it signs beside its own properties: by itself, or by a list that it signs."""
        return tuple(one for one in (*self.references, *self.listed) if not one.is_properties)

    @cached_property
    def listed(self) -> tuple[Reference, ...]:
        """The entries of each ds:Manifest that is signed (XML Signature 1.1 §5.1).

        The standard leaves it to the application whether they are checked. Here whoever signs
        a list of digests has signed what has them: a file that differs must never pass.
        """
        found: list[Element] = []
        for manifest in self._manifests():
            found += manifest.findall(ds("Reference"))
        if len(found) > _MOST_REFERENCES:
            raise refused("validation-xml-structure", part="Manifest")
        entries = tuple(Reference.read(self.document, self.element, one) for one in found)
        if any(one.target is not None and one.target.tag == _MANIFEST for one in entries):
            raise refused("validation-xml-structure", part="Manifest")  # a list of lists
        return entries

    def _manifests(self) -> Iterator[Element]:
        for one in self.references:
            if one.target is None:
                continue
            if one.target.tag == _MANIFEST:
                yield one.target
            elif one.target.tag == ds("Object"):
                yield from one.target.findall(_MANIFEST)

    @property
    def files_beside(self) -> frozenset[str]:
        """The names of all files outside the document that it is about."""
        return frozenset(one.file_name for one in self.signed_data_references if one.external)

    @property
    def is_counter(self) -> bool:
        """Whether it stands where counter-signatures stand: among what another does not sign."""
        holder = self.element.getparent()
        around = self._around
        return (
            around is not None
            and holder.tag == xades("CounterSignature")
            and any(holder is one for one in unsigned_properties(around))
        )

    @cached_property
    def countersigns(self) -> bool:
        """Whether it is one, and signs the ds:SignatureValue of the signature around it
        (EN 319 132-1 §5.2.7.2)."""
        around = self._around if self.is_counter else None
        value = around.find(ds("SignatureValue")) if around is not None else None
        return value is not None and any(one.target is value for one in self.references)

    @property
    def _around(self) -> Element | None:
        return next(self.element.iterancestors(ds("Signature")), None)
