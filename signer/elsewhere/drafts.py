"""A signature in any format, complete but for the value that a key elsewhere will make.

    draft = begin(desk, files, request, template, signer="…", now=now, seed=seed)
    draft.to_sign                 # the octets that the key signs
    finish(desk, draft, made, …)  # the value or the CMS in its place, at the level asked for

Everything but a PDF's revision is made anew when the value comes, from the same files, time and
seed: the octets are the same, and nothing of the files is kept in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ca import der
from signer.cms import SIGNATURE_TIME_STAMP
from signer.cms_parts import CmsParts
from signer.errors import SignerError
from signer.files import asic, cades, xades, xades_levels
from signer.files.formats import FileRequest, Format, SourceFile
from signer.long_life import augmentation
from signer.looks import appearance
from signer.pdf import dss
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender, Hole
from signer.signature import SignatureRequest, begin_signature, token_room

if TYPE_CHECKING:
    from signer.cms import CmsTemplate
    from signer.desk import Desk
    from signer.files.xml_reading import Element
    from signer.files.xml_references import Document as XmlDocument
    from signer.pdf.dss import Material

_UNKNOWN_CMS = 14_336
"""Room for a CMS whose certificates are not known yet, without a time-stamp."""


@dataclass(frozen=True)
class Draft:
    """`digest` is what a CMS made elsewhere is over (None where only a value fits in: XML).

    `to_sign` is None when no certificate is known yet, so that only a whole CMS can come.
    """

    to_sign: bytes | None
    digest: bytes | None
    field_name: str | None = None
    hole: Hole | None = field(default=None, repr=False)


def begin(
    desk: Desk,
    files: Sequence[SourceFile],
    request: SignatureRequest | FileRequest,
    template: CmsTemplate | None,
    *,
    signer: str,
    now: datetime,
    seed: str,
) -> Draft:
    """Lay the signature out. Raises DocumentRefused as signing does, SignerError
    `certificate-needed` where the certificate is part of what is signed or shown."""
    if isinstance(request, SignatureRequest):
        return _begin_pdf(desk, files[0], request, template, signer=signer, now=now)
    if not request.format.uses_xml:
        content = _content(files, request)
        digest = hashlib.new(template.digest_name if template else "sha256", content).digest()
        return Draft(cades.attributes(template, digest, now) if template else None, digest)
    if template is None:
        raise SignerError("certificate-needed")
    _, signature = _compose(files, request, template, now=now, seed=seed)
    return Draft(xades.to_sign(signature), None)


def _begin_pdf(
    desk: Desk,
    file: SourceFile,
    request: SignatureRequest,
    template: CmsTemplate | None,
    *,
    signer: str,
    now: datetime,
) -> Draft:
    if template is None and request.appearance is not None:
        raise SignerError("certificate-needed")
    with Document.open(Original.of(file.data), desk.limits) as document:
        document.require_signable()
        stamp = None
        if request.appearance is not None:
            stamp = appearance.place(
                document, request.appearance, signer=signer, picture=None, shelf=desk.stamps
            )
        room = template.size_limit if template is not None else _UNKNOWN_CMS
        if request.level.time_stamped:
            room += token_room(desk.tsa)
        begun = begin_signature(
            Appender(document), request, signer=signer, room=room, stamp=stamp, when=now
        )
        pending = begun.appender.commit(begun.dictionary)
        digest = pending.digest(template.digest_name if template is not None else "sha256")
    return Draft(
        template.attributes(digest) if template else None, digest, begun.field, pending.hole
    )


def finish_pdf(
    desk: Desk,
    file: SourceFile,
    hole: Hole,
    cms: CmsParts,
    request: SignatureRequest,
    material: Material,
    *,
    now: datetime,
) -> bytes:
    """The CMS in its hole, then the revisions of the level."""
    if request.level.time_stamped:
        cms = _stamped(desk, cms, now=now)
    original = Original.of(file.data)
    revision = hole.before + hole.closed(cms.encode())
    state = original.state.copy()
    state.update(revision)
    signed = Original.of(file.data + revision, state=state)
    if not request.level.long_term:
        return bytes(signed.data)
    with Document.open(signed, desk.limits) as document:
        appender = Appender(document)
        if dss.write(appender, material + augmentation.tsa_material(desk, now)):
            appender.commit_plain()
        if request.level.archived:
            augmentation.archive(desk, appender, now=now)
        return appender.whole()


def finish_cades(
    desk: Desk,
    files: Sequence[SourceFile],
    cms: CmsParts,
    request: FileRequest,
    material: Material,
    *,
    now: datetime,
) -> bytes:
    """The CMS at its level, alone or in its container."""
    content = _content(files, request)
    enveloping = request.format is Format.CADES_ENVELOPING
    cms = replace(cms, content=content if enveloping else None)
    if request.level.time_stamped:
        cms = _stamped(desk, cms, now=now)
    if request.level.long_term:
        cms = cades.with_evidence(cms, material + augmentation.tsa_material(desk, now))
    if request.level.archived:
        cms = cades.archived(cms, 0, cades.digests_of(content), desk.tsa, now=now)
    if not request.format.is_container:
        return cms.encode()
    inside = [(asic.MANIFEST, content), (asic.CADES_SIGNATURE, cms.encode())]
    return asic.zipped([*((one.name, one.data) for one in files), *inside], now)


def finish_xades(
    desk: Desk,
    files: Sequence[SourceFile],
    value: bytes,
    template: CmsTemplate,
    request: FileRequest,
    material: Material,
    *,
    made: datetime,
    to_sign: bytes,
    seed: str,
    now: datetime,
) -> bytes:
    """The document as it was composed at `made`, the value in it, at its level."""
    document, signature = _compose(files, request, template, now=made, seed=seed)
    if xades.to_sign(signature) != to_sign:
        raise SignerError("prepared-differs")
    xades.put_value(signature, value, template)
    xades_levels.raise_level(
        document,
        signature,
        request.level,
        evidence=lambda: material + augmentation.tsa_material(desk, now),
        time_stamper=desk.tsa,
        now=now,
    )
    if not request.format.is_container:
        return xades.write(document)
    inside = asic.xades_entries(files, document)
    return asic.zipped([*((one.name, one.data) for one in files), *inside], now)


def content_digest(
    files: Sequence[SourceFile], request: FileRequest | SignatureRequest, hole: Hole | None
) -> Callable[[str], bytes]:
    """What the message-digest of a CMS must be, by the algorithm that it names."""

    def digest(algorithm: str) -> bytes:
        state = hashlib.new(algorithm)
        if hole is None:
            assert isinstance(request, FileRequest)
            state.update(_content(files, request))
        else:
            state.update(files[0].data)
            state.update(hole.before)
            state.update(hole.after)
        return state.digest()

    return digest


def _content(files: Sequence[SourceFile], request: FileRequest) -> bytes:
    """What a CAdES signature is over: the file, or the list of a container's files."""
    return asic.asic_manifest(files) if request.format.is_container else files[0].data


def _compose(
    files: Sequence[SourceFile],
    request: FileRequest,
    template: CmsTemplate,
    *,
    now: datetime,
    seed: str,
) -> tuple[XmlDocument, Element]:
    if request.format.is_container:
        return asic.compose_xades(files, request, template, now=now, seed=seed)
    return xades.compose(files[0], request, template, now=now, seed=seed)


def _stamped(desk: Desk, cms: CmsParts, *, now: datetime) -> CmsParts:
    """With a signature time-stamp of ours, unless one came with it."""
    signer = cms.signers[0]
    if signer.values(der.oid(SIGNATURE_TIME_STAMP)):
        return cms
    return cades.time_stamped(cms, 0, desk.tsa, now=now)
