"""Which reader a signed file that is no PDF goes to, and how much it may ask for."""

from __future__ import annotations

from signer.files.file_kinds import Kind, kind_of, unarmoured
from signer.verdicts import validation_asic, validation_cades, validation_xades
from signer.verdicts.ades_verdict import Claims
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.originals import Content, given, require_bounded
from signer.verdicts.policy import Limits
from signer.verdicts.verdict import Unreadable


def read_claims(
    data: bytes,
    content: Content,
    limits: Limits,
    digests: DocumentDigests | None = None,
) -> Claims:
    """Everything signed in a CMS, an XML document or a container; raises Unreadable."""
    if len(data) > limits.bytes:
        raise Unreadable("validation-too-large", size=len(data), limit=limits.bytes)
    originals = given(content)
    require_bounded(originals, limits.bytes)
    kind = kind_of(data)
    if kind is Kind.XML:
        return validation_xades.read_claims(data, originals, digests)
    if kind is Kind.CMS:
        if len(originals) > 1:
            raise Unreadable("validation-originals-one", count=len(originals))
        about = originals[0].read() if originals else None
        return validation_cades.read_claims(unarmoured(data), about, digests)
    if originals or digests is not None:
        raise Unreadable("validation-not-detached")
    return validation_asic.read_claims(data, limits)
