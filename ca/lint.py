"""Two judges between a prepared certificate and the key that would sign it.

*Our own rules* are quick, each citing its clause, and stricter than the standards where a value
differs from what its profile says. *pkilint* (PKIX, and ETSI EN 319 412 for persons) looks at
every shape: the profile, issuer, key kind and the set of name attributes decide what it can find,
so one of each is put before it and the verdict remembered.

    stop_on_findings(unsigned, profile=…, issuer=…, subject=…, public_key=…)
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ca import extensions, lint_dispatch, lint_shapes
from ca.errors import CaError
from ca.issuer import Issuer
from ca.key_policy import PublicKey, accepted_type, algorithm_of, spki
from ca.names import Subject
from ca.profiles import Kind, Profile
from ca.tbs import Unsigned

_RSA_SIGNATURE = bytes.fromhex("2a864886f70d0101")  # 1.2.840.113549.1.1
_STOPS = ("ERROR", "FATAL")
# A service that has no public name yet (the demonstration on this machine) cannot avoid it.
_INTERNAL_NAME = "etsi.internal_domain_name"
_ETSI_TYPES = {
    Kind.NATURAL_PERSON: "NCP_NATURAL_PERSON_CERTIFICATE",
    Kind.LEGAL_PERSON: "NCP_LEGAL_PERSON_CERTIFICATE",
}


@dataclass(frozen=True)
class Finding:
    """One thing a judge objects to. `rule` is a clause or pkilint's own code."""

    severity: str
    rule: str
    text: str

    @property
    def stops(self) -> bool:
        return self.severity in _STOPS


def stop_on_findings(
    unsigned: Unsigned,
    *,
    profile: Profile,
    issuer: Issuer | None,
    subject: Subject,
    public_key: PublicKey,
) -> None:
    """Raise `lint-finding` when either judge objects. `issuer` is None for a self-signed root.

    Of a shape that both judges have passed whole, only what may differ is judged again
    (`ca.lint_shapes`): all the rest must be the same octets.
    """
    shape = (
        profile,
        issuer and (issuer.name, issuer.crl_url, issuer.subject_key, issuer.subject_bytes),
        algorithm_of(public_key),
        unsigned.signature_algorithm,
        tuple(subject.attributes.items()),
    )
    passed = _shapes.passed(shape)
    if passed is not None and issuer is not None:
        findings = [
            Finding("ERROR", rule, text)
            for rule, text in lint_shapes.departures(
                unsigned, passed, profile, issuer, subject, public_key
            )
        ]
    else:
        findings = own_findings(
            unsigned.parsed(),
            profile=profile,
            issuer=issuer,
            subject=subject,
            public_key=public_key,
        )
        if not findings:
            findings = _shapes.judged(shape, unsigned, profile, issuer)
    stopping = [finding for finding in findings if finding.stops]
    if stopping:
        first = stopping[0]
        raise CaError("lint-finding", rule=first.rule, text=first.text, count=len(stopping))


def own_findings(
    certificate: x509.Certificate,
    *,
    profile: Profile,
    issuer: Issuer | None,
    subject: Subject,
    public_key: PublicKey,
) -> list[Finding]:
    """The certificate says exactly what its profile and its subject say, and nothing else."""
    found: list[Finding] = []

    def demand(holds: bool, rule: str, text: str) -> None:
        if not holds:
            found.append(Finding("ERROR", rule, text))

    present = subject.attributes.keys()
    missing = profile.required - present
    demand(not missing, "DOMAIN §2", f"subject lacks {', '.join(sorted(missing))}")
    extra = present - profile.required - profile.permitted
    demand(not extra, "DOMAIN §2", f"subject may not have {', '.join(sorted(extra))}")
    serial = certificate.serial_number
    demand(0 < serial < 1 << 159, "RFC 5280 §4.1.2.2", "serial is not positive or too long")
    demand(serial >> 64 > 0, "CA/B BR 7.1", "serial holds less than 64 bits")
    demand(certificate.version is x509.Version.v3, "RFC 5280 §4.1.2.1", "version is not 3")
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    demand(start < end <= profile.not_after(start), "DOMAIN §2", "validity is empty or too long")
    demand(certificate.subject == subject.to_x509(), "RFC 5280 §4.1.2.6", "subject differs")
    demand(spki_of(certificate) == spki(public_key), "RFC 5280 §4.1.2.7", "public key differs")
    if issuer is None:
        demand(
            certificate.issuer == certificate.subject, "RFC 5280 §3.2", "root is not self-issued"
        )
    else:
        above = issuer.certificate
        demand(certificate.issuer == above.subject, "RFC 5280 §4.1.2.4", "issuer differs")
        demand(end <= above.not_valid_after_utc, "RFC 5280 §6.1.3", "outlives its issuer")
        demand(start >= above.not_valid_before_utc, "RFC 5280 §6.1.3", "begins before its issuer")
    wanted = extensions.build(profile, subject, public_key, issuer)
    actual = [(extension.value, extension.critical) for extension in certificate.extensions]
    demand(actual == wanted, "RFC 5280 §4.2", "extensions are not those of the profile")
    return found


def spki_of(certificate: x509.Certificate) -> bytes:
    """The certificate's public key as it stands in it."""
    return spki(accepted_type(certificate.public_key()))


def pkilint_findings(certificate: bytes, kind: Kind, *, local_names: bool = False) -> list[Finding]:
    """What pkilint says: RFC 5280, and for persons ETSI EN 319 412-2/-3/-5 as well.

    `local_names` waives the one finding that a service without a public name cannot avoid.
    """
    from pkilint import loader
    from pkilint.document import SubstrateDecodingFailedError

    try:
        document = loader.load_der_certificate(certificate, "certificate")
    except SubstrateDecodingFailedError as error:  # what one reader takes, another may not
        return [Finding("FATAL", "RFC 5280 §4.1", f"not readable: {error.message}")]
    linters = [_linter(None)]
    if kind in _ETSI_TYPES:
        linters.append(_linter(_ETSI_TYPES[kind]))
    findings: dict[Finding, None] = {}
    for linter in linters:
        for result in linter.validate(document.root):
            for described in result.finding_descriptions:
                severity, code = described.finding.severity.name, described.finding.code
                if local_names and code == _INTERNAL_NAME:
                    continue
                text = f"{described.message or code} ({result.node.path})"
                findings[Finding(severity, code, text)] = None
    return list(findings)


@cache
def _linter(etsi_type: str | None) -> Any:
    from pkilint import etsi
    from pkilint.pkix import certificate, extension, name

    if etsi_type is not None:
        kind = etsi.etsi_constants.CertificateType[etsi_type]
        linter = certificate.create_pkix_certificate_validator_container(
            etsi.create_decoding_validators(kind), etsi.create_validators(kind)
        )
    else:
        linter = certificate.create_pkix_certificate_validator_container(
            certificate.create_decoding_validators(
                name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
            ),
            [
                certificate.create_issuer_validator_container([]),
                certificate.create_validity_validator_container(),
                certificate.create_subject_validator_container([]),
                certificate.create_extensions_validator_container([]),
                certificate.create_spki_validator_container([]),
            ],
        )
    lint_dispatch.remember_who_can_speak(linter)
    return linter


class _Shapes:
    """Shapes that pkilint has seen and passed, for the life of the process, with what is fixed."""

    def __init__(self) -> None:
        self._passed: dict[Any, lint_shapes.Fixed] = {}
        self._one_at_a_time = threading.Lock()

    def passed(self, shape: Any) -> lint_shapes.Fixed | None:
        return self._passed.get(shape)

    def judged(
        self, shape: Any, unsigned: Unsigned, profile: Profile, issuer: Issuer | None
    ) -> list[Finding]:
        """The verdict of pkilint; a shape that passes need not come before it again."""
        if shape in self._passed:
            return []
        with self._one_at_a_time:
            local = issuer is not None and is_local(issuer.base_url)
            is_rsa = _RSA_SIGNATURE in unsigned.signature_algorithm
            certificate = unsigned.sign(throw_away_key(is_rsa))
            findings = pkilint_findings(certificate, profile.kind, local_names=local)
            if not any(finding.stops for finding in findings):
                self._passed[shape] = lint_shapes.fixed_parts(unsigned.tbs)
            return findings


_shapes = _Shapes()


@lru_cache(maxsize=16)
def is_local(base_url: str) -> bool:
    """Whether an address means this machine or this building only."""
    host = urlsplit(base_url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host


@lru_cache(maxsize=8)
def throw_away_key(is_rsa: bool) -> Any:
    """A software key of the issuer's kind, for linting only; it is never trusted by anybody."""
    if is_rsa:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())
