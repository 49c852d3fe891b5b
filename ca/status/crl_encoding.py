"""CRLs as DER (RFC 5280 §5): entries encoded once, kept as bytes, joined at signing.

A list of 72,000 entries is then one join, one digest and one signature; `cryptography`'s public
builder copies its list for every entry it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from ca import der

REASON_CODES = {
    x509.ReasonFlags.unspecified: 0,
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.certificate_hold: 6,
    x509.ReasonFlags.remove_from_crl: 8,
    x509.ReasonFlags.privilege_withdrawn: 9,
    x509.ReasonFlags.aa_compromise: 10,
}
_REASON_EXTENSIONS = {
    reason: der.extension("2.5.29.21", der.enumerated(code))
    for reason, code in REASON_CODES.items()
    # RFC 5280 §5.3.1: "the reason code CRL entry extension SHOULD be absent instead of using the
    # unspecified (0) reasonCode value".
    if code
}
_REASON_CODE = der.oid("2.5.29.21")
_VERSION_2 = der.integer(1)


def entry(
    serial: int,
    *,
    revoked_at: datetime,
    reason: x509.ReasonFlags,
    invalidity_date: datetime | None = None,
) -> bytes:
    """One element of `revokedCertificates` with reason and, when known, the date of the harm."""
    extensions = _REASON_EXTENSIONS.get(reason, b"")
    if invalidity_date is not None:
        extensions += der.extension("2.5.29.24", der.generalized_time(invalidity_date))
    return der.sequence(
        der.integer(serial),
        der.time(revoked_at),
        der.sequence(extensions) if extensions else b"",
    )


def read_entry(encoded: bytes) -> tuple[bytes, int | None]:
    """The revocation time (GeneralizedTime, encoded) and the reason code of an entry of ours."""
    fields = der.Reader(encoded).inside(der.SEQUENCE)
    fields.integer()
    if (short := fields.optional(der.UTC_TIME)) is not None:
        moment = der.tlv(der.GENERALIZED_TIME, (b"20" if short < b"50" else b"19") + short)
    else:
        moment = fields.raw(der.GENERALIZED_TIME)
    code: int | None = None
    if fields.more():
        value = der.Extensions(fields.read(der.SEQUENCE)).values.get(_REASON_CODE)
        code = value[-1] if value else None
    return moment, code


@dataclass(frozen=True)
class CrlTemplate:
    """Everything about an issuer's lists that never changes, as DER.

    `distribution_points` are the addresses under which the parts of the list are served.
    """

    algorithm: bytes
    issuer: bytes
    authority_key_identifier: bytes
    expired_since: datetime

    @classmethod
    def of(cls, certificate: x509.Certificate, algorithm: bytes) -> CrlTemplate:
        key_identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return cls(
            algorithm=algorithm,
            issuer=certificate.subject.public_bytes(),
            authority_key_identifier=der.extension(
                "2.5.29.35", der.sequence(der.implicit(0, key_identifier.value.digest))
            ),
            expired_since=certificate.not_valid_before_utc,
        )

    def tbs(
        self,
        entries: Iterable[bytes],
        *,
        number: int,
        this_update: datetime,
        next_update: datetime,
        base: int | None = None,
        partition: str | None = None,
        freshest: str | None = None,
    ) -> bytes:
        """`base` makes it a delta, `partition` (its address) a shard; `freshest` names the delta.

        Revoked certificates stay listed after they expire, and the list says so by
        expiredCertsOnCRL (X.509 §9.5.2.8, asked for by EN 319 411-2 §6.3.10): signatures are
        checked for longer than certificates live.
        """
        revoked = b"".join(entries)
        extensions = [
            self.authority_key_identifier,
            der.extension("2.5.29.20", der.integer(number)),
        ]
        if base is not None:
            extensions.append(der.extension("2.5.29.27", der.integer(base), critical=True))
        else:
            extensions.append(der.extension("2.5.29.60", der.generalized_time(self.expired_since)))
        if partition is not None:
            extensions.append(
                der.extension(
                    "2.5.29.28", der.sequence(der.explicit(0, full_name(partition))), critical=True
                )
            )
        if freshest is not None:
            point = der.sequence(der.explicit(0, full_name(freshest)))
            extensions.append(der.extension("2.5.29.46", der.sequence(point)))
        return der.sequence(
            _VERSION_2,
            self.algorithm,
            self.issuer,
            der.time(this_update),
            der.time(next_update),
            # RFC 5280 §5.1.2.6: "When there are no revoked certificates, the revoked certificates
            # list MUST be absent."
            der.tlv(der.SEQUENCE, revoked) if revoked else b"",
            der.explicit(0, der.sequence(*extensions)),
        )

    def signed(self, tbs: bytes, signature: bytes) -> bytes:
        return der.sequence(tbs, self.algorithm, der.bit_string(signature))


def full_name(address: str) -> bytes:
    """`DistributionPointName.fullName` with one URI."""
    return der.explicit(0, der.implicit(6, address.encode("ascii")))
