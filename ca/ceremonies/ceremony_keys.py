"""Where a ceremony's keys come from: the service token, or throw-away software in a dry run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ca import key_policy, tbs
from ca import signature_algorithms as algorithms
from ca.ceremonies.plan import RootPlan
from ca.profiles import PROFILES
from ca.serials import new_serial
from hsm.mechanisms import KeyAlgorithm
from hsm.token import Token


class TokenKeys:
    """The service token's resident keys by label; a key left by an interrupted ceremony is used."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._ids = {key.label: key.key_id for key in token.resident_keys()}

    def make(self, name: str, algorithm: KeyAlgorithm) -> str:
        """Make sure the key is there; says in words what was done."""
        if name in self._ids:
            return "was on the token already"
        self._ids[name] = self._token.generate(algorithm, label=name).key_id
        return "made on the token"

    def key_id(self, name: str) -> bytes:
        """The CKA_ID to find it by."""
        return self._ids[name]

    def private(self, name: str) -> Any:
        """The key, pyca-shaped."""
        return self._token.key(self._ids[name])


class SoftwareKeys:
    """Throw-away keys; the roots that exist are stood in for, as their keys are out of reach."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def make(self, name: str, algorithm: KeyAlgorithm) -> str:
        """Make a software key; says in words what would be done."""
        if name not in self._made:
            self._made[name] = (
                rsa.generate_private_key(65537, algorithm.bits)
                if algorithm.is_rsa
                else ec.generate_private_key(algorithm.curve)
            )
        return "would be made on the token"

    def private(self, name: str) -> Any:
        """The key."""
        return self._made[name]

    def root(self, name: str, algorithm: KeyAlgorithm) -> Any:
        """A root's key, for the root's side."""
        self.make(name, algorithm)
        return self._made[name]

    def stand_in(self, plan: RootPlan, *, now: datetime) -> bytes:
        """A certificate that says what the root's says, with a throw-away key."""
        key = self.root(plan.name, plan.key)
        unsigned = tbs.unsigned_certificate(
            profile=PROFILES["root"],
            issuer=None,
            subject=plan.subject,
            public_key=key_policy.accepted_type(key.public_key()),
            serial=new_serial(),
            not_before=now,
            not_after=PROFILES["root"].not_after(now),
        )
        return unsigned.sign(key)


Keys = TokenKeys | SoftwareKeys


def request(name: x509.Name, key: Any) -> bytes:
    """A PKCS#10 request that proves possession of the key (RFC 2986)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = builder.sign(key, algorithms.digest_for(key.public_key()))
    return signed.public_bytes(Encoding.DER)
