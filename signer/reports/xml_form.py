"""The JSON of a report as DSS's XML: the same members, as its schemas order and nest them.

JSON drops the wrappers that the schemas have around lists (`Signatures` around `Signature`) and
does not tell attributes from elements. Members are made in the schemas' order, so only those two
things have to be known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from lxml import etree

from signer.reports.naming import Json

_ATTRIBUTES = frozenset(
    {
        "ValidationTime", "Id", "Key", "name", "scope", "CounterSignature", "ParentId",
        "SignatureFormat", "trusted", "sunsetDate", "description", "Type", "Title", "BlockType",
        "TokenId", "TrustAnchor", "SelfSigned", "ProductionTime", "LatestAcceptableRevocationId",
        "Certificate", "Revocation", "Timestamp", "SignerData", "Token", "Category", "Format",
        "OID", "critical", "CA", "pathLenConstraint", "match", "type", "uri", "valid",
        "consistent", "key", "subjectName", "present", "HashOnly", "DocHashOnly",
    }
)  # fmt: skip
_ELEMENTS = frozenset(
    {
        ("PDFSignatureDictionary", "Type"), ("Revocation", "Type"), ("RelatedRevocation", "Type"),
        ("Signature", "SignatureFormat"),
        ("Certificate", "SelfSigned"),
    }
)  # fmt: skip
"""What is an element in spite of its name, by the element that holds it (diagnostic data)."""
_WRAPPERS = {
    ("DiagnosticData", "Signature"): "Signatures",
    ("DiagnosticData", "Certificate"): "UsedCertificates",
    ("DiagnosticData", "Revocation"): "UsedRevocations",
    ("DiagnosticData", "Timestamp"): "UsedTimestamps",
    ("DiagnosticData", "SignerData"): "OriginalDocuments",
    ("Signature", "DigestMatcher"): "DigestMatchers",
    ("Signature", "ChainItem"): "CertificateChain",
    ("Signature", "FoundTimestamp"): "FoundTimestamps",
    ("Signature", "SignatureScope"): "SignatureScopes",
    ("Certificate", "Source"): "Sources",
    ("Certificate", "ChainItem"): "CertificateChain",
    ("Certificate", "certificateExtensions"): "CertificateExtensions",
    ("Revocation", "ChainItem"): "CertificateChain",
    ("Timestamp", "ChainItem"): "CertificateChain",
    ("Timestamp", "TimestampedObject"): "TimestampedObjects",
}
_CHOICES = frozenset({"signatureOrTimestampOrEvidenceRecord", "certificateExtensions"})
"""Lists whose items name themselves: `[{"Signature": …}, {"Timestamp": …}]`."""


class Root(StrEnum):
    """The three reports of DSS that have their own schema."""

    SIMPLE = "SimpleReport"
    DETAILED = "DetailedReport"
    DIAGNOSTIC = "DiagnosticData"

    @property
    def namespace(self) -> str:
        own = {"SimpleReport": "simple-report", "DetailedReport": "detailed-report"}
        return f"http://dss.esig.europa.eu/validation/{own.get(self.value, 'diagnostic')}"


def to_xml(root: Root, report: Json) -> bytes:
    """The document, in UTF-8."""
    element = etree.Element(f"{{{root.namespace}}}{root.value}", nsmap={None: root.namespace})
    _fill(element, root.value, report, root)
    made: bytes = etree.tostring(element, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return made


def _fill(element: Any, name: str, members: Mapping[str, Any], root: Root) -> None:
    for member, value in members.items():
        if value is None or (value == [] and (name, member) not in _WRAPPERS):
            continue
        if member == "value" and not isinstance(value, Mapping):
            element.text = _text(value)
        elif _is_attribute(name, member, value, root):
            element.set(member, _text(value))
        else:
            _append(element, name, member, value, root)


def _append(element: Any, name: str, member: str, value: Any, root: Root) -> None:
    space = f"{{{root.namespace}}}"
    wrapper = _WRAPPERS.get((name, member)) if root is Root.DIAGNOSTIC else None
    holder = etree.SubElement(element, space + wrapper) if wrapper else element
    for one in value if isinstance(value, list) else [value]:
        if member in _CHOICES:
            _fill(holder, wrapper or name, one, root)
            continue
        child = etree.SubElement(holder, space + member)
        if isinstance(one, Mapping):
            _fill(child, member, one, root)
        else:
            child.text = _text(one)


def _is_attribute(name: str, member: str, value: object, root: Root) -> bool:
    if member not in _ATTRIBUTES or isinstance(value, list | Mapping):
        return False
    if (name, member) == ("Timestamp", "ProductionTime"):
        return False
    return not (root is Root.DIAGNOSTIC and (name, member) in _ELEMENTS)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(str, value))
    # XML 1.0 has no place for most control characters; a name in a certificate may hold one.
    return "".join(one if one in "\t\n\r" or one >= " " else "\ufffd" for one in str(value))
