"""What each kind of certificate is: frozen data, one entry per kind.

A profile says who may be named, which keys are accepted, what the certificate may be used for and
how long. `ca.extensions` turns it into extensions; `ca.lint` judges what comes out.

Key usage: holders of signing certificates get nonRepudiation alone, the type A that EN 319 412-2
NAT-4.3.2-3 and EN 319 412-3 LEG-4.3.1-4 prefer. Policies hang under the arc that RFC 5612 keeps
for examples (1.3.6.1.4.1.32473): a province replaces the arc by its own before it issues for real.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ca.errors import CaError
from hsm.mechanisms import KeyAlgorithm

POLICY_ARC = "1.3.6.1.4.1.32473.38"
TIMESTAMP_POLICY = f"{POLICY_ARC}.2.1"
ANY_POLICY = "2.5.29.32.0"
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
COPY_CODE = x509.ObjectIdentifier(f"{POLICY_ARC}.3.1")
"""Signing the QR codes of certified copies, and nothing else (docs/decisions/0402)."""


class Kind(StrEnum):
    """Whom the certificate names; it decides which ETSI profile applies."""

    NATURAL_PERSON = "natural-person"  # EN 319 412-2
    LEGAL_PERSON = "legal-person"  # EN 319 412-3
    SERVICE = "service"
    AUTHORITY = "authority"


@dataclass(frozen=True)
class Profile:
    """One kind of certificate. `years` is the most it may last; `key_usage` names X.509 bits."""

    name: str
    kind: Kind
    years: int
    key_usage: tuple[str, ...]
    algorithms: tuple[KeyAlgorithm, ...]
    required: frozenset[str] = frozenset()
    permitted: frozenset[str] = frozenset()
    extended_key_usage: tuple[x509.ObjectIdentifier, ...] = ()
    extended_key_usage_critical: bool = False
    policies: tuple[str, ...] = ()
    path_length: int | None = None
    crl_distribution_point: bool = True
    ocsp_address: bool = True
    ocsp_no_check: bool = False
    second_person: bool = False

    @property
    def is_authority(self) -> bool:
        return self.kind is Kind.AUTHORITY

    def not_after(self, not_before: datetime) -> datetime:
        """The last second of validity: RFC 5280 §4.1.2.5 counts notAfter as inside."""
        try:
            end = not_before.replace(year=not_before.year + self.years)
        except ValueError:  # 29 February
            end = not_before.replace(year=not_before.year + self.years, day=28)
        return end - timedelta(seconds=1)


_RSA_FIRST = (
    KeyAlgorithm.RSA_2048,
    KeyAlgorithm.RSA_3072,
    KeyAlgorithm.RSA_4096,
    KeyAlgorithm.P_256,
    KeyAlgorithm.P_384,
)
_EC_FIRST = (
    KeyAlgorithm.P_256,
    KeyAlgorithm.P_384,
    KeyAlgorithm.RSA_2048,
    KeyAlgorithm.RSA_3072,
    KeyAlgorithm.RSA_4096,
)
_CA_KEYS = (
    KeyAlgorithm.RSA_3072,
    KeyAlgorithm.RSA_4096,
    KeyAlgorithm.RSA_2048,
    KeyAlgorithm.P_256,
    KeyAlgorithm.P_384,
)
_PERSON = frozenset({"common_name", "uids", "surname", "given_name", "country", "serial_number"})
_LEGAL = frozenset({"common_name", "uids", "organization", "country", "organization_identifier"})
_SERVICE = frozenset({"common_name", "organization", "country"})
_SIGNER_USAGE = (DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION)

_ALL = (
    Profile(
        name="official",
        kind=Kind.NATURAL_PERSON,
        years=5,
        key_usage=("content_commitment",),
        extended_key_usage=_SIGNER_USAGE,
        algorithms=_RSA_FIRST,
        required=_PERSON | {"organization"},
        permitted=frozenset({"organizational_units", "title", "email", "locality", "state"}),
        policies=(f"{POLICY_ARC}.1.1",),
    ),
    Profile(
        name="citizen",
        kind=Kind.NATURAL_PERSON,
        years=3,
        key_usage=("content_commitment",),
        extended_key_usage=_SIGNER_USAGE,
        algorithms=_EC_FIRST,
        required=_PERSON,
        permitted=frozenset({"email", "locality", "state"}),
        policies=(f"{POLICY_ARC}.1.2",),
    ),
    Profile(
        name="organisation",
        kind=Kind.LEGAL_PERSON,
        years=3,
        key_usage=("content_commitment",),
        extended_key_usage=_SIGNER_USAGE,
        algorithms=_EC_FIRST,
        required=_LEGAL,
        permitted=frozenset({"organizational_units", "email", "locality", "state"}),
        policies=(f"{POLICY_ARC}.1.3",),
        second_person=True,
    ),
    Profile(
        name="agency-seal",
        kind=Kind.LEGAL_PERSON,
        years=5,
        key_usage=("content_commitment",),
        extended_key_usage=_SIGNER_USAGE,
        algorithms=_RSA_FIRST,
        required=_LEGAL | {"locality"},
        permitted=frozenset({"organizational_units", "email", "state"}),
        policies=(f"{POLICY_ARC}.1.4",),
        second_person=True,
    ),
    Profile(
        name="tsa",
        kind=Kind.SERVICE,
        years=5,
        key_usage=("digital_signature",),
        extended_key_usage=(ExtendedKeyUsageOID.TIME_STAMPING,),
        extended_key_usage_critical=True,  # RFC 3161 §2.3
        algorithms=_EC_FIRST,
        required=_SERVICE,
        permitted=frozenset({"organizational_units"}),
        policies=(TIMESTAMP_POLICY,),
    ),
    Profile(
        name="ocsp",
        kind=Kind.SERVICE,
        years=1,
        key_usage=("digital_signature",),
        extended_key_usage=(ExtendedKeyUsageOID.OCSP_SIGNING,),
        algorithms=_EC_FIRST,
        required=_SERVICE,
        permitted=frozenset({"organizational_units"}),
        policies=(f"{POLICY_ARC}.2.2",),
        crl_distribution_point=False,
        ocsp_address=False,
        ocsp_no_check=True,  # RFC 6960 §4.2.2.2.1: short life instead of a status of its own
    ),
    Profile(
        name="api-client",
        kind=Kind.SERVICE,
        years=1,
        key_usage=("digital_signature",),
        extended_key_usage=(ExtendedKeyUsageOID.CLIENT_AUTH,),
        algorithms=_EC_FIRST,
        required=_SERVICE,
        permitted=frozenset({"organizational_units", "uids"}),
        policies=(f"{POLICY_ARC}.2.3",),
        second_person=True,
    ),
    Profile(
        name="audit",
        kind=Kind.SERVICE,
        years=5,
        key_usage=("digital_signature",),
        extended_key_usage=(DOCUMENT_SIGNING,),
        algorithms=_EC_FIRST,
        required=_SERVICE,
        permitted=frozenset({"organizational_units"}),
        policies=(f"{POLICY_ARC}.2.4",),
    ),
    Profile(
        name="copy-code",
        kind=Kind.SERVICE,
        years=5,
        key_usage=("digital_signature",),
        extended_key_usage=(COPY_CODE,),
        extended_key_usage_critical=True,
        algorithms=(KeyAlgorithm.P_256,),
        required=_SERVICE | {"organizational_units"},
        policies=(f"{POLICY_ARC}.2.5",),
    ),
    Profile(
        name="issuing",
        kind=Kind.AUTHORITY,
        years=10,
        key_usage=("key_cert_sign", "crl_sign"),
        algorithms=_CA_KEYS,
        required=_SERVICE,
        permitted=frozenset({"organizational_units"}),
        policies=(ANY_POLICY,),
        path_length=0,
    ),
    Profile(
        name="root",
        kind=Kind.AUTHORITY,
        years=25,
        key_usage=("key_cert_sign", "crl_sign"),
        algorithms=_CA_KEYS,
        required=_SERVICE,
        permitted=frozenset({"organizational_units"}),
        crl_distribution_point=False,
        ocsp_address=False,
    ),
    Profile(
        # RFC 4210 §4.4 link certificates and cross certificates: a CA's key under another's name.
        name="cross",
        kind=Kind.AUTHORITY,
        years=10,
        key_usage=("key_cert_sign", "crl_sign"),
        algorithms=_CA_KEYS,
        required=_SERVICE,
        permitted=frozenset({"organizational_units"}),
        policies=(ANY_POLICY,),
    ),
)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in _ALL}


def profile_named(name: str) -> Profile:
    """The profile, or an error that lists those there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise CaError("profile-unknown", name=name, known=", ".join(PROFILES)) from None
