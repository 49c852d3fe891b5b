"""From a profile to the extensions of one certificate.

Everything constant for a profile under an issuer is built once and kept; only the subject key
identifier and the e-mail address differ between two holders.
"""

from __future__ import annotations

from functools import lru_cache

from asn1crypto import core
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ca.issuer import Issuer
from ca.key_policy import PublicKey
from ca.names import Subject
from ca.profiles import Kind, Profile

Extension = tuple[x509.ExtensionType, bool]

QC_STATEMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3")
_PKIX_SYNTAX_V2 = "1.3.6.1.5.5.7.11.2"
_SEMANTICS = {
    Kind.NATURAL_PERSON: "0.4.0.194121.1.1",
    Kind.LEGAL_PERSON: "0.4.0.194121.1.2",
}
_QC_TYPE = "0.4.0.1862.1.6"
_QC_TYPES = {
    Kind.NATURAL_PERSON: "0.4.0.1862.1.6.1",  # id-etsi-qct-esign
    Kind.LEGAL_PERSON: "0.4.0.1862.1.6.2",  # id-etsi-qct-eseal
}
_QC_PDS = "0.4.0.1862.1.5"

_USAGE_BITS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def build(
    profile: Profile, subject: Subject, public_key: PublicKey, issuer: Issuer | None
) -> list[Extension]:
    """All extensions with their criticality; `issuer` is None for a self-signed root."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    if issuer is None:
        authority = identifier.digest
        shared = _usage(profile)
    else:
        authority = issuer.subject_key
        shared = constant(profile, issuer.name, issuer.base_url, issuer.crl_url)
    extensions: list[Extension] = [
        (x509.AuthorityKeyIdentifier(authority, None, None), False),
        (identifier, False),
        *shared,
    ]
    names = subject.alternative_name
    if names is not None and not profile.is_authority:
        extensions.append((names, False))
    return extensions


@lru_cache(maxsize=256)
def constant(profile: Profile, issuer: str, base_url: str, crl_url: str) -> tuple[Extension, ...]:
    """What no holder changes: usage, policies, statements, addresses."""
    extensions = list(_usage(profile))
    pki = f"{base_url}/pki"
    access = [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier(f"{pki}/certificates/{issuer}.cer"),
        )
    ]
    if profile.ocsp_address:
        ocsp = x509.UniformResourceIdentifier(f"{pki}/ocsp/{issuer}")
        access.insert(0, x509.AccessDescription(AuthorityInformationAccessOID.OCSP, ocsp))
    extensions.append((x509.AuthorityInformationAccess(access), False))
    if profile.crl_distribution_point:
        address = x509.UniformResourceIdentifier(crl_url)
        point = x509.DistributionPoint([address], None, None, None)
        extensions.append((x509.CRLDistributionPoints([point]), False))
    if profile.kind in _QC_TYPES:
        statements = qc_statements(profile.kind, base_url)
        extensions.append((x509.UnrecognizedExtension(QC_STATEMENTS, statements), False))
    return tuple(extensions)


@lru_cache(maxsize=64)
def _usage(profile: Profile) -> tuple[Extension, ...]:
    bits = {bit: bit in profile.key_usage for bit in _USAGE_BITS}
    extensions: list[Extension] = [(x509.KeyUsage(**bits), True)]
    if profile.is_authority:
        extensions.append((x509.BasicConstraints(ca=True, path_length=profile.path_length), True))
    if profile.extended_key_usage:
        usage = x509.ExtendedKeyUsage(profile.extended_key_usage)
        extensions.append((usage, profile.extended_key_usage_critical))
    if profile.policies:
        policies = [
            x509.PolicyInformation(x509.ObjectIdentifier(policy), None)
            for policy in profile.policies
        ]
        extensions.append((x509.CertificatePolicies(policies), False))
    if profile.ocsp_no_check:
        extensions.append((x509.OCSPNoCheck(), False))
    return tuple(extensions)


class _Oids(core.SequenceOf):  # type: ignore[misc]  # asn1crypto ships no types
    _child_spec = core.ObjectIdentifier


class _Statement(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    _fields = [("statementId", core.ObjectIdentifier), ("statementInfo", core.Any)]  # noqa: RUF012 – asn1crypto's own form


class _Statements(core.SequenceOf):  # type: ignore[misc]  # asn1crypto ships no types
    _child_spec = _Statement


class _PdsLocation(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    _fields = [("url", core.IA5String), ("language", core.PrintableString)]  # noqa: RUF012 – asn1crypto's own form


class _PdsLocations(core.SequenceOf):  # type: ignore[misc]  # asn1crypto ships no types
    _child_spec = _PdsLocation


def qc_statements(kind: Kind, base_url: str) -> bytes:
    """The QCStatements that apply (RFC 3739 §3.2.6, EN 319 412-5 §4.2.3, §4.3.4).

    The semantics of the identifiers, the type (signature or seal) and, where the service has an
    https address as QcPDS demands, the disclosure statement. QcCompliance and QcSSCD are left
    out: they claim a qualified status that no Vietnamese law gives (docs/decisions/0101).
    """
    statements = [
        {
            "statementId": _PKIX_SYNTAX_V2,
            "statementInfo": core.Any(_Oids([_SEMANTICS[kind]])),
        },
        {"statementId": _QC_TYPE, "statementInfo": core.Any(_Oids([_QC_TYPES[kind]]))},
    ]
    if base_url.startswith("https://"):
        places = _PdsLocations(
            [
                {"url": f"{base_url}/pki/pds-en.pdf", "language": "en"},
                {"url": f"{base_url}/pki/pds-vi.pdf", "language": "vi"},
            ]
        )
        statements.append({"statementId": _QC_PDS, "statementInfo": core.Any(places)})
    encoded: bytes = _Statements(statements).dump()
    return encoded
