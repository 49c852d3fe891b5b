"""Raise the signatures of one CMS, every part that is there kept as the octets it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ca import der
from signer.cms import SIGNATURE_TIME_STAMP
from signer.cms_parts import CmsParts
from signer.errors import DocumentRefused
from signer.files import cades
from signer.levels import Level

if TYPE_CHECKING:
    from signer.pdf.dss import Material
    from signer.signature import TimeStamper
    from signer.verdicts.report import SignatureVerdict

_STAMP = der.oid(SIGNATURE_TIME_STAMP)


def raised(
    data: bytes,
    content: bytes | None,
    verdicts: Sequence[SignatureVerdict],
    to: Level,
    time_stamper: TimeStamper | None,
    *,
    evidence: Callable[[SignatureVerdict, Sequence[bytes]], Material],
    now: datetime,
) -> bytes:
    """`verdicts` are on the signers in order. Evidence is asked for after the time-stamps."""
    parts = CmsParts.read(data)
    if len(parts.signers) != len(verdicts):
        raise DocumentRefused("signature-not-intact", reason="signers")
    whole = parts.content if parts.content is not None else content
    if whole is None:
        raise DocumentRefused("content-needed")
    # 1. A time-stamp where there is none.
    for position, signer in enumerate(parts.signers):
        if to.time_stamped and not signer.values(_STAMP):
            parts = cades.time_stamped(parts, position, time_stamper, now=now)
    # 2. Certificates and revocation data of every signer.
    if to.long_term:
        bag = [one for one in parts.certificates if one[0] == der.SEQUENCE]
        for verdict in verdicts:
            parts = cades.with_evidence(parts, evidence(verdict, bag))
    # 3. An archive time-stamp over all of it, on each signer.
    if to.archived:
        digests = cades.digests_of(whole)
        for position in range(len(parts.signers)):
            parts = cades.archived(parts, position, digests, time_stamper, now=now)
    return parts.encode()
