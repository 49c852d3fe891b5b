"""CAdES signatures over any file: built, and raised from level to level (EN 319 122-1 §6.3).

    parts = sign(pen, content, enveloping=False, signing_time=now)       # B-B
    parts = time_stamped(parts, 0, desk.tsa, now=now)                    # B-T
    parts = with_evidence(parts, material)                               # B-LT
    parts = archived(parts, 0, digests_of(content), desk.tsa, now=now)   # B-LTA
    parts.encode()

Detached: the file stays as it is and travels beside its `.p7s`. Enveloping: one `.p7m` holds both.
Nothing here knows who may sign; `file_signing.sign_files` does.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ca import der
from signer.cms import SIGNATURE_TIME_STAMP, attribute
from signer.cms_parts import DATA, CmsParts, SignerParts
from signer.errors import SignerError
from signer.levels import Level
from signer.signature import stamp_value
from signer.verdicts.archive_index import HashIndex, imprint, with_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from signer.cms import CmsTemplate
    from signer.pdf.dss import Material
    from signer.signature import Pen, TimeStamper

_SIGNING_TIME = "1.2.840.113549.1.9.5"
_ARCHIVE_TIME_STAMP_V3 = "0.4.0.1733.2.4"
_OCSP_RESPONSE = der.oid("1.3.6.1.5.5.7.16.2")
_ARCHIVE_DIGEST = "sha256"


def sign(pen: Pen, content: bytes, *, enveloping: bool, signing_time: datetime) -> CmsParts:
    """Level B-B: signing-time beside the constant attributes; checked with the public key."""
    template = pen.template
    digest = hashlib.new(template.digest_name, content).digest()
    signed = attributes(template, digest, signing_time)
    signature = pen.sign(signed)
    template.check(signature, signed)
    return assembled(template, signed, signature, content if enveloping else None)


def attributes(template: CmsTemplate, digest: bytes, signing_time: datetime) -> bytes:
    """The signed attributes of a CAdES signature over content of this digest (§6.3)."""
    moment = attribute(_SIGNING_TIME, der.time(signing_time))
    return template.attributes_with(digest, moment)


def assembled(
    template: CmsTemplate, signed: bytes, signature: bytes, content: bytes | None
) -> CmsParts:
    """A SignedData of signed attributes and the value over them."""
    signer = der.Reader(template.signer_info(signed, signature)).read(der.SEQUENCE)
    return CmsParts(
        digest_algorithms=(template.digest_algorithm,),
        content_type=DATA,
        content=content,
        certificates=template.certificates,
        revocation=(),
        signers=(SignerParts.read(signer),),
    )


def time_stamped(
    parts: CmsParts, position: int, time_stamper: TimeStamper | None, *, now: datetime
) -> CmsParts:
    """Level B-T: a signature-time-stamp (§5.3)."""
    signer = parts.signers[position]
    token = stamp_value(time_stamper, signer.signature_value, now=now)
    return parts.with_signer(signer.with_unsigned(attribute(SIGNATURE_TIME_STAMP, token)), position)


def with_evidence(parts: CmsParts, material: Material) -> CmsParts:
    """Level B-LT: certificates and status in the SignedData's own fields (§6.3 table 1, o to q)."""
    answers = [
        der.tlv(0xA1, _OCSP_RESPONSE + response)  # RFC 5940 §2.1
        for response in material.ocsp
    ]
    return replace(
        parts,
        certificates=tuple(dict.fromkeys((*parts.certificates, *material.certificates))),
        revocation=tuple(dict.fromkeys((*parts.revocation, *answers, *material.crls))),
    )


def archived(
    parts: CmsParts,
    position: int,
    content_digest: Callable[[str], bytes],
    time_stamper: TimeStamper | None,
    *,
    now: datetime,
) -> CmsParts:
    """Level B-LTA: archive-time-stamp-v3 over all of it (§5.5.3); again to renew it."""
    if time_stamper is None:
        raise SignerError("time-stamping-not-configured")
    signer = parts.signers[position]
    index = HashIndex.over(parts, signer, _ARCHIVE_DIGEST)
    proof = imprint(parts, signer, index, content_digest, _ARCHIVE_DIGEST)
    token = with_index(time_stamper.stamp(proof, _ARCHIVE_DIGEST, now=now), index)
    stamped = signer.with_unsigned(attribute(_ARCHIVE_TIME_STAMP_V3, token))
    return parts.with_signer(stamped, position)


def raise_level(
    parts: CmsParts,
    level: Level,
    content_digest: Callable[[str], bytes],
    *,
    evidence: Callable[[], Material],
    time_stamper: TimeStamper | None,
    now: datetime,
) -> CmsParts:
    """Steps from B-B to `level` for a signature just made; `evidence` is asked after the stamp."""
    if level.time_stamped:
        parts = time_stamped(parts, 0, time_stamper, now=now)
    if level.long_term:
        parts = with_evidence(parts, evidence())
    if level.archived:
        parts = archived(parts, 0, content_digest, time_stamper, now=now)
    return parts


def digests_of(content: bytes) -> Callable[[str], bytes]:
    """The digest of the content by algorithm, each computed once."""
    known: dict[str, bytes] = {}

    def digest(algorithm: str) -> bytes:
        if algorithm not in known:
            known[algorithm] = hashlib.new(algorithm, content, usedforsecurity=False).digest()
        return known[algorithm]

    return digest
