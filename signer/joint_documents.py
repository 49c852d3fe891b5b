"""Several documents signed as one act, under one authorisation (CSC signDoc).

    prepared = prepare(desk, [Order(data, SignatureRequest(level=Level.B_LTA))],
                       authorization=given, now=now, by=by)
    (signed,) = joint.carry_out(desk, prepared, now=now, by=by)

`signing.sign_pdf` is one document and its own authorisation; here no document is signed unless
every one of them is whole, signable and authorised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from signer import joint, signing
from signer.errors import SignerError
from signer.files import file_signing, xades
from signer.files.formats import FileRequest, SourceFile
from signer.joint import Made, Part, Prepared
from signer.looks import appearance
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.signature import Pen, SignatureRequest

if TYPE_CHECKING:
    from hsm.private_key import PrivateKey
    from signer.cms import Scheme
    from signer.desk import Desk
    from signer.keys.activation import Authorization


@dataclass(frozen=True)
class Order:
    """One document and how it is to be signed; `scheme` is the key's usual one unless given.

    A PDF with a SignatureRequest, anything else with a FileRequest; `name` is what a detached XML
    signature calls it.
    """

    data: bytes = field(repr=False)
    request: SignatureRequest | FileRequest
    scheme: Scheme | None = None
    name: str = "document"


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
            if isinstance(order.request, FileRequest):
                source = SourceFile(order.name, order.data)
                file_signing.require_fitting(desk, [source], order.request)
                if order.request.format.is_xml:
                    xades.require_signable(order.data, order.request)
                continue
            with Document.open(original, desk.limits) as opened:
                opened.require_signable()
                appearance.prepare(desk, opened, order.request, credential)
        parts = [
            Part(
                original.sha256,
                f"document:{original.sha256.hex()}",
                order.request.level.value,
                _details(order.request),
            )
            for original, order in originals
        ]

        def act() -> list[Made]:
            key = joint.key_of(desk, authorization, now=now)
            return [sign(original, order, key) for original, order in originals]

        def sign(original: Original, order: Order, key: PrivateKey) -> Made:
            template = signing.template_for(desk, credential, order.scheme)
            pen = Pen(template, key, credential.name)
            if isinstance(order.request, FileRequest):
                source = SourceFile(order.name, order.data)
                made = file_signing.written(desk, [source], order.request, credential, pen, now=now)
                result = hashlib.sha256(made).hexdigest()
                return Made(made, result=result, facts={"result": result})
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


def _details(request: SignatureRequest | FileRequest) -> dict[str, object]:
    if isinstance(request, FileRequest):
        return {"format": request.format.value}
    return {"reason": request.reason or "", "location": request.location or ""}
