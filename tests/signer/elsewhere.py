"""Keys that never were in our token: a citizen's own, and one of another provider."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.sign import signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from ca.issuance import Order, issue_many
from signer.elsewhere import prepared
from signer.elsewhere.prepared import Answer, Completed
from signer.elsewhere.prepared_rows import Waiting
from signer.files.formats import SourceFile
from tests.ca.subjects import THU
from tests.signer.software_ca import Holder
from tests.world import BY, World

CLIENT = "client:procedure-system"


@dataclass(frozen=True)
class Citizen:
    """Somebody with a token of their own and a certificate of some CA."""

    world: World
    key: Any
    certificate: x509.Certificate

    @classmethod
    def of(cls, world: World, kind: str = "p-256") -> Citizen:
        """With a certificate of this province's CA."""
        key: Any = (
            ec.generate_private_key({"p-256": ec.SECP256R1(), "p-384": ec.SECP384R1()}[kind])
            if kind.startswith("p-")
            else rsa.generate_private_key(65537, 2048)
        )
        order = Order(profile="citizen", subject=THU, public_key=key.public_key())
        (certificate,) = issue_many(world.authority, [order], now=world.now, by=BY)
        return cls(world, key, certificate)

    @classmethod
    def foreign(cls, world: World, holder: Holder) -> Citizen:
        """With a certificate of a CA elsewhere."""
        return cls(world, holder.key, holder.certificate)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def prepare(self, request: Any, *files: SourceFile, **more: Any) -> Waiting:
        return prepared.prepare(
            more.pop("desk", self.world.desk),
            files,
            request,
            certificate=more.pop("certificate", self.der),
            client=CLIENT,
            now=more.pop("now", self.world.now),
            by=BY,
            **more,
        )

    def complete(
        self, waiting: Waiting, answer: Answer, *files: SourceFile, **more: Any
    ) -> Completed:
        return prepared.complete(
            more.pop("desk", self.world.desk),
            waiting.id,
            files,
            answer,
            client=more.pop("client", CLIENT),
            now=more.pop("now", self.world.now),
            by=BY,
            **more,
        )

    def value(self, octets: bytes, digest: str = "sha256", *, side_by_side: bool = False) -> bytes:
        """The token's answer, as PKCS#11 and browsers give it when `side_by_side`."""
        algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}[digest]
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(octets, padding.PKCS1v15(), algorithm)
        made: bytes = self.key.sign(octets, ec.ECDSA(algorithm))
        if not side_by_side:
            return made
        size = (self.key.key_size + 7) // 8
        r, s = utils.decode_dss_signature(made)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def cms(self, digest: bytes) -> bytes:
        """A PAdES CMS over this digest, by pyHanko with the software key."""
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # pyHanko's own
        raw = self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        signer = signers.SimpleSigner(
            signing_cert=asn1_x509.Certificate.load(self.der),
            signing_key=keys.PrivateKeyInfo.load(raw),
            cert_registry=store,
        )
        made = signer.async_sign(digest, digest_algorithm="sha256", use_pades=True)
        return bytes(asyncio.run(made).dump())


def trusting(world: World, *anchors: x509.Certificate) -> Any:
    """The desk of a house that has pinned further anchors."""
    return replace(world.desk, trust=world.trust.with_anchors(anchors))
