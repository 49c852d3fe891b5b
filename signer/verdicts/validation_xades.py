"""XAdES signatures read for validation: enveloped, enveloping or detached.

EN 319 132-1; XML Signature 1.1 §3.2. Every ds:Signature of the document is one claim. What is
signed is what the references come to (`xml_references`), and a document with content that nobody
signed is not passed: that is where signature wrapping hides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec, utils

from signer.cms import Scheme
from signer.files.xades_imprint import archive_imprint, signature_imprint, unsigned_properties
from signer.files.xml_canonical import NotCanonical, canonical
from signer.files.xml_coverage import Coverage, coverage
from signer.files.xml_names import (
    CANONICAL,
    DEFAULT_CANONICAL,
    SIGNATURES,
    UNSIGNED_PROPERTIES,
    ds,
    xades,
    xades141,
)
from signer.files.xml_reading import Element, parse
from signer.files.xml_references import Document, decoded, digest_named, refused
from signer.trust.certificates import Certificate, read_all
from signer.trust.revocation_status import read_ocsp
from signer.verdicts.ades_verdict import ArchiveStamp, Claim, Claims, counter_name
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.examination import SignedReference
from signer.verdicts.files_beside import about_a_file, compare, named, surplus
from signer.verdicts.mathematics import Method, Way, digest, verifies
from signer.verdicts.originals import Content, given, match
from signer.verdicts.signed_data import SignedData
from signer.verdicts.time_stamps import Stamp, read_stamp
from signer.verdicts.validation_cades import response
from signer.verdicts.verdict import (
    Finding,
    Rejected,
    SubIndication,
    Unreadable,
    fails,
    informs,
    warns,
)
from signer.verdicts.xml_shape import require_shape
from signer.verdicts.xml_signature import XmlSignature

FAMILY = "XAdES"
_MOST_SIGNATURES = 50
_MOST_STAMPS = 50
_DATA_PROPERTIES = "/".join(
    (
        ds("Object"),
        *map(xades, ("QualifyingProperties", "UnsignedProperties", "UnsignedDataObjectProperties")),
        "*",
    )
)


def read_claims(data: bytes, content: Content, digests: DocumentDigests | None = None) -> Claims:
    """Everything signed in an XML document; `content` are the files of a detached signature, or
    `digests` of the files it is about.

    Raises Unreadable for XML that is not well formed, not harmless, or out of bounds.
    """
    document = Document(parse(data, Unreadable), digests=digests)
    originals = given(content)
    if (originals or digests is not None) and not about_a_file(document):
        raise Unreadable("validation-not-detached")
    matched = match(named(document), originals)
    document = replace(
        document,
        resolver=matched.found.get,
        beside=frozenset(matched.found),
        by_name=len(originals) > 1,
    )
    claims = read_signatures(document, name="signature", size=len(data), files=None)
    told = (informs("validation-by-digest"),) if digests is not None else ()
    return Claims(claims, findings=told, spoils=tuple(surplus(matched.surplus)))


def read_signatures(
    document: Document, *, name: str, size: int, files: frozenset[str] | None
) -> tuple[Claim, ...]:
    """The claims of a document. `files` are the names a container's signature should cover."""
    found = [XmlSignature(document, one, files) for one in document.signatures]
    if len(found) > _MOST_SIGNATURES:
        raise Unreadable("validation-too-many-signatures", limit=_MOST_SIGNATURES)
    own = [one for one in found if not one.is_counter]
    names = {
        id(one): f"{name}-{number}" if len(own) > 1 else name
        for number, one in enumerate(own, start=1)
    }
    counters = [one for one in found if one.is_counter]
    names |= {id(one): counter_name(name, at) for at, one in enumerate(counters, start=1)}
    return tuple(
        replace(_claim(one, names[id(one)], size), countersigns=one.is_counter) for one in found
    )


def _claim(one: XmlSignature, name: str, size: int) -> Claim:
    try:
        require_shape(one.element)
        signed = _mathematics(one)
        certificates, revocation = _carried(one)
        others = certificates | frozenset(one.bag)
        stamps = _stamps(one, name, others)
        archives = _archives(one, name, others)
        covers = Coverage.COUNTERSIGNED
        if not one.countersigns:
            covers = coverage(one.document, one.element, one.signed_data_references, one.files)
    except Rejected as rejected:
        return Claim(name, FAMILY, None, (rejected.finding,))
    except (NotCanonical, ValueError, TypeError, KeyError) as error:
        sub = SubIndication.FORMAT_FAILURE
        found = fails("validation-xml-damaged", sub, detail=type(error).__name__)
        return Claim(name, FAMILY, None, (found,))
    return Claim(
        name=name,
        family=FAMILY,
        signed=signed,
        findings=tuple(_coverage_findings(covers)),
        stamps=stamps,
        archives=archives,
        certificates=certificates,
        revocation=revocation,
        digests=frozenset(each.digest for each in (*one.references, *one.listed)),
        baseline=signed.claimed_time is not None and signed.reference_is_v2,
        whole_file=covers is Coverage.WHOLE,
        size=size,
        references=(
            *(
                SignedReference(
                    "SIGNED_PROPERTIES" if each.is_properties else "REFERENCE",
                    each.digest,
                    each.value,
                    each.uri,
                )
                for each in one.references
            ),
            *(
                SignedReference("MANIFEST_ENTRY", each.digest, each.value, each.uri)
                for each in one.listed
            ),
        ),
    )


def _coverage_findings(covers: Coverage) -> Iterator[Finding]:
    if covers is Coverage.PART:
        yield fails("validation-partly-signed", SubIndication.SIG_CONSTRAINTS_FAILURE)
    elif covers is Coverage.FRAME:
        yield warns("validation-frame-unsigned")
    elif covers is Coverage.COUNTERSIGNED:
        yield informs("validation-counter-signature")


def _mathematics(one: XmlSignature) -> SignedData:
    # 1. The signing certificate, pinned by the signed properties.
    properties = one.signed_properties.find(xades("SignedSignatureProperties"))
    if properties is None:
        raise refused("validation-xml-structure", part="SignedSignatureProperties")
    certificate, is_v2 = _signing_certificate(one, properties)

    # 2. Every reference comes to the octets that were hashed.
    compare(one)

    # 3. The signature over the canonical SignedInfo.
    info = one.child("SignedInfo")
    method = info.find(ds("SignatureMethod"))
    uri = str(method.get("Algorithm")) if method is not None else ""
    if uri not in SIGNATURES:
        sub = SubIndication.CRYPTO_CONSTRAINTS_FAILURE
        raise Rejected(fails("validation-unknown-algorithm", sub, algorithm=uri[:80]))
    scheme, name = SIGNATURES[uri]
    way = Way(Method[scheme.name], name)
    if scheme is Scheme.RSA_PSS:  # MGF1 and a salt of the same digest (RFC 9231 §2.3.10)
        way = replace(way, mask=name, salt=len(digest(name)))
    value = decoded(one.child("SignatureValue").text)
    octets = canonical(info, _canonicalization(info), _prefix_list(info))
    if not _verifies(certificate, way, value, octets):
        raise Rejected(fails("validation-signature-wrong", SubIndication.SIG_CRYPTO_FAILURE))
    beside = one.element.iterfind(_DATA_PROPERTIES)
    carried = {str(each.tag) for each in (*unsigned_properties(one.element), *beside)}
    return SignedData(
        certificate=certificate,
        bag=one.bag,
        revocation=(),
        digest=name,
        signature=value,
        claimed_time=_time(properties.findtext(xades("SigningTime"))),
        timestamps=(),
        reference_is_v2=is_v2,
        content=None,
        mask_digest=way.mask,
        unknown_attributes=tuple(sorted(carried - UNSIGNED_PROPERTIES)),
    )


def _signing_certificate(one: XmlSignature, properties: Element) -> tuple[Certificate, bool]:
    missing = SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    for name in ("SigningCertificateV2", "SigningCertificate"):
        pin = properties.find(f"{xades(name)}/{xades('Cert')}/{xades('CertDigest')}")
        if pin is None:
            continue
        algorithm = digest_named(pin.find(ds("DigestMethod")))
        wanted = decoded(pin.findtext(ds("DigestValue")))
        for der in one.bag:
            found = read_all([der]) if digest(algorithm, der) == wanted else []
            if found:
                return found[0], algorithm != "sha1"
        code = "validation-certificate-substituted" if one.bag else "validation-certificate-missing"
        raise Rejected(fails(code, missing))
    raise Rejected(fails("validation-no-certificate-reference", missing))


def _verifies(certificate: Certificate, way: Way, value: bytes, octets: bytes) -> bool:
    """ECDSA values are two numbers one after the other (XML Signature 1.1 §6.4.3)."""
    key = certificate.x509.public_key()
    if way.method is Method.ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
        size = (key.key_size + 7) // 8
        if len(value) != 2 * size:
            return False
        r, s = int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big")
        value = utils.encode_dss_signature(r, s)
    return verifies(key, way, value, octets)


def _stamps(one: XmlSignature, name: str, others: frozenset[bytes]) -> tuple[Stamp, ...]:
    found = []
    for holder in _unsigned(one, xades("SignatureTimeStamp")):
        method = _canonicalization(holder)
        about = partial(signature_imprint, one.element, method)
        found += [_stamp(token, about, name, others) for token in _tokens(holder)]
    return tuple(found[:_MOST_STAMPS])


def _archives(one: XmlSignature, name: str, others: frozenset[bytes]) -> tuple[ArchiveStamp, ...]:
    found: list[ArchiveStamp] = []
    for holder in list(_unsigned(one, xades141("ArchiveTimeStamp")))[:_MOST_STAMPS]:
        method = _canonicalization(holder)
        about = partial(archive_imprint, one.element, one.references, method, before=holder)
        before = []
        for each in unsigned_properties(one.element):
            if each is holder:
                break
            before.append(each)
        certificates, revocation = _values(before)
        covers = certificates | revocation | frozenset(one.bag)
        found += [
            ArchiveStamp(_stamp(each, about, name, others), covers) for each in _tokens(holder)
        ]
    return tuple(found)


def _stamp(token: bytes, about: Callable[[], bytes], name: str, others: frozenset[bytes]) -> Stamp:
    """`about` gives the octets; of a document that stays with its owner there are none."""
    return read_stamp(
        token,
        lambda algorithm: digest(algorithm, about()),
        field=name,
        others=lambda: others,
    )


def _tokens(holder: Element) -> list[bytes]:
    if holder.find(xades("Include")) is not None:
        raise refused("validation-xml-structure", part="Include")
    return [decoded(one.text) for one in holder.findall(xades("EncapsulatedTimeStamp"))]


def _carried(one: XmlSignature) -> tuple[frozenset[bytes], frozenset[bytes]]:
    return _values(unsigned_properties(one.element))


def _values(properties: Iterable[Element]) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Certificates and revocation data in unsigned properties, those of time-stamps too."""
    certificates, revocation = set(), set()
    for each in properties:
        for held in each.iter(xades("EncapsulatedX509Certificate")):
            certificates.add(decoded(held.text))
        for held in each.iter(xades("EncapsulatedCRLValue")):
            revocation.add(decoded(held.text))
        for held in each.iter(xades("EncapsulatedOCSPValue")):
            value = decoded(held.text)
            revocation.add(value if read_ocsp(value) is not None else response(value))
    return frozenset(certificates), frozenset(revocation)


def _unsigned(one: XmlSignature, tag: str) -> Iterator[Element]:
    return (each for each in unsigned_properties(one.element) if each.tag == tag)


def _canonicalization(holder: Element) -> str:
    method = holder.find(ds("CanonicalizationMethod"))
    uri = method.get("Algorithm") if method is not None else DEFAULT_CANONICAL
    if uri not in CANONICAL:
        raise refused("validation-xml-transform", transform=str(uri)[:80])
    return str(uri)


def _prefix_list(info: Element) -> tuple[str, ...]:
    method = info.find(ds("CanonicalizationMethod"))
    listed = next(method.iterchildren("*"), None) if method is not None else None
    return tuple((listed.get("PrefixList") or "").split()) if listed is not None else ()


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text.strip())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
