"""ASiC-E containers: several files and one signature over all of them, in a ZIP (EN 319 162-1).

    data = write(files, FileRequest(Format.ASIC_E_CADES, level=Level.B_LTA), pen, …)

With CAdES, the signature is over `META-INF/ASiCManifest001.xml`, which lists every file with its
digest; with XAdES, its references name the files themselves. Both bear the level inside the
signature, so a container needs no archive manifest of its own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import secrets
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from lxml import etree

from signer.errors import DocumentRefused, SignerError
from signer.files import cades, xades, xades_levels
from signer.files.formats import FileRequest, Format, SourceFile
from signer.files.xml_names import ASIC, DIGESTS, DS, OPEN_DOCUMENT, XADES, ds
from signer.files.xml_references import Document
from signer.files.zip_reading import MOST_FILES, name_problem, same_name
from signer.pdf.syntax import VIETNAM

if TYPE_CHECKING:
    from signer.cms import CmsTemplate
    from signer.files.xml_reading import Element
    from signer.pdf.dss import Material
    from signer.signature import Pen, TimeStamper

MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
FOLDER = "META-INF/"
MANIFEST = f"{FOLDER}ASiCManifest001.xml"
CADES_SIGNATURE = f"{FOLDER}signature001.p7s"
XADES_SIGNATURE = f"{FOLDER}signatures001.xml"
_DIGEST = "sha256"


def require_names(names: Sequence[str]) -> None:
    """Raises DocumentRefused for a name that some system would take for another or for a path."""
    if len(names) > MOST_FILES - 10:
        raise SignerError("files-too-many", limit=MOST_FILES - 10)
    for name in names:
        if name_problem(name) is not None or name == "mimetype":
            raise DocumentRefused("file-name-unusable", name=name[:60])
        if same_name(name).startswith(same_name(FOLDER)):
            raise DocumentRefused("file-name-unusable", name=name[:60])
    if len({same_name(one) for one in names}) != len(names):
        raise DocumentRefused("file-names-alike")


def write(
    files: Sequence[SourceFile],
    request: FileRequest,
    pen: Pen,
    *,
    evidence: Callable[[], Material],
    time_stamper: TimeStamper | None,
    now: datetime,
) -> bytes:
    """The container with one signature of the level asked for."""
    make = _cades if request.format is Format.ASIC_E_CADES else _xades
    inside = make(files, request, pen, evidence=evidence, time_stamper=time_stamper, now=now)
    return zipped([*((one.name, one.data) for one in files), *inside], now)


def _cades(
    files: Sequence[SourceFile],
    request: FileRequest,
    pen: Pen,
    *,
    evidence: Callable[[], Material],
    time_stamper: TimeStamper | None,
    now: datetime,
) -> list[tuple[str, bytes]]:
    """§4.4: ASiCManifest (annex A.4) and a detached CAdES signature over it."""
    manifest = asic_manifest(files)
    parts = cades.sign(pen, manifest, enveloping=False, signing_time=request.signing_time or now)
    parts = cades.raise_level(
        parts,
        request.level,
        cades.digests_of(manifest),
        evidence=evidence,
        time_stamper=time_stamper,
        now=now,
    )
    return [(MANIFEST, manifest), (CADES_SIGNATURE, parts.encode())]


def _xades(
    files: Sequence[SourceFile],
    request: FileRequest,
    pen: Pen,
    *,
    evidence: Callable[[], Material],
    time_stamper: TimeStamper | None,
    now: datetime,
) -> list[tuple[str, bytes]]:
    """§4.4: `asic:XAdESSignatures`, with a reference to each file; the ODF manifest beside it."""
    document, signature = compose_xades(files, request, pen.template, now=now)
    xades.sign(signature, pen)
    xades_levels.raise_level(
        document,
        signature,
        request.level,
        evidence=evidence,
        time_stamper=time_stamper,
        now=now,
    )
    return xades_entries(files, document)


def compose_xades(
    files: Sequence[SourceFile],
    request: FileRequest,
    template: CmsTemplate,
    *,
    now: datetime,
    seed: str | None = None,
) -> tuple[Document, Element]:
    """The signature over all files, complete but for its value, as in `xades.compose`."""
    by_name = {one.name: one.data for one in files}
    root = etree.Element(f"{{{ASIC}}}XAdESSignatures", nsmap={"asic": ASIC})
    signature = etree.SubElement(root, ds("Signature"), nsmap={"ds": DS, "xades": XADES})
    document = Document(etree.ElementTree(root), by_name.get)
    targets = [xades.Target(quote(one.name), (), one.media_type) for one in files]
    seed = seed or secrets.token_hex(16)
    xades.build(document, signature, targets, request, template, now=now, seed=seed)
    return document, signature


def xades_entries(files: Sequence[SourceFile], document: Document) -> list[tuple[str, bytes]]:
    """What goes into META-INF beside the files."""
    return [
        (f"{FOLDER}manifest.xml", _open_document_manifest(files)),
        (XADES_SIGNATURE, xades.write(document)),
    ]


def asic_manifest(files: Sequence[SourceFile]) -> bytes:
    """Every file with its digest, and the signature that is over this list."""
    root = etree.Element(f"{{{ASIC}}}ASiCManifest", nsmap={"asic": ASIC, "ds": DS})
    etree.SubElement(
        root,
        f"{{{ASIC}}}SigReference",
        URI=CADES_SIGNATURE,
        MimeType="application/x-pkcs7-signature",
    )
    for one in files:
        about = etree.SubElement(
            root,
            f"{{{ASIC}}}DataObjectReference",
            URI=quote(one.name),
            MimeType=one.media_type,
        )
        etree.SubElement(about, ds("DigestMethod"), Algorithm=DIGESTS[_DIGEST])
        value = etree.SubElement(about, ds("DigestValue"))
        value.text = base64.b64encode(hashlib.new(_DIGEST, one.data).digest()).decode()
    return _serialised(root)


def _open_document_manifest(files: Sequence[SourceFile]) -> bytes:
    root = etree.Element(f"{{{OPEN_DOCUMENT}}}manifest", nsmap={"manifest": OPEN_DOCUMENT})
    root.set(f"{{{OPEN_DOCUMENT}}}version", "1.2")
    for name, media_type in (("/", MEDIA_TYPE), *((one.name, one.media_type) for one in files)):
        entry = etree.SubElement(root, f"{{{OPEN_DOCUMENT}}}file-entry")
        entry.set(f"{{{OPEN_DOCUMENT}}}full-path", name)
        entry.set(f"{{{OPEN_DOCUMENT}}}media-type", media_type)
    return _serialised(root)


def _serialised(root: object) -> bytes:
    data: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, standalone=True)
    return data


def signature_named(manifest: Element) -> str:
    """Which signature an ASiCManifest is signed by."""
    found = manifest.findall(f"{{{ASIC}}}SigReference")
    return unquote(found[0].get("URI") or "") if len(found) == 1 else ""


def zipped(
    entries: Sequence[tuple[str, bytes]],
    now: datetime,
    *,
    media_type: bytes = MEDIA_TYPE.encode(),
) -> bytes:
    """Annex A.1: `mimetype` first and not compressed, so that the kind is seen at octet 38."""
    moment = now.astimezone(VIETNAM)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in (("mimetype", media_type), *entries):
            info = zipfile.ZipInfo(name, moment.timetuple()[:6])
            info.external_attr = 0o644 << 16
            plain = name == "mimetype"
            info.compress_type = zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return written.getvalue()
