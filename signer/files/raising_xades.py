"""Raise the signatures of one XML document; what was signed in it is not touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from signer.errors import DocumentRefused, SignerError
from signer.files import xades, xades_levels
from signer.files.xades_imprint import unsigned_properties
from signer.files.xml_names import ds
from signer.files.xml_names import xades as named
from signer.files.xml_references import decoded
from signer.levels import Level
from signer.pdf.dss import Material

if TYPE_CHECKING:
    from signer.files.xml_reading import Element
    from signer.files.xml_references import Document
    from signer.signature import TimeStamper
    from signer.verdicts.report import SignatureVerdict


def raised(
    document: Document,
    verdicts: Sequence[SignatureVerdict],
    to: Level,
    time_stamper: TimeStamper | None,
    *,
    evidence: Callable[[SignatureVerdict, Sequence[bytes]], Material],
    now: datetime,
) -> bytes:
    """`verdicts` are on the signatures in document order."""
    signatures = [one for one in document.signatures if not _countersigns(one)]
    if len(signatures) != len(verdicts):
        raise DocumentRefused("signature-not-intact", reason="signatures")
    if to.time_stamped and time_stamper is None:
        raise SignerError("time-stamping-not-configured")
    for signature, verdict in zip(signatures, verdicts, strict=True):
        present = {one.tag for one in unsigned_properties(signature)}
        # 1. A time-stamp where there is none.
        if to.time_stamped and named("SignatureTimeStamp") not in present:
            xades_levels.stamp_signature(signature, time_stamper, now=now)
        # 2. What is not in it yet of certificates and revocation data.
        if to.long_term:
            xades_levels.store(signature, _missing(signature, evidence(verdict, _bag(signature))))
        # 3. An archive time-stamp over all of it.
        if to.archived and time_stamper is not None:
            xades_levels.archive(document, signature, time_stamper, now=now)
    return xades.write(document)


def _countersigns(signature: Element) -> bool:
    """It stands inside another's unsigned properties, which only that one's level is about."""
    holder = signature.getparent()
    return holder is not None and holder.tag == named("CounterSignature")


def _bag(signature: Element) -> list[bytes]:
    return [decoded(one.text) for one in signature.iter(ds("X509Certificate"))]


def _missing(signature: Element, material: Material) -> Material:
    held: set[bytes] = set()
    for one in unsigned_properties(signature):
        for name in (
            "EncapsulatedX509Certificate",
            "EncapsulatedCRLValue",
            "EncapsulatedOCSPValue",
        ):
            held |= {decoded(each.text) for each in one.iter(named(name))}
    return Material(
        tuple(one for one in material.certificates if one not in held),
        tuple(one for one in material.ocsp if one not in held),
        tuple(one for one in material.crls if one not in held),
    )
