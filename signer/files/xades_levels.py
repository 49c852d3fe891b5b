"""A XAdES signature raised from level to level, by what nobody signed (EN 319 132-1 §5.3 to §5.5).

    raise_level(document, signature, Level.B_LTA, evidence=…, time_stamper=desk.tsa, now=now)

The octets that a time-stamp is over come from `xades_imprint`, which validation uses too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from lxml import etree

from signer.errors import SignerError
from signer.files.formats import Canonicalization
from signer.files.xades_imprint import archive_imprint, signature_imprint, unsigned_properties
from signer.files.xml_names import PREFIXES, XADES_141, ds, xades, xades141
from signer.files.xml_reading import Element
from signer.files.xml_references import Document, Reference
from signer.levels import Level

if TYPE_CHECKING:
    from signer.pdf.dss import Material
    from signer.signature import TimeStamper

_STAMPED_AS = Canonicalization.EXCLUSIVE.value
_STAMP_DIGEST = "sha256"


def raise_level(
    document: Document,
    signature: Element,
    level: Level,
    *,
    evidence: Callable[[], Material],
    time_stamper: TimeStamper | None,
    now: datetime,
) -> None:
    """From B-B to `level`; `evidence` is asked after the signature's time-stamp."""
    if not level.time_stamped:
        return
    stamp_signature(signature, time_stamper, now=now)
    if level.long_term:
        store(signature, evidence())
    if level.archived and time_stamper is not None:
        archive(document, signature, time_stamper, now=now)


def stamp_signature(signature: Element, time_stamper: TimeStamper | None, *, now: datetime) -> None:
    """Level B-T: a SignatureTimeStamp (§5.3)."""
    if time_stamper is None:
        raise SignerError("time-stamping-not-configured")
    octets = signature_imprint(signature, _STAMPED_AS)
    holder = add(_unsigned(signature), "xades:SignatureTimeStamp")
    _stamp(holder, octets, time_stamper, now=now)


def store(signature: Element, material: Material) -> None:
    """Level B-LT: CertificateValues and RevocationValues (§5.4.2, §5.4.4).

    Each stands once; what comes later goes into TimeStampValidationData (§5.5.1).
    """
    unsigned = _unsigned(signature)
    present = {one.tag for one in unsigned_properties(signature)}
    certificates, crls, ocsp = material.certificates, material.crls, material.ocsp
    if present & {xades("CertificateValues"), xades("RevocationValues")}:
        if not certificates and not crls and not ocsp:
            return
        unsigned = etree.SubElement(
            unsigned, xades141("TimeStampValidationData"), nsmap={"xades141": XADES_141}
        )
    if certificates:
        values = add(unsigned, "xades:CertificateValues")
        for one in certificates:
            held = add(values, "xades:EncapsulatedX509Certificate")
            held.text = base64.b64encode(one).decode()
    if not crls and not ocsp:
        return
    revocation = add(unsigned, "xades:RevocationValues")
    for name, found in (("CRL", crls), ("OCSP", ocsp)):
        if found:
            values = add(revocation, f"xades:{name}Values")
            for one in found:
                held = add(values, f"xades:Encapsulated{name}Value")
                held.text = base64.b64encode(one).decode()


def archive(
    document: Document, signature: Element, time_stamper: TimeStamper, *, now: datetime
) -> None:
    """Level B-LTA: an ArchiveTimeStamp over all of it (§5.5.2); again to renew it."""
    info = signature.find(ds("SignedInfo"))
    references = [Reference.read(document, signature, one) for one in info.findall(ds("Reference"))]
    octets = archive_imprint(signature, references, _STAMPED_AS)
    holder = etree.SubElement(
        _unsigned(signature), xades141("ArchiveTimeStamp"), nsmap={"xades141": XADES_141}
    )
    _stamp(holder, octets, time_stamper, now=now)


def _unsigned(signature: Element) -> Element:
    known = next(iter(unsigned_properties(signature)), None)
    if known is not None:
        return known.getparent()
    qualifying = signature.find(f"{ds('Object')}/{xades('QualifyingProperties')}")
    return add(add(qualifying, "xades:UnsignedProperties"), "xades:UnsignedSignatureProperties")


def _stamp(holder: Element, octets: bytes, time_stamper: TimeStamper, *, now: datetime) -> None:
    add(holder, "ds:CanonicalizationMethod", Algorithm=_STAMPED_AS)
    token = time_stamper.stamp(hashlib.sha256(octets).digest(), _STAMP_DIGEST, now=now)
    add(holder, "xades:EncapsulatedTimeStamp").text = base64.b64encode(token).decode()


def add(parent: Element, name: str, **attributes: str) -> Element:
    """A child by its prefixed name."""
    prefix, _, local = name.partition(":")
    return etree.SubElement(parent, f"{{{PREFIXES[prefix]}}}{local}", attributes)
