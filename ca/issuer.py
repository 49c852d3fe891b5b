"""An issuer as the rest of the house sees it: a name, a certificate and three addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from cryptography import x509

from ca import signature_algorithms
from ca.key_policy import PublicKey, accepted_type
from hsm.private_key import PrivateKey


@dataclass(frozen=True)
class Issuer:
    """A CA of the hierarchy.

    `key_id` is the CKA_ID of its key on the service token, or None for the root, whose key only
    a ceremony reaches. `certificate` is the one that stands in chains. `shard` is the part of its
    list that certificates made now name, or None where one list serves all
    (`ca.status.crl_shards`).
    """

    name: str
    certificate: x509.Certificate
    parent: str | None
    key_id: bytes | None
    profiles: tuple[str, ...]
    base_url: str
    generation: int = 1
    active: bool = True
    shard: int | None = None

    @property
    def certificate_url(self) -> str:
        return f"{self.base_url}/pki/certificates/{self.name}.cer"

    @property
    def crl_url(self) -> str:
        """The distribution point of the certificates below."""
        part = "" if self.shard is None else f"-{self.shard}"
        return f"{self.base_url}/pki/crl/{self.name}{part}.crl"

    @cached_property
    def subject_key(self) -> bytes:
        """The subject key identifier: what every certificate below names as its authority."""
        extension = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return extension.value.digest

    @cached_property
    def subject_bytes(self) -> bytes:
        """The name as it stands in every certificate below, DER."""
        return self.certificate.subject.public_bytes()

    @cached_property
    def digest(self) -> signature_algorithms.Digest:
        """What the key signs with; decided by the key."""
        return signature_algorithms.digest_for(self.public_key)

    @cached_property
    def signature_algorithm(self) -> bytes:
        """The AlgorithmIdentifier of every signature of this issuer, DER."""
        return signature_algorithms.identifier(self.public_key, self.digest)

    @cached_property
    def public_key(self) -> PublicKey:
        return accepted_type(self.certificate.public_key())


@dataclass(frozen=True)
class ServiceKey:
    """An OCSP responder, time-stamp unit or audit key, ready to sign.

    `chain` goes from the key's issuer up to the root; `key` is the resident key on the token.
    """

    name: str
    profile: str
    issuer: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)
