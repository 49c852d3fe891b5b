"""One certificate as DSS's diagnostic data tell it: facts, no opinion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from signer.reports.naming import (
    Json,
    certificate_id,
    digest_name,
    encoded,
    hashed,
    instant,
    key_name,
    key_size,
    token_id,
)
from signer.trust.certificates import Certificate, is_authority

_NAMES = (
    ("SubjectSerialNumber", NameOID.SERIAL_NUMBER),
    ("CommonName", NameOID.COMMON_NAME),
    ("Locality", NameOID.LOCALITY_NAME),
    ("State", NameOID.STATE_OR_PROVINCE_NAME),
    ("CountryName", NameOID.COUNTRY_NAME),
    ("OrganizationIdentifier", NameOID.ORGANIZATION_IDENTIFIER),
    ("OrganizationName", NameOID.ORGANIZATION_NAME),
    ("OrganizationalUnit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("Title", NameOID.TITLE),
    ("GivenName", NameOID.GIVEN_NAME),
    ("Surname", NameOID.SURNAME),
    ("Pseudonym", NameOID.PSEUDONYM),
    ("Email", NameOID.EMAIL_ADDRESS),
)
_USAGES = (
    ("digital_signature", "digitalSignature"),
    ("content_commitment", "nonRepudiation"),
    ("key_encipherment", "keyEncipherment"),
    ("data_encipherment", "dataEncipherment"),
    ("key_agreement", "keyAgreement"),
    ("key_cert_sign", "keyCertSign"),
    ("crl_sign", "crlSign"),
)


def certificate_facts(
    one: Certificate, chain: Sequence[Certificate], *, source: str, trusted: bool
) -> Json:
    """`chain` is what was found above it; `source` where it was found."""
    issuer = chain[0] if chain else None
    key = one.x509.public_key()
    facts: Json = {
        "Id": certificate_id(one),
        "SubjectDistinguishedName": _names(one.x509.subject),
        "IssuerDistinguishedName": _names(one.x509.issuer),
        "SerialNumber": one.serial,
        **_attributes(one.x509.subject),
        "Source": ["TRUSTED_STORE"] if trusted else [source],
        "NotAfter": instant(one.not_after),
        "NotBefore": instant(one.not_before),
        "PublicKeySize": key_size(key),
        "PublicKeyEncryptionAlgo": key_name(key),
        "EntityKey": token_id("EK", one.spki),
    }
    if issuer is not None:
        facts["IssuerEntityKey"] = {
            "value": token_id("EK", issuer.spki),
            "key": True,
            "subjectName": one.issuer == issuer.subject,
        }
    signing_key = issuer.x509.public_key() if issuer else key
    digest = one.x509.signature_hash_algorithm
    facts["BasicSignature"] = basic_signature(
        signing_key,
        digest.name.replace("-", "_") if digest else "",
        intact=issuer is not None or one.self_signed,
    )
    if issuer is not None:
        facts["SigningCertificate"] = {"Certificate": certificate_id(issuer)}
        facts["ChainItem"] = [{"Certificate": certificate_id(each)} for each in chain]
    facts["Trusted"] = {"value": trusted}
    facts["SelfSigned"] = one.subject == one.issuer
    facts["certificateExtensions"] = list(_extensions(one))
    facts["DigestAlgoAndValue"] = hashed(one.der)
    return facts


def basic_signature(key: object, digest: str, *, intact: bool) -> Json:
    """How a token is signed, and whether the mathematics held."""
    return {
        "EncryptionAlgoUsedToSignThisToken": key_name(key),
        "KeyLengthUsedToSignThisToken": str(key_size(key)),
        "DigestAlgoUsedToSignThisToken": digest_name(digest),
        "SignatureIntact": intact,
        "SignatureValid": intact,
    }


def _names(name: x509.Name) -> list[Json]:
    return [{"value": name.rfc4514_string(), "Format": "RFC2253"}]


def _attributes(name: x509.Name) -> Json:
    found: Json = {}
    for member, oid in _NAMES:
        values = name.get_attributes_for_oid(oid)
        if values:
            value = values[-1].value
            found[member] = value if isinstance(value, str) else value.decode(errors="replace")
    return found


def _extensions(one: Certificate) -> Iterator[Json]:
    """Those that DSS names; a certificate is read whole before, so none raises."""
    for extension in one.x509.extensions:
        made = _WRITERS.get(type(extension.value))
        if made is None:
            continue
        member, facts = made(extension.value, one)
        common = {"OID": extension.oid.dotted_string, "critical": extension.critical}
        yield {member: {**facts, **common}}


def _key_usage(value: x509.KeyUsage, _one: Certificate) -> tuple[str, Json]:
    return "KeyUsages", {"keyUsageBit": [name for own, name in _USAGES if getattr(value, own)]}


def _purposes(value: x509.ExtendedKeyUsage, _one: Certificate) -> tuple[str, Json]:
    return "ExtendedKeyUsages", {
        "extendedKeyUsageOid": [{"value": each.dotted_string} for each in value]
    }


def _policies(value: x509.CertificatePolicies, _one: Certificate) -> tuple[str, Json]:
    return "CertificatePolicies", {
        "certificatePolicy": [{"value": each.policy_identifier.dotted_string} for each in value]
    }


def _basic(value: x509.BasicConstraints, one: Certificate) -> tuple[str, Json]:
    facts: Json = {"CA": is_authority(one)}
    if value.path_length is not None:
        facts["pathLenConstraint"] = value.path_length
    return "BasicConstraints", facts


def _lists(value: x509.CRLDistributionPoints, _one: Certificate) -> tuple[str, Json]:
    places = [place for point in value for place in point.full_name or ()]
    return "CRLDistributionPoints", {"crlUrl": _addresses(places)}


def _authority_key(value: x509.AuthorityKeyIdentifier, _one: Certificate) -> tuple[str, Json]:
    identifier = value.key_identifier
    return "AuthorityKeyIdentifier", {"keyIdentifier": encoded(identifier)} if identifier else {}


def _subject_key(value: x509.SubjectKeyIdentifier, _one: Certificate) -> tuple[str, Json]:
    return "SubjectKeyIdentifier", {"ski": encoded(value.digest)}


def _access(value: x509.AuthorityInformationAccess, _one: Certificate) -> tuple[str, Json]:
    def named(oid: x509.ObjectIdentifier) -> list[str]:
        return _addresses([one.access_location for one in value if one.access_method == oid])

    return "AuthorityInformationAccess", {
        "caIssuersUrl": named(AuthorityInformationAccessOID.CA_ISSUERS),
        "ocspUrl": named(AuthorityInformationAccessOID.OCSP),
    }


def _no_check(_value: x509.OCSPNoCheck, _one: Certificate) -> tuple[str, Json]:
    return "IdPkixOcspNoCheck", {"present": True}


def _addresses(names: Sequence[x509.GeneralName]) -> list[str]:
    return [one.value for one in names if isinstance(one, x509.UniformResourceIdentifier)]


_WRITERS: dict[type, Callable[..., tuple[str, Json]]] = {
    x509.KeyUsage: _key_usage,
    x509.ExtendedKeyUsage: _purposes,
    x509.CertificatePolicies: _policies,
    x509.BasicConstraints: _basic,
    x509.CRLDistributionPoints: _lists,
    x509.AuthorityKeyIdentifier: _authority_key,
    x509.SubjectKeyIdentifier: _subject_key,
    x509.AuthorityInformationAccess: _access,
    x509.OCSPNoCheck: _no_check,
}
