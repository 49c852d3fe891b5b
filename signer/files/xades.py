"""XAdES signatures: built, and raised from level to level (EN 319 132-1 §6.3).

    data = sign_document(file, FileRequest(Format.XADES_ENVELOPED, level=Level.B_LTA), pen,
                         evidence=…, time_stamper=desk.tsa, now=now)

Enveloped in an XML document, enveloping any file, or detached from it. What is hashed is taken from
the finished tree by the very code that validation uses (`xml_references`, `xades_imprint`), so the
two cannot drift apart; xmlsec1, signxml and EU DSS judge both. Nothing here knows who may sign.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec, utils
from lxml import etree

from signer.errors import DocumentRefused
from signer.files.formats import FileRequest, Format, SourceFile
from signer.files.xades_levels import add, raise_level
from signer.files.xml_canonical import NotCanonical, canonical
from signer.files.xml_names import (
    BASE64,
    DIGESTS,
    DS,
    ENVELOPED,
    FILTER,
    NOT_IN_A_SIGNATURE,
    SIGNATURE_URIS,
    SIGNED_PROPERTIES,
    XADES,
    XPATH,
    ds,
)
from signer.files.xml_reading import LARGEST, Element, parse
from signer.files.xml_references import Document, Reference

if TYPE_CHECKING:
    from signer.cms import CmsTemplate
    from signer.pdf.dss import Material
    from signer.signature import Pen, TimeStamper

_LARGEST_INSIDE = LARGEST * 5 // 8
"""A file in base64, with its signature beside it, must stay readable."""
_NAMES = {"ds": DS, "xades": XADES}


@dataclass(frozen=True)
class Target:
    """One thing to be signed: its reference, and what kind of data it is."""

    uri: str
    transforms: tuple[str, ...] = ()
    media_type: str = "application/octet-stream"


def require_signable(data: bytes, request: FileRequest) -> None:
    """Raises DocumentRefused for XML that is not safe or cannot take this signature."""
    if request.format is Format.XADES_ENVELOPING and len(data) > _LARGEST_INSIDE:
        raise DocumentRefused("xml-too-large", limit_mb=_LARGEST_INSIDE >> 20)
    if request.format is not Format.XADES_ENVELOPED:
        return
    document = Document(parse(data))
    if document.root.tag == ds("Signature"):
        raise DocumentRefused("xml-is-a-signature")
    try:
        canonical(document.root, request.canonicalization.value, whole=True)
    except NotCanonical:
        raise DocumentRefused("xml-not-canonical") from None
    for one in document.signatures:
        # Its own transform leaves out itself alone: a further signature would break it.
        names = {each.get("Algorithm") for each in one.iter(ds("Transform"))}
        if not names & {XPATH, FILTER}:
            raise DocumentRefused("xml-already-signed")
    if document.signatures and not request.more_may_follow:
        raise DocumentRefused("xml-already-signed")


def sign_document(
    file: SourceFile,
    request: FileRequest,
    pen: Pen,
    *,
    evidence: Callable[[], Material],
    time_stamper: TimeStamper | None,
    now: datetime,
) -> bytes:
    """The XML document with the signature."""
    document, signature = compose(file, request, pen.template, now=now)
    sign(signature, pen)
    raise_level(
        document, signature, request.level, evidence=evidence, time_stamper=time_stamper, now=now
    )
    return write(document)


def compose(
    file: SourceFile,
    request: FileRequest,
    template: CmsTemplate,
    *,
    now: datetime,
    seed: str | None = None,
) -> tuple[Document, Element]:
    """The document and in it the signature, complete but for its value.

    Everything follows from the arguments: the same `seed` names everything the same.
    """
    seed = seed or secrets.token_hex(16)
    by_name = {file.name: file.data}
    if request.format is Format.XADES_ENVELOPED:
        document = Document(parse(file.data))
        signature = etree.SubElement(document.root, ds("Signature"), nsmap=_NAMES)
        leaving_out = XPATH if request.more_may_follow else ENVELOPED
        transforms = (leaving_out, request.canonicalization.value)
        targets = [Target("", transforms, "text/xml")]
    else:
        signature = etree.Element(ds("Signature"), nsmap=_NAMES)
        document = Document(etree.ElementTree(signature), by_name.get)
        if request.format is Format.XADES_ENVELOPING:
            identifier = f"o-{seed[:16]}"
            held = etree.SubElement(signature, ds("Object"), Id=identifier, Encoding=BASE64)
            held.text = base64.b64encode(file.data).decode()
            targets = [Target(f"#{identifier}", (BASE64,), file.media_type)]
        else:
            targets = [Target(quote(file.name), (), file.media_type)]
    build(document, signature, targets, request, template, now=now, seed=seed)
    return document, signature


def write(document: Document) -> bytes:
    """UTF-8 with a declaration; what stood around the root element stays."""
    data: bytes = etree.tostring(
        document.tree, encoding="UTF-8", xml_declaration=True, standalone=None
    )
    return data


def build(
    document: Document,
    signature: Element,
    targets: Sequence[Target],
    request: FileRequest,
    template: CmsTemplate,
    *,
    now: datetime,
    seed: str,
) -> None:
    """Everything but the value, into an empty ds:Signature that stands in its document."""
    method, digest = request.canonicalization.value, template.digest_name
    name = f"id-{seed}"
    signature.set("Id", name)
    objects = signature.findall(ds("Object"))

    # 1. The skeleton, with empty digests.
    info = add(signature, "ds:SignedInfo")
    add(info, "ds:CanonicalizationMethod", Algorithm=method)
    add(info, "ds:SignatureMethod", Algorithm=SIGNATURE_URIS[template.scheme, digest])
    for number, target in enumerate(targets, start=1):
        reference = add(info, "ds:Reference", Id=f"r-{name}-{number}", URI=target.uri)
        _describe(reference, target.transforms, digest)
    reference = add(info, "ds:Reference", Type=SIGNED_PROPERTIES, URI=f"#xades-{name}")
    _describe(reference, (method,), digest)
    add(signature, "ds:SignatureValue", Id=f"value-{name}")
    data = add(add(signature, "ds:KeyInfo"), "ds:X509Data")
    ordered = [template.certificate_der, *template.certificates]
    for one in dict.fromkeys(ordered):
        add(data, "ds:X509Certificate").text = base64.b64encode(one).decode()
    _qualify(signature, name, targets, request.signing_time or now, template)
    for one in objects:
        signature.append(one)

    # 2. The digests, of the tree as it now stands.
    for element in info.findall(ds("Reference")):
        octets = Reference.read(document, signature, element).octets()
        hashed = hashlib.new(digest, octets).digest()
        element.find(ds("DigestValue")).text = base64.b64encode(hashed).decode()


def to_sign(signature: Element) -> bytes:
    """What the key signs: the canonical ds:SignedInfo (XML Signature §3.1.2)."""
    info = signature.find(ds("SignedInfo"))
    return canonical(info, info.find(ds("CanonicalizationMethod")).get("Algorithm"))


def sign(signature: Element, pen: Pen) -> None:
    """3. Sign in the token, 4. check with the public key."""
    octets = to_sign(signature)
    put_value(signature, pen.sign(octets), pen.template)


def put_value(signature: Element, made: bytes, template: CmsTemplate) -> None:
    """The value in its place, once it has been checked with the certificate's public key."""
    template.check(made, to_sign(signature))
    value = signature.find(ds("SignatureValue"))
    value.text = base64.b64encode(_as_xml(made, template)).decode()


def _describe(reference: Element, transforms: Sequence[str], digest: str) -> None:
    if transforms:
        holder = add(reference, "ds:Transforms")
        for one in transforms:
            transform = add(holder, "ds:Transform", Algorithm=one)
            if one == XPATH:
                add(transform, "ds:XPath").text = NOT_IN_A_SIGNATURE
    add(reference, "ds:DigestMethod", Algorithm=DIGESTS[digest])
    add(reference, "ds:DigestValue")


def _qualify(
    signature: Element, name: str, targets: Sequence[Target], when: datetime, template: CmsTemplate
) -> None:
    """The properties that are signed: when, with which certificate, what kind of data (§5.2)."""
    holder = add(add(signature, "ds:Object"), "xades:QualifyingProperties", Target=f"#{name}")
    signed = add(holder, "xades:SignedProperties", Id=f"xades-{name}")
    of_signature = add(signed, "xades:SignedSignatureProperties")
    moment = when.astimezone(UTC).replace(microsecond=0)
    add(of_signature, "xades:SigningTime").text = moment.isoformat().replace("+00:00", "Z")
    certificate = add(add(of_signature, "xades:SigningCertificateV2"), "xades:Cert")
    digest = add(certificate, "xades:CertDigest")
    add(digest, "ds:DigestMethod", Algorithm=DIGESTS["sha256"])
    hashed = hashlib.sha256(template.certificate_der).digest()
    add(digest, "ds:DigestValue").text = base64.b64encode(hashed).decode()
    of_data = add(signed, "xades:SignedDataObjectProperties")
    for number, target in enumerate(targets, start=1):
        about = add(of_data, "xades:DataObjectFormat", ObjectReference=f"#r-{name}-{number}")
        add(about, "xades:MimeType").text = target.media_type


def _as_xml(signature: bytes, template: CmsTemplate) -> bytes:
    """ECDSA in XML is r and s side by side (RFC 9231 §2.3.6), not DER."""
    public_key = template.certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        return signature
    size = (public_key.key_size + 7) // 8
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
