"""One CMS signature taken apart: who signed, over which digest, and what travels beside it.

EN 319 102-1, clauses 5.2.2 (format, by `cms_shape`), 5.2.3 (signing certificate) and 5.2.7
(cryptographic verification, by `mathematics`), for CAdES signatures (EN 319 122-1), those in a PDF
too, and RFC 3161 time-stamp tokens. asn1crypto only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils

from signer.trust.certificates import Certificate, is_authority, read_all, read_certificate
from signer.verdicts.cms_shape import (
    OCSP_RESPONSE,
    Attributes,
    attributes_of,
    malformed,
    require_bare,
    require_lists,
    require_nothing_more,
    require_one_value,
    require_versions,
    single,
    unknown,
)
from signer.verdicts.mathematics import digest, verifies, way_of
from signer.verdicts.verdict import Rejected, SubIndication, fails

TIMESTAMP_CONTENT = "1.2.840.113549.1.9.16.1.4"
_USUAL_STRINGS = ("utf8_string", "printable_string")
CERTIFICATE_MISSING = "validation-certificate-missing"


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
    """Unsigned attributes (OIDs) or properties (XML names) that no standard we read has."""

    @property
    def essence(self) -> tuple[bytes, bytes]:
        """What two copies of one signature have in common: who made it, and its value; of ECDSA the
        first number alone, for the second can be turned round by anyone (s, n − s)."""
        value = self.signature
        if isinstance(self.certificate.x509.public_key(), ec.EllipticCurvePublicKey):
            try:
                value = str(utils.decode_dss_signature(value)[0]).encode()
            except ValueError:  # as XML writes it
                value = str(int.from_bytes(value[: len(value) // 2], "big")).encode()
        return self.certificate.der, value


@dataclass(frozen=True)
class TimestampInfo:
    """TSTInfo of a token: which digest existed when."""

    time: datetime
    digest: str
    imprint: bytes


DigestOf = Callable[[str], bytes]
Others = Callable[[], Iterable[bytes]]
"""Certificates that stand elsewhere in the document; asked for only when they are needed."""


def no_others() -> Iterable[bytes]:
    return ()


def read_signed_data(
    encoded: bytes,
    *,
    content_type: str,
    digest_of: DigestOf | None,
    counter: bool = False,
    others: Others = no_others,
) -> SignedData:
    """Parse and verify one SignedData with one signer; raises Rejected with the finding.

    `digest_of(algorithm)` is the digest of the signed bytes of the file; None for a token,
    which carries what it signs. `others` are certificates of the document beside the signature's
    own: which of them signed is said by the signed reference, not by the place. A
    counter-signature has no content type (RFC 5652, 11.4).
    """
    try:
        return _read(encoded, content_type, digest_of, counter, others)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError) as error:
        kind = type(error).__name__
        raise malformed("validation-cms-damaged", detail=kind) from None


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
        raise malformed("validation-timestamp-damaged") from None


def _read(
    encoded: bytes, content_type: str, digest_of: DigestOf | None, counter: bool, others: Others
) -> SignedData:
    # 1. Format: one DER value, one SignedData, one signer, the content type asked for.
    info = cms.ContentInfo.load(encoded, strict=True)
    if info["content_type"].native != "signed_data":
        raise malformed("validation-cms-damaged", detail="content type")
    require_one_value(info)
    data = info["content"]
    inner = data["encap_content_info"]
    require_one_value(inner)
    if len(data["signer_infos"]) != 1 or inner["content_type"].dotted != content_type:
        raise malformed("validation-cms-signers")
    content = bytes(inner["content"]) if inner["content"] else None
    if (content is None) != (digest_of is not None):
        raise malformed("validation-cms-content")
    signer = data["signer_infos"][0]
    # As they stand in the file: once asn1crypto has looked inside, it would encode anew.
    signed_attributes = b"\x31" + signer["signed_attrs"].dump()[1:]
    algorithm = signer["digest_algorithm"]["algorithm"].native
    declared = [one["algorithm"].native for one in data["digest_algorithms"]]
    if declared != [algorithm]:
        raise malformed("validation-cms-digest-algorithms")
    require_versions(data, signer)
    require_nothing_more(info, data, inner, signer)
    require_bare(data, signer)
    require_lists(data["crls"])
    attributes = attributes_of(signer["signed_attrs"])
    if not attributes:
        # Plain CMS (RFC 5652, 5.3) is no damage, but nothing in it says by which certificate.
        sub = SubIndication.SIG_CONSTRAINTS_FAILURE
        raise Rejected(fails("validation-cms-unsigned-attributes", sub))

    if "cms_algorithm_protection" in attributes:
        protected = single(attributes, "cms_algorithm_protection")
        if any(
            protected[name].contents != signer[name].contents
            for name in ("digest_algorithm", "signature_algorithm")
        ):
            raise malformed("validation-cms-digest-algorithms")

    # 2. The signing certificate: named by the signed reference, found in the bag or elsewhere.
    bag = tuple(one.dump() for one in data["certificates"] or ())
    certificate, is_v2 = _signing_certificate(bag, others, signer["sid"], attributes)

    # 3. The mathematics: message digest, then the signature over the signed attributes.
    expected = digest_of(algorithm) if digest_of else digest(algorithm, content or b"")
    if single(attributes, "message_digest").native != expected:
        raise Rejected(fails("validation-hash", SubIndication.HASH_FAILURE))
    if counter:
        if "content_type" in attributes:
            raise malformed("validation-cms-attribute", attribute="content_type")
    elif single(attributes, "content_type").dotted != content_type:
        raise malformed("validation-cms-content")
    way, value = way_of(signer["signature_algorithm"], algorithm), signer["signature"].native
    if not verifies(certificate.x509.public_key(), way, value, signed_attributes):
        raise Rejected(fails("validation-signature-wrong", SubIndication.SIG_CRYPTO_FAILURE))

    # 4. What travels beside the signature: not signed, believed only after its own checks.
    unsigned = attributes_of(signer["unsigned_attrs"])
    tokens = tuple(one.dump() for one in unsigned.get("signature_time_stamp_token", ()))
    claimed = attributes.get("signing_time")
    return SignedData(
        certificate=certificate,
        bag=bag,
        revocation=tuple(_revocation(data["crls"], attributes)),
        digest=algorithm,
        signature=value,
        claimed_time=claimed[0].native.astimezone(UTC) if claimed else None,
        timestamps=tokens,
        reference_is_v2=is_v2,
        content=content,
        mask_digest=way.mask,
        unknown_attributes=unknown(one["type"].dotted for one in signer["unsigned_attrs"] or ()),
    )


def _signing_certificate(
    bag: tuple[bytes, ...], others: Others, sid: cms.SignerIdentifier, attributes: Attributes
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
    reference = single(attributes, name)["certs"][0]
    algorithm = "sha1"
    if name == "signing_certificate_v2":
        algorithm = reference["hash_algorithm"]["algorithm"].native
    wanted = reference["cert_hash"].native
    for place in (lambda: bag, others):
        for one in read_all(place()):
            if digest(algorithm, one.der) == wanted and _names(one, sid):
                return one, name == "signing_certificate_v2"
    if all(_of_authority(one) for one in bag):
        raise Rejected(fails(CERTIFICATE_MISSING, missing))
    raise Rejected(fails("validation-certificate-substituted", missing))


def _of_authority(encoded: bytes) -> bool:
    """An end certificate in the bag that signed nothing is another one, or a damaged one."""
    one = read_certificate(encoded)
    return one is not None and is_authority(one)


def _names(certificate: Certificate, sid: cms.SignerIdentifier) -> bool:
    if sid.name == "issuer_and_serial_number":
        named = sid.chosen
        same = named["serial_number"].native == certificate.serial
        return bool(same and _written_alike(named["issuer"], certificate.issuer))
    try:
        own = certificate.x509.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    return bool(own.value.digest == sid.chosen.native)


def _written_alike(named: asn1_x509.Name, issuer: bytes) -> bool:
    """The certificate's own octets, or its letters in the other usual type of string.

    RFC 5280, 7.1 takes letters of another case for the same. Nobody signs this name, and no program
    changes a case: whoever did had something else in mind.
    """
    return named.dump() == issuer or _letters(named) == _letters(asn1_x509.Name.load(issuer))


def _letters(name: asn1_x509.Name) -> list[list[tuple[str, object]]]:
    return [
        [(pair["type"].dotted, _text(pair["value"])) for pair in relative]
        for relative in name.chosen
    ]


def _text(value: core.Asn1Value) -> object:
    usual = isinstance(value, asn1_x509.DirectoryString) and value.name in _USUAL_STRINGS
    return value.native if usual else value.dump()


def _revocation(crls: cms.RevocationInfoChoices, attributes: Attributes) -> Iterator[bytes]:
    """Revocation data inside the signature: CMS crls and Adobe's archival attribute."""
    for one in crls or ():
        if one.name == "crl":
            yield one.dump()
        elif one.chosen["other_rev_info_format"].dotted == OCSP_RESPONSE:
            yield one.chosen["other_rev_info"].dump()
    for archival in attributes.get("adobe_revocation_info_archival", ()):
        for name in ("crl", "ocsp"):
            for one in archival[name] or ():
                yield one.dump()
