"""Sign any file, an XML document, or several files together, as a holder who has authorised them.

    request = FileRequest(Format.CADES_DETACHED, level=Level.B_LTA)
    authorization = activation.authorize(desk, …, digests=[document_digest(data)], …)
    signed = sign_files(desk, [SourceFile("quyet-dinh.docx", data)], request,
                        authorization=authorization, now=now, by=by)
    signed.data, signed.name, signed.media_type

The same intention → act → outcome as `signing.sign_pdf`, through `joint`: every file's digest must
be in the authorisation, all are reserved or none, and one signature covers all of them.
docs/flows/sign-files.md has the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from signer import joint, signing
from signer.errors import DocumentRefused, SignerError
from signer.files import asic, cades, xades
from signer.files.formats import CONTAINER_SUFFIX, FileRequest, Format, SourceFile
from signer.joint import Made, Part
from signer.long_life import augmentation
from signer.signature import Pen

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.activation import Authorization
    from signer.keys.credentials import Credential
    from signer.pdf.dss import Material

__all__ = ["FileRequest", "Format", "SignedFiles", "SourceFile", "sign_files"]


@dataclass(frozen=True)
class SignedFiles:
    """The result: a signature beside its file, a file with it inside, or a container."""

    data: bytes = field(repr=False)
    name: str
    media_type: str
    request: FileRequest

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def sign_files(
    desk: Desk,
    files: Sequence[SourceFile],
    request: FileRequest,
    *,
    authorization: Authorization,
    now: datetime,
    by: str,
    keep: Callable[[SignedFiles], object] | None = None,
) -> SignedFiles:
    """One signature over these files. Refusals are SignerError and HsmError; each is audited.

    `keep` is called with the result before its outcome is recorded, as in `sign_pdf`.
    """
    subject = f"authorization:{authorization.id}"
    try:
        # 1. Inspect: names, sizes, and whether an XML document can carry a signature.
        require_fitting(desk, files, request)
        if request.format.is_xml:
            xades.require_signable(files[0].data, request)
        # 2. The credential and its certificate must be good at this moment.
        credential = joint.usable_credential(desk, authorization, now=now)
        template = signing.template_for(desk, credential, request.scheme)
        # 3. Reserve every file's digest and 4. commit the intentions, together.
        unique = {one.digest: one for one in files}
        parts = [
            Part(
                digest,
                f"document:{digest.hex()}",
                request.level.value,
                {"format": request.format.value, "files": len(files)},
            )
            for digest in unique
        ]

        def act() -> list[Made]:
            # 5. Build, 6. sign in the token, 7. check with the public key, 8. raise the level.
            key = joint.key_of(desk, authorization, now=now)
            pen = Pen(template, key, credential.name)
            data = written(desk, files, request, credential, pen, now=now)
            result = hashlib.sha256(data).hexdigest()
            return [Made(data, result=result, facts={"result": result}) for _ in parts]

        prepared = joint.intend(desk, parts, act, authorization=authorization, now=now, by=by)
    except SignerError as refusal:
        joint.record_refusal(desk, subject, authorization, refusal, now=now, by=by)
        raise
    name = result_name(files, request.format)

    def finished(data: bytes) -> SignedFiles:
        return SignedFiles(data, name, request.format.media_type, request)

    # 9. Commit the outcome, 10. and only now does the signature exist for anybody.
    values = joint.carry_out(
        desk,
        prepared,
        now=now,
        by=by,
        keep=None if keep is None else lambda made: keep(finished(made[0])),
    )
    return finished(values[0])


def written(
    desk: Desk,
    files: Sequence[SourceFile],
    request: FileRequest,
    credential: Credential,
    pen: Pen,
    *,
    now: datetime,
) -> bytes:
    """Steps 5 to 8 alone, for whoever has reserved and will record."""

    def evidence() -> Material:
        path = (credential.certificate, *credential.chain)
        return augmentation.evidence(desk, path, now=now)

    if request.format.is_container:
        return asic.write(files, request, pen, evidence=evidence, time_stamper=desk.tsa, now=now)
    if request.format.is_xml:
        return xades.sign_document(
            files[0], request, pen, evidence=evidence, time_stamper=desk.tsa, now=now
        )
    content = files[0].data
    parts = cades.sign(
        pen,
        content,
        enveloping=request.format is Format.CADES_ENVELOPING,
        signing_time=request.signing_time or now,
    )
    return cades.raise_level(
        parts,
        request.level,
        cades.digests_of(content),
        evidence=evidence,
        time_stamper=desk.tsa,
        now=now,
    ).encode()


def require_fitting(desk: Desk, files: Sequence[SourceFile], request: FileRequest) -> None:
    """Names, number and size; raises SignerError and DocumentRefused."""
    if not files:
        raise SignerError("files-missing")
    if len(files) > 1 and not request.format.is_container:
        raise SignerError("format-takes-one-file", format=request.format.value)
    size = sum(len(one.data) for one in files)
    if size > desk.limits.bytes:
        raise DocumentRefused("document-too-large", limit_mb=desk.limits.bytes >> 20)
    if request.format.is_container:
        asic.require_names([one.name for one in files])


def result_name(files: Sequence[SourceFile], chosen: Format) -> str:
    """What the result is called."""
    first = files[0].name
    if chosen.is_container:
        return first.rsplit(".", 1)[0] + CONTAINER_SUFFIX
    return first + chosen.suffix
