"""CAdES signatures read for validation: detached from a file, or with the file inside.

EN 319 122-1; EN 319 102-1 §5.2.2 and §5.2.7. Each signer is taken by itself, so that several people
may sign one file in one CMS, and its mathematics checked; what else it carries is collected for
`ades_verdict.judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from asn1crypto import core

from ca import der
from ca.der import MalformedDer, Reader
from signer.cms import SIGNATURE_TIME_STAMP, attribute
from signer.cms_parts import CmsParts, SignerParts, elements
from signer.verdicts.ades_verdict import ArchiveStamp, Claim, Claims, counter_name
from signer.verdicts.archive_index import ARCHIVE_TIME_STAMP_V3, HashIndex, imprint, index_of
from signer.verdicts.cms_shape import DATA_CONTENT, WRONG_VERSION, unknown
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.examination import SignedReference
from signer.verdicts.mathematics import digest
from signer.verdicts.signed_data import SignedData, read_signed_data
from signer.verdicts.time_stamps import Stamp, read_stamp
from signer.verdicts.verdict import Rejected, SubIndication, Unreadable, fails, informs

FAMILY = "CAdES"
_STAMP = der.oid(SIGNATURE_TIME_STAMP)
_CERTIFICATE_VALUES = der.oid("1.2.840.113549.1.9.16.2.23")
_REVOCATION_VALUES = der.oid("1.2.840.113549.1.9.16.2.24")
_BASIC_OCSP = der.oid("1.3.6.1.5.5.7.48.1.1")
_OCSP_RESPONSE = der.oid("1.3.6.1.5.5.7.16.2")
_CRL, _OTHER = der.SEQUENCE, 0xA1
_COUNTER_SIGNATURE = der.oid("1.2.840.113549.1.9.6")
_MOST_STAMPS = 50
_MOST_COUNTERS = 50
_DEEPEST_COUNTER = 4


def read_claims(
    data: bytes, content: bytes | None, digests: DocumentDigests | None = None
) -> Claims:
    """Everything signed in a CMS; `content` is the file of a detached signature, or `digests`.

    Raises Unreadable when it is no CMS.
    """
    try:
        # A PDF's /Contents ends in the zeros that fill its gap.
        parts = CmsParts.read(unpadded(data) if digests is not None else data)
    except MalformedDer as error:
        raise Unreadable("validation-cms-unreadable", detail=error.params["found"]) from None
    if digests is not None:
        if parts.content is not None:
            raise Unreadable("validation-not-detached")
        return Claims(_claims(parts, None, digests), findings=(informs("validation-by-digest"),))
    if parts.content is not None and content is not None and content != parts.content:
        spoilt = fails("validation-content-differs", SubIndication.HASH_FAILURE)
        return Claims(_claims(parts, parts.content), spoils=(spoilt,))
    return Claims(_claims(parts, content if parts.content is None else parts.content))


def read_detached(data: bytes, content: bytes, *, name: str) -> tuple[Claim, ...]:
    """The signatures of a `.p7s` inside a container; raises Unreadable."""
    try:
        parts = CmsParts.read(data)
    except MalformedDer as error:
        raise Unreadable("validation-cms-unreadable", detail=error.params["found"]) from None
    if parts.content is not None:
        raise Unreadable("validation-cms-unreadable", detail="content inside")
    return tuple(
        replace(one, name=one.name.replace("signature", name, 1) if one.countersigns else name)
        for one in _claims(parts, content)
    )


def _claims(
    parts: CmsParts, content: bytes | None, digests: DocumentDigests | None = None
) -> tuple[Claim, ...]:
    def named(number: int) -> str:
        return "signature" if len(parts.signers) == 1 else f"signature-{number}"

    claims = [
        _claim(_Signer(parts, signer, content, named(number), digests))
        for number, signer in enumerate(parts.signers, start=1)
    ]
    counters = [one for signer in parts.signers for one in _counters(parts, signer)]
    if len(counters) > _MOST_COUNTERS:
        raise Unreadable("validation-too-many-signatures", limit=_MOST_COUNTERS)
    for number, each in enumerate(counters, start=1):
        claim = _counter_claim(each, counter_name("signature", number))
        claims.append(replace(claim, whole_file=False, countersigns=True))
    return tuple(claims)


@dataclass(frozen=True)
class _Counter:
    """A SignerInfo among another's unsigned attributes, over that one's signature value."""

    parts: CmsParts
    signer: SignerParts
    value: bytes


def _counters(parts: CmsParts, above: SignerParts, depth: int = 1) -> Iterator[_Counter]:
    """Every counter-signature on a signer, and those on it (RFC 5652, 11.4)."""
    for encoded in above.values(_COUNTER_SIGNATURE):
        try:
            signer = SignerParts.read(Reader(encoded).read(der.SEQUENCE))
        except MalformedDer as error:
            detail = error.params["found"]
            raise Unreadable("validation-cms-unreadable", detail=detail) from None
        if depth > _DEEPEST_COUNTER:
            raise Unreadable("validation-too-deep")
        yield _Counter(parts, signer, above.signature_value)
        yield from _counters(parts, signer, depth + 1)


def _counter_claim(one: _Counter, name: str) -> Claim:
    """It confirms a signature and says nothing of the content (EN 319 122-1 §5.2.7)."""
    told = informs("validation-counter-signature")
    try:
        signed = _mathematics(
            _Signer(replace(one.parts, content=None), one.signer, one.value, name), counter=True
        )
    except Rejected as rejected:
        return Claim(name, FAMILY, None, (rejected.finding, told))
    except (MalformedDer, ValueError) as error:
        sub = SubIndication.FORMAT_FAILURE
        found = fails("validation-cms-damaged", sub, detail=type(error).__name__)
        return Claim(name, FAMILY, None, (found, told))
    return Claim(
        name=name,
        family=FAMILY,
        signed=signed,
        findings=(told,),
        stamps=_stamps(signed, name, one.parts.certificates),
        baseline=signed.claimed_time is not None and signed.reference_is_v2,
        references=(
            SignedReference("MESSAGE_DIGEST", signed.digest, digest(signed.digest, one.value)),
        ),
    )


def _stamps(signed: SignedData, name: str, others: Collection[bytes]) -> tuple[Stamp, ...]:
    return tuple(
        read_stamp(
            token,
            lambda algorithm: digest(algorithm, signed.signature),
            field=name,
            others=lambda: others,
        )
        for token in signed.timestamps[:_MOST_STAMPS]
    )


def unpadded(data: bytes) -> bytes:
    """One DER value without the zeros after it; anything else as it is."""
    reader = Reader(data)
    try:
        value = reader.whole()
    except MalformedDer:
        return data
    return data if data[len(value) :].strip(b"\x00") else value


@dataclass(frozen=True)
class _Signer:
    parts: CmsParts
    signer: SignerParts
    content: bytes | None
    name: str
    digests: DocumentDigests | None = None

    def content_digest(self, algorithm: str) -> bytes:
        if self.digests is not None:
            return self.digests.of(algorithm)
        assert self.content is not None
        return digest(algorithm, self.content)


def _claim(one: _Signer) -> Claim:
    if one.content is None and one.digests is None:
        missing = fails("validation-content-missing", SubIndication.SIGNED_DATA_NOT_FOUND)
        return Claim(one.name, FAMILY, None, (missing,))
    try:
        signed = _mathematics(one)
        certificates, revocation = _carried(one)
        archives = _archives(one, certificates)
    except Rejected as rejected:
        return Claim(one.name, FAMILY, None, (rejected.finding,))
    except (MalformedDer, ValueError) as error:
        sub = SubIndication.FORMAT_FAILURE
        found = fails("validation-cms-damaged", sub, detail=type(error).__name__)
        return Claim(one.name, FAMILY, None, (found,))
    return Claim(
        name=one.name,
        family=FAMILY,
        signed=signed,
        stamps=_stamps(signed, one.name, certificates),
        archives=archives,
        certificates=certificates,
        revocation=revocation,
        baseline=signed.claimed_time is not None and signed.reference_is_v2,
        size=len(one.content or b""),
        references=(
            SignedReference("MESSAGE_DIGEST", signed.digest, one.content_digest(signed.digest)),
        ),
    )


def _mathematics(one: _Signer, *, counter: bool = False) -> SignedData:
    """The signature alone: no other signer, no unsigned attribute but its time-stamps."""
    listed = map(_kind, one.parts.digest_algorithms)
    if not counter and _kind(one.signer.digest_algorithm) not in listed:
        # RFC 5652, 5.1: such a signature may be refused; what says so was altered.
        raise Rejected(fails("validation-cms-digest-algorithms", SubIndication.FORMAT_FAILURE))
    if not (one.parts.version_fits and one.signer.version_fits):
        raise Rejected(fails(WRONG_VERSION, SubIndication.SIG_CONSTRAINTS_FAILURE))
    tokens = one.signer.values(_STAMP)
    stamps = (attribute(SIGNATURE_TIME_STAMP, b"".join(tokens)),) if tokens else ()
    enveloped = one.parts.content is not None
    signed = read_signed_data(
        one.parts.alone(one.signer, *stamps),
        content_type=DATA_CONTENT,
        digest_of=None if enveloped else one.content_digest,
        counter=counter,
    )
    kinds = {core.ObjectIdentifier.load(kind).dotted for kind, _ in one.signer.unsigned_values()}
    # The content is not needed twice.
    return replace(signed, content=None, unknown_attributes=unknown(kinds))


def _kind(algorithm: bytes) -> bytes:
    return Reader(algorithm).inside(der.SEQUENCE).raw(der.OBJECT_IDENTIFIER)


def _carried(one: _Signer) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Certificates and revocation data beside the signature, wherever CAdES puts them."""
    certificates = [each for each in one.parts.certificates if each[0] == der.SEQUENCE]
    revocation = []
    for each in one.parts.revocation:
        told = statement(each)
        if told is not None:
            revocation.append(told)
    for value in one.signer.values(_CERTIFICATE_VALUES):
        certificates += elements(Reader(value).read(der.SEQUENCE))
    for value in one.signer.values(_REVOCATION_VALUES):
        reader = Reader(value).inside(der.SEQUENCE)
        revocation += elements(Reader(reader.optional(0xA0) or b"\x30\x00").read(der.SEQUENCE))
        basic = elements(Reader(reader.optional(0xA1) or b"\x30\x00").read(der.SEQUENCE))
        revocation += [response(each) for each in basic]
        reader.optional(0xA2)  # OtherRevVals: of a kind nobody here can read
        reader.end()
    return frozenset(certificates), frozenset(revocation)


def statement(choice: bytes) -> bytes | None:
    """The CRL or OCSP response in one RevocationInfoChoice (RFC 5652 §10.2.1, RFC 5940).

    Raises MalformedDer for what is neither a CRL nor in another format: nobody signs it, and an
    altered tag would make it disappear.
    """
    if choice[0] == _CRL:
        return choice
    if choice[0] != _OTHER:
        raise MalformedDer("revocation data of no kind there is")
    reader = Reader(choice).inside(_OTHER)
    kind = reader.raw(der.OBJECT_IDENTIFIER)
    value = reader.whole()
    reader.end()
    if kind == _OCSP_RESPONSE:
        return value
    return response(value) if kind == _BASIC_OCSP else None


def response(basic: bytes) -> bytes:
    """An OCSPResponse around a BasicOCSPResponse, which is all that some formats keep."""
    body = der.sequence(_BASIC_OCSP, der.octet_string(basic))
    return der.sequence(der.enumerated(0), der.explicit(0, body))


def _archives(one: _Signer, others: Collection[bytes]) -> tuple[ArchiveStamp, ...]:
    tokens = one.signer.values(ARCHIVE_TIME_STAMP_V3)[:_MOST_STAMPS]
    found = [_archive(one, token, others) for token in tokens]
    # Oldest first; a broken one has no time and is judged where it stands.
    return tuple(sorted(found, key=age))


def age(archive: ArchiveStamp) -> float:
    """For sorting: when it says it was made; a broken one says nothing and comes first."""
    return archive.stamp.info.time.timestamp() if archive.stamp.info else 0.0


def _archive(one: _Signer, token: bytes, others: Collection[bytes]) -> ArchiveStamp:
    try:
        index = index_of(token)
    except MalformedDer:
        broken = fails("validation-timestamp-damaged", SubIndication.FORMAT_FAILURE)
        return ArchiveStamp(Stamp(one.name, 0, None, None, (broken,)), frozenset())
    if index.missing(one.parts, one.signer):
        gone = fails("validation-timestamp-hash", SubIndication.HASH_FAILURE)
        return ArchiveStamp(Stamp(one.name, 0, None, None, (gone,)), frozenset())
    stamp = read_stamp(token, _imprint(one, index), field=one.name, others=lambda: others)
    return ArchiveStamp(stamp, frozenset(_covered(one.parts, index)))


def _imprint(one: _Signer, index: HashIndex) -> Callable[[str], bytes]:
    return lambda name: imprint(one.parts, one.signer, index, one.content_digest, name)


def _covered(parts: CmsParts, index: HashIndex) -> list[bytes]:
    certificates = index.covered(parts.certificates)
    told = [statement(each) for each in index.covered(parts.revocation)]
    return [*certificates, *(each for each in told if each is not None)]
