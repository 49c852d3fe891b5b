"""Several PDFs signed as one act, under one authorisation (CSC signDoc).

    prepared = prepare(desk, [Order(data, SignatureRequest(level=Level.B_LTA))],
                       authorization=given, now=now, by=by)
    (signed,) = joint.carry_out(desk, prepared, now=now, by=by)

`signing.sign_pdf` is one document and its own authorisation; here no document is signed unless
every one of them is whole, signable and authorised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from signer import appearance, joint, signing
from signer.document import Document, Original
from signer.errors import SignerError
from signer.joint import Made, Part, Prepared
from signer.signature import Pen, SignatureRequest

if TYPE_CHECKING:
    from hsm.private_key import PrivateKey
    from signer.activation import Authorization
    from signer.cms import Scheme
    from signer.desk import Desk


@dataclass(frozen=True)
class Order:
    """One document and how it is to be signed; `scheme` is the key's usual one unless given."""

    data: bytes = field(repr=False)
    request: SignatureRequest
    scheme: Scheme | None = None


def prepare(
    desk: Desk,
    orders: Sequence[Order],
    *,
    authorization: Authorization,
    now: datetime,
    by: str,
) -> Prepared:
    """Inspect all, reserve all, commit all intentions; then `joint.carry_out` signs them.

    Raises DocumentRefused for the first document that cannot be signed, and what the authorisation
    refuses.
    """
    originals = [(Original.of(one.data), one) for one in orders]
    try:
        credential = joint.usable_credential(desk, authorization, now=now)
        for original, order in originals:
            with Document.open(original, desk.limits) as opened:
                opened.require_signable()
                appearance.prepare(desk, opened, order.request, credential)
        parts = [
            Part(
                original.sha256,
                f"document:{original.sha256.hex()}",
                order.request.level.value,
                {"reason": order.request.reason or "", "location": order.request.location or ""},
            )
            for original, order in originals
        ]

        def act() -> list[Made]:
            key = joint.key_of(desk, authorization, now=now)
            return [sign(original, order, key) for original, order in originals]

        def sign(original: Original, order: Order, key: PrivateKey) -> Made:
            template = signing.template_for(desk, credential, order.scheme)
            pen = Pen(template, key, credential.name)
            with Document.open(original, desk.limits) as opened:
                stamp = appearance.prepare(desk, opened, order.request, credential)
                appender, name = signing.write_signature(
                    desk, opened, order.request, credential, pen, stamp, now=now
                )
                digest = appender.state().hexdigest()
                signed = b"".join((original.data, *appender.revisions))
            return Made(signed, name, digest, {"field": name, "result": digest})

        return joint.intend(desk, parts, act, authorization=authorization, now=now, by=by)
    except SignerError as refusal:
        subject = f"authorization:{authorization.id}"
        joint.record_refusal(desk, subject, authorization, refusal, now=now, by=by)
        raise
