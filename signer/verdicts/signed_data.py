"""One CMS signature as found in a PDF: its parts, and whether the mathematics holds.

EN 319 102-1, clauses 5.2.2 (format), 5.2.3 (signing certificate) and 5.2.7 (cryptographic
verification), for CAdES signatures (EN 319 122-1) and RFC 3161 time-stamp tokens. asn1crypto
only reads; the keys are checked by `cryptography`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import algos, cms, core, parser, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from ca import der
from signer.cms_parts import signed_data_version
from signer.trust.certificates import Certificate, read_all
from signer.verdicts.verdict import Finding, SubIndication, fails

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha3_256": hashes.SHA3_256,
    "sha3_384": hashes.SHA3_384,
    "sha3_512": hashes.SHA3_512,
}
TIMESTAMP_CONTENT = "1.2.840.113549.1.9.16.1.4"
DATA_CONTENT = "1.2.840.113549.1.7.1"
_METHODS = frozenset({"rsassa_pkcs1v15", "rsassa_pss", "ecdsa", "ed25519", "ed448"})
_EdwardsKey = ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
WRONG_VERSION = "validation-cms-version"
_OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"
_SMIME = "1.2.840.113549.1.9.16.2."
_UNSIGNED_ATTRIBUTES = frozenset(
    {
        # RFC 5652 and 5126, TS 101 733: counter-signature, time-stamps, references, values.
        "1.2.840.113549.1.9.6",
        *(f"{_SMIME}{arc}" for arc in (14, 21, 22, 23, 24, 25, 26, 27, 44, 45, 48)),
        # RFC 4998: evidence records. EN 319 122-1: archive time-stamps, indices, policy store.
        *(f"{_SMIME}{arc}" for arc in (49, 50)),
        *("0.4.0.1733.2.2", "0.4.0.1733.2.4", "0.4.0.1733.2.5"),
        *("0.4.0.19122.1.3", "0.4.0.19122.1.5"),
        # Adobe's and Microsoft's time-stamps, which count for nothing here.
        *("1.2.840.113583.1.1.9.1", "1.3.6.1.4.1.311.3.3.1"),
    }
)


class Rejected(Exception):
    """The CMS cannot be used; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


@dataclass(frozen=True)
class SignedData:
    """A signature whose mathematics was checked: who, over what digest, with what beside it."""

    certificate: Certificate
    bag: tuple[bytes, ...]
    revocation: tuple[bytes, ...]
    digest: str
    signature: bytes
    claimed_time: datetime | None
    timestamps: tuple[bytes, ...]
    reference_is_v2: bool
    content: bytes | None
    mask_digest: str | None = None
    """What MGF1 was built on, of a signature by RSASSA-PSS."""
    unknown_attributes: tuple[str, ...] = ()
    """Unsigned attributes that no standard we read knows, as dotted OIDs."""


@dataclass(frozen=True)
class TimestampInfo:
    """TSTInfo of a token: which digest existed when."""

    time: datetime
    digest: str
    imprint: bytes


DigestOf = Callable[[str], bytes]


def read_signed_data(
    encoded: bytes, *, content_type: str, digest_of: DigestOf | None, counter: bool = False
) -> SignedData:
    """Parse and verify one SignedData with one signer; raises Rejected with the finding.

    `digest_of(algorithm)` is the digest of the signed bytes of the file; None for a token,
    which carries what it signs. A counter-signature has no content type (RFC 5652, 11.4).
    """
    try:
        return _read(encoded, content_type, digest_of, counter)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError) as error:
        kind = type(error).__name__
        raise _format("validation-cms-damaged", detail=kind) from None


def read_timestamp_info(signed: SignedData) -> TimestampInfo:
    """TSTInfo of a verified token (RFC 3161, 2.4.2); raises Rejected when it is not one."""
    try:
        info = tsp.TSTInfo.load(signed.content or b"", strict=True)
        imprint = info["message_imprint"]
        return TimestampInfo(
            time=info["gen_time"].native.astimezone(UTC),
            digest=imprint["hash_algorithm"]["algorithm"].native,
            imprint=imprint["hashed_message"].native,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise _format("validation-timestamp-damaged") from None


def digest(algorithm: str, *parts: bytes | memoryview) -> bytes:
    """The digest of the parts one after another; raises Rejected for an unknown algorithm."""
    if algorithm not in _HASHES:
        raise Rejected(
            fails(
                "validation-unknown-algorithm",
                SubIndication.CRYPTO_CONSTRAINTS_FAILURE,
                algorithm=algorithm,
            )
        )
    state = hashlib.new(algorithm, usedforsecurity=False)
    for part in parts:
        state.update(part)
    return state.digest()


def _format(code: str, **params: object) -> Rejected:
    return Rejected(fails(code, SubIndication.FORMAT_FAILURE, **params))


def _read(
    encoded: bytes, content_type: str, digest_of: DigestOf | None, counter: bool
) -> SignedData:
    # 1. Format: one DER value, one SignedData, one signer, the content type asked for.
    info = cms.ContentInfo.load(encoded, strict=True)
    if info["content_type"].native != "signed_data":
        raise _format("validation-cms-damaged", detail="content type")
    _require_one_value(info)
    data = info["content"]
    inner = data["encap_content_info"]
    _require_one_value(inner)
    if len(data["signer_infos"]) != 1 or inner["content_type"].dotted != content_type:
        raise _format("validation-cms-signers")
    content = bytes(inner["content"]) if inner["content"] else None
    if (content is None) != (digest_of is not None):
        raise _format("validation-cms-content")
    signer = data["signer_infos"][0]
    # As they stand in the file: once asn1crypto has looked inside, it would encode anew.
    signed_attributes = b"\x31" + signer["signed_attrs"].dump()[1:]
    algorithm = signer["digest_algorithm"]["algorithm"].native
    declared = [one["algorithm"].native for one in data["digest_algorithms"]]
    if declared != [algorithm]:
        raise _format("validation-cms-digest-algorithms")
    _require_versions(data, signer)
    _require_nothing_more(info, data, inner, signer)
    _require_bare(data, signer)
    attributes = _attributes(signer["signed_attrs"])
    if not attributes:
        # Plain CMS (RFC 5652, 5.3) is no damage, but nothing in it says by which certificate.
        sub = SubIndication.SIG_CONSTRAINTS_FAILURE
        raise Rejected(fails("validation-cms-unsigned-attributes", sub))

    if "cms_algorithm_protection" in attributes:
        protected = _single(attributes, "cms_algorithm_protection")
        if any(
            protected[name].contents != signer[name].contents
            for name in ("digest_algorithm", "signature_algorithm")
        ):
            raise _format("validation-cms-digest-algorithms")

    # 2. The signing certificate: named by the signed reference, found in the bag.
    bag = tuple(one.dump() for one in data["certificates"] or ())
    certificate, is_v2 = _signing_certificate(bag, signer["sid"], attributes)

    # 3. The mathematics: message digest, then the signature over the signed attributes.
    expected = digest_of(algorithm) if digest_of else digest(algorithm, content or b"")
    if _single(attributes, "message_digest").native != expected:
        raise Rejected(fails("validation-hash", SubIndication.HASH_FAILURE))
    if counter:
        if "content_type" in attributes:
            raise _format("validation-cms-attribute", attribute="content_type")
    elif _single(attributes, "content_type").dotted != content_type:
        raise _format("validation-cms-content")
    _require_known_method(signer)
    if not _verifies(certificate, signer, signed_attributes, algorithm):
        raise Rejected(fails("validation-signature-wrong", SubIndication.SIG_CRYPTO_FAILURE))

    # 4. What travels beside the signature: not signed, believed only after its own checks.
    unsigned = _attributes(signer["unsigned_attrs"])
    tokens = tuple(one.dump() for one in unsigned.get("signature_time_stamp_token", ()))
    claimed = attributes.get("signing_time")
    return SignedData(
        certificate=certificate,
        bag=bag,
        revocation=tuple(_revocation(data["crls"], attributes)),
        digest=algorithm,
        signature=signer["signature"].native,
        claimed_time=claimed[0].native.astimezone(UTC) if claimed else None,
        timestamps=tokens,
        reference_is_v2=is_v2,
        content=content,
        mask_digest=_mask_digest(signer["signature_algorithm"]),
        unknown_attributes=unknown(one["type"].dotted for one in signer["unsigned_attrs"] or ()),
    )


def unknown(attributes: Iterable[str]) -> tuple[str, ...]:
    """Those of an unsigned attribute's types that nothing here can read."""
    return tuple(sorted(set(attributes) - _UNSIGNED_ATTRIBUTES))


def _require_versions(data: cms.SignedData, signer: cms.SignerInfo) -> None:
    """RFC 5652, 5.1 and 5.3 prescribe both versions; nobody signs them, so nothing else passes."""
    own = "v1" if signer["sid"].name == "issuer_and_serial_number" else "v3"
    wanted = signed_data_version(
        {one.dump()[0] for one in data["certificates"] or ()},
        others=any(one.name == "other" for one in data["crls"] or ()),
        plain=own == "v1" and data["encap_content_info"]["content_type"].dotted == DATA_CONTENT,
    )
    if (signer["version"].native, data["version"].native) != (own, f"v{wanted}"):
        raise Rejected(fails(WRONG_VERSION, SubIndication.SIG_CONSTRAINTS_FAILURE))


def _require_one_value(info: cms.ContentInfo | cms.EncapsulatedContentInfo) -> None:
    """[0] EXPLICIT holds one value; what stood behind it there, nobody would sign."""
    wrapped = len(info) > 1 and info.children[1]
    if isinstance(wrapped, tuple):  # as asn1crypto keeps what nobody has asked for yet
        parser.parse(wrapped[4], strict=True)


def _require_nothing_more(
    info: cms.ContentInfo,
    data: cms.SignedData,
    inner: cms.EncapsulatedContentInfo,
    signer: cms.SignerInfo,
) -> None:
    """No element behind the last that RFC 5652 names: nobody signs it, and some read past it."""
    algorithms = [*data["digest_algorithms"], signer["digest_algorithm"]]
    named = [info, data, inner, signer, *algorithms, signer["signature_algorithm"]]
    named += [signer["sid"].chosen, *(signer["unsigned_attrs"] or ())]
    for one in named:
        if isinstance(one, core.Sequence) and len(one) > len(one._fields):
            raise _format("validation-cms-damaged", detail="element unknown")


def _require_bare(data: cms.SignedData, signer: cms.SignerInfo) -> None:
    """Digests, RSA and ECDSA take no parameters: NULL or nothing (RFC 5754, 2, 3.2 and 3.3)."""
    bare = [*data["digest_algorithms"], signer["digest_algorithm"]]
    if signer["signature_algorithm"]["algorithm"].native != "rsassa_pss":
        bare.append(signer["signature_algorithm"])
    for one in bare:
        reader = der.Reader(one.dump()).inside(der.SEQUENCE)
        reader.raw(der.OBJECT_IDENTIFIER)
        if reader.more() and reader.whole() != der.NULL:
            raise _format("validation-cms-digest-algorithms")


def _attributes(values: cms.CMSAttributes) -> dict[str, list[core.Asn1Value]]:
    """Attributes by name; a doubled attribute is a trick (RFC 5652, 5.3)."""
    found: dict[str, list[core.Asn1Value]] = {}
    for one in values or ():
        name = one["type"].native
        if name in found:
            raise _format("validation-cms-doubled-attribute")
        found[name] = list(one["values"])
    return found


def _single(attributes: dict[str, list[core.Asn1Value]], name: str) -> core.Asn1Value:
    values = attributes.get(name, [])
    if len(values) != 1:
        raise _format("validation-cms-attribute", attribute=name)
    return values[0]


def _signing_certificate(
    bag: tuple[bytes, ...], sid: cms.SignerIdentifier, attributes: dict[str, list[core.Asn1Value]]
) -> tuple[Certificate, bool]:
    """The certificate the signed ESS reference pins (RFC 5035), matching the signer id.

    Without the reference anyone could swap the certificate for another over the same key.
    """
    name = (
        "signing_certificate_v2"
        if "signing_certificate_v2" in attributes
        else ("signing_certificate")
    )
    missing = SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    if name not in attributes:
        raise Rejected(fails("validation-no-certificate-reference", missing))
    reference = _single(attributes, name)["certs"][0]
    algorithm = "sha1"
    if name == "signing_certificate_v2":
        algorithm = reference["hash_algorithm"]["algorithm"].native
    wanted = reference["cert_hash"].native
    for one in read_all(bag):
        if digest(algorithm, one.der) == wanted and _names(one, sid):
            return one, name == "signing_certificate_v2"
    if not any(_names(one, sid) for one in read_all(bag)):
        raise Rejected(fails("validation-certificate-missing", missing))
    raise Rejected(fails("validation-certificate-substituted", missing))


def _names(certificate: Certificate, sid: cms.SignerIdentifier) -> bool:
    if sid.name == "issuer_and_serial_number":
        named = sid.chosen
        return bool(
            named["serial_number"].native == certificate.serial
            and named["issuer"].dump() == certificate.issuer
        ) or bool(
            named["serial_number"].native == certificate.serial
            and named["issuer"] == asn1_x509.Certificate.load(certificate.der).issuer
        )
    try:
        own = certificate.x509.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    return bool(own.value.digest == sid.chosen.native)


def _require_known_method(signer: cms.SignerInfo) -> None:
    """A kind of signature that is not computed here (DSA) is not thereby a wrong one."""
    try:
        kind = signer["signature_algorithm"].signature_algo
    except ValueError:
        kind = "unknown"
    if kind not in _METHODS:
        sub = SubIndication.CRYPTO_CONSTRAINTS_FAILURE
        raise Rejected(fails("validation-unknown-algorithm", sub, algorithm=kind.upper()))


def _verifies(
    certificate: Certificate, signer: cms.SignerInfo, signed: bytes, algorithm: str
) -> bool:
    """The signature over the DER of the signed attributes (RFC 5652, 5.4)."""
    method = signer["signature_algorithm"]
    kind, signature = method.signature_algo, signer["signature"].native
    key = certificate.x509.public_key()
    name = method["algorithm"].native
    if "_" in name and not name.startswith("rsassa") and method.hash_algo != algorithm:
        return False
    md = _HASHES[algorithm]()
    try:
        if kind == "rsassa_pkcs1v15" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), md)
        elif kind == "rsassa_pss" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, _pss(method["parameters"], algorithm), md)
        elif kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(md))
        elif kind in ("ed25519", "ed448") and isinstance(key, _EdwardsKey):
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _mask_digest(method: algos.SignedDigestAlgorithm) -> str | None:
    if method.signature_algo != "rsassa_pss":
        return None
    name: str = method["parameters"]["mask_gen_algorithm"]["parameters"]["algorithm"].native
    return name


def _pss(parameters: algos.RSASSAPSSParams, algorithm: str) -> padding.PSS:
    """RFC 4055: the digest of the parameters must be the signature's digest."""
    generator = parameters["mask_gen_algorithm"]
    mask = generator["parameters"]["algorithm"].native
    if (
        parameters["hash_algorithm"]["algorithm"].native != algorithm
        or generator["algorithm"].native != "mgf1"
        or parameters["trailer_field"].native not in (1, "trailer_field_bc")
    ):
        raise ValueError("PSS parameters")
    return padding.PSS(padding.MGF1(_HASHES[mask]()), parameters["salt_length"].native)


def _revocation(
    crls: cms.RevocationInfoChoices, attributes: dict[str, list[core.Asn1Value]]
) -> Iterator[bytes]:
    """Revocation data inside the signature: CMS crls and Adobe's archival attribute."""
    for one in crls or ():
        if one.name == "crl":
            yield one.dump()
        elif one.chosen["other_rev_info_format"].dotted == _OCSP_RESPONSE:
            yield one.chosen["other_rev_info"].dump()
    for archival in attributes.get("adobe_revocation_info_archival", ()):
        for name in ("crl", "ocsp"):
            for one in archival[name] or ():
                yield one.dump()
