"""A software PKI in memory, for samples that must not depend on our own signing path.

The signing rooms have their own token and hierarchy (tests/world.py). Validation is judged on
documents made by somebody else's code: keys by `cryptography`, signatures by pyHanko.
Every moment is an argument, so a test may sign in 2026 and validate in 2045.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

UTC = dt.UTC
SIGNED_AT = dt.datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
DAY = dt.timedelta(days=1)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@functools.cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key per name for the whole run: generating RSA keys is what makes tests slow."""
    return rsa.generate_private_key(65537, bits)


@functools.cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common: str, unit: str = "TEST") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def usage(*on: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{n: n in on for n in names})


def _distribution() -> x509.CRLDistributionPoints:
    place = x509.UniformResourceIdentifier("http://pki.test/crl")
    return x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)])


@dataclass
class Party:
    """A certificate with its key and the party that issued it."""

    certificate: x509.Certificate
    key: Key
    issuer: Party | None = None

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def chain(self) -> list[x509.Certificate]:
        found: list[x509.Certificate] = [self.certificate]
        above = self.issuer
        while above is not None:
            found.append(above.certificate)
            above = above.issuer
        return found


def issue(
    common: str,
    key: Key,
    issuer: Party | None,
    *,
    ca: bool = False,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    key_usage: tuple[str, ...] = ("digital_signature", "content_commitment"),
    not_before: dt.datetime = SIGNED_AT - 365 * DAY,
    not_after: dt.datetime = SIGNED_AT + 1500 * DAY,
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    digest: hashes.SHA256 | hashes.SHA384 | None = None,
) -> Party:
    subject = name(common)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ca:
        key_usage = ("key_cert_sign", "crl_sign")
    builder = builder.add_extension(usage(*key_usage), critical=True)
    signing = issuer.key if issuer else key
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
    )
    if purposes:
        critical = ExtendedKeyUsageOID.TIME_STAMPING in purposes
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
    if issuer:
        # pyHanko looks at revocation data only where the certificate says where they come from.
        place = x509.UniformResourceIdentifier("http://pki.test/ocsp")
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        builder = builder.add_extension(
            x509.AuthorityInformationAccess([access]), critical=False
        ).add_extension(_distribution(), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(signing, digest or hashes.SHA256())
    return Party(certificate, key, issuer)


@dataclass
class SmallPki:
    """root → issuing → signers, TSA and OCSP responder; revocation is a dictionary."""

    label: str = "TEST"
    revoked: dict[int, tuple[dt.datetime, x509.ReasonFlags]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def far(years: int) -> dt.datetime:
            return SIGNED_AT + 365 * years * DAY

        tag = self.label
        self.root = issue(f"{tag} Root", rsa_key(f"{tag}-root"), None, ca=True, not_after=far(25))
        self.issuing = issue(
            f"{tag} Issuing", rsa_key(f"{tag}-issuing"), self.root, ca=True, not_after=far(10)
        )
        end = SIGNED_AT + 700 * DAY
        self.official = issue(
            "Nguyễn Thị Mẫu", rsa_key(f"{tag}-official"), self.issuing, not_after=end
        )
        self.agency = issue(
            "UBND phường Hạc Thành TEST", rsa_key(f"{tag}-agency"), self.issuing, not_after=end
        )
        self.tsa = issue(
            f"{tag} TSA",
            rsa_key(f"{tag}-tsa"),
            self.issuing,
            purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
            key_usage=("digital_signature",),
            not_after=SIGNED_AT + 1200 * DAY,
        )
        self.responder = issue(
            f"{tag} OCSP",
            ec_key(f"{tag}-ocsp"),
            self.issuing,
            purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
            key_usage=("digital_signature",),
            extra=((x509.OCSPNoCheck(), False),),
        )

    def revoke(
        self,
        party: Party,
        at: dt.datetime,
        reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise,
    ) -> None:
        self.revoked[party.certificate.serial_number] = (at, reason)

    def crl(
        self, issuer: Party, at: dt.datetime = SIGNED_AT, life: dt.timedelta = 7 * DAY
    ) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(at)
            .next_update(at + life)
            .add_extension(x509.CRLNumber(int(at.timestamp())), critical=False)
        )
        for serial, (when, reason) in self.revoked.items():
            if when <= at:
                builder = builder.add_revoked_certificate(
                    x509.RevokedCertificateBuilder()
                    .serial_number(serial)
                    .revocation_date(when)
                    .add_extension(x509.CRLReason(reason), critical=False)
                    .build()
                )
        return builder.sign(issuer.key, hashes.SHA256())

    def ocsp(
        self,
        party: Party,
        at: dt.datetime = SIGNED_AT,
        life: dt.timedelta = DAY,
        responder: Party | None = None,
    ) -> ocsp.OCSPResponse:
        responder = responder or self.responder
        assert party.issuer is not None
        when, reason = self.revoked.get(party.certificate.serial_number, (None, None))
        is_revoked = when is not None and when <= at
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=party.certificate,
            issuer=party.issuer.certificate,
            algorithm=hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD,
            this_update=at,
            next_update=at + life,
            revocation_time=when if is_revoked else None,
            revocation_reason=reason if is_revoked else None,
        )
        return (
            builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
            .certificates([responder.certificate])
            .sign(responder.key, hashes.SHA256())
        )

    def evidence(self, *parties: Party, at: dt.datetime = SIGNED_AT) -> list[bytes]:
        """What a validator would fetch at that moment: one OCSP per party and the root's CRL."""
        der = serialization.Encoding.DER
        found = [self.crl(self.root, at).public_bytes(der)]
        found += [self.ocsp(party, at).public_bytes(der) for party in parties]
        return found
