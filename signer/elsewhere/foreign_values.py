"""What comes back from a key elsewhere, a raw value or a whole CMS: does it fit what was prepared?

Checked with the public key before anything is built on it, as the token's own answers are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ca.der import MalformedDer
from signer.cms_parts import DATA, CmsParts
from signer.errors import PreparationRefused, SignerError
from signer.verdicts.cms_shape import DATA_CONTENT
from signer.verdicts.signed_data import read_signed_data
from signer.verdicts.verdict import Rejected

if TYPE_CHECKING:
    from signer.cms import CmsTemplate

LARGEST_CMS = 1 << 20
LARGEST_VALUE = 2_048


@dataclass(frozen=True)
class ForeignCms:
    """A CMS whose mathematics holds, and who made it."""

    parts: CmsParts
    certificate: x509.Certificate
    others: tuple[bytes, ...]
    revocation: tuple[bytes, ...]


def checked_value(template: CmsTemplate, value: bytes, to_sign: bytes) -> bytes:
    """The signature value in DER; raises PreparationRefused `value-does-not-fit`.

    ECDSA may come as r and s side by side, as tokens and browsers give it.
    """
    if not 0 < len(value) <= LARGEST_VALUE:
        raise PreparationRefused("value-does-not-fit")
    for candidate in (value, _joined_numbers(template, value)):
        if candidate is None:
            continue
        try:
            template.check(candidate, to_sign)
        except SignerError:
            continue
        return candidate
    raise PreparationRefused("value-does-not-fit")


def _joined_numbers(template: CmsTemplate, value: bytes) -> bytes | None:
    key = template.certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    size = (key.key_size + 7) // 8
    if len(value) != 2 * size:
        return None
    r, s = (int.from_bytes(one, "big") for one in (value[:size], value[size:]))
    return utils.encode_dss_signature(r, s)


def checked_cms(
    data: bytes,
    digest_of: Callable[[str], bytes],
    *,
    wanted: bytes | None,
    content: bytes | None,
) -> ForeignCms:
    """A SignedData with one signer over exactly the prepared content, its own content taken out.

    `wanted` is the certificate it was prepared for, `content` what may lie inside. Raises
    PreparationRefused `cms-unreadable`, `cms-not-alone`, `cms-does-not-fit` (with what validation
    says), `cms-of-another`.
    """
    if len(data) > LARGEST_CMS:
        raise PreparationRefused("cms-unreadable")
    try:
        parts = CmsParts.read(data)
    except MalformedDer:
        raise PreparationRefused("cms-unreadable") from None
    if len(parts.signers) != 1 or parts.content_type != DATA:
        raise PreparationRefused("cms-not-alone")
    if parts.content is not None and parts.content != content:
        raise PreparationRefused("cms-does-not-fit", reason="validation-content-differs")
    parts = replace(parts, content=None)
    try:
        signed = read_signed_data(parts.encode(), content_type=DATA_CONTENT, digest_of=digest_of)
    except Rejected as found:
        raise PreparationRefused("cms-does-not-fit", reason=found.finding.code) from None
    if wanted is not None and signed.certificate.der != wanted:
        raise PreparationRefused("cms-of-another")
    return ForeignCms(parts, signed.certificate.x509, signed.bag, signed.revocation)
