"""A counter-signature on a CMS (RFC 5652 §11.4), as EU DSS writes one and our desk never does."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from asn1crypto import algos, cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ca import der
from signer.cms import attribute
from signer.cms_parts import CmsParts
from tests.small_pki import SIGNED_AT, Party


def countersigned(data: bytes, party: Party) -> bytes:
    """The CMS with `party`'s counter-signature on its first signer."""
    parts = CmsParts.read(data)
    signer = parts.signers[0]
    certificate = asn1_x509.Certificate.load(party.der)
    reference = tsp.SigningCertificateV2(
        {"certs": [tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(party.der).digest()})]}
    )
    signed = cms.CMSAttributes(
        [
            {"type": "message_digest", "values": [hashlib.sha256(signer.signature_value).digest()]},
            {"type": "signing_time", "values": [cms.Time({"utc_time": SIGNED_AT})]},
            {"type": "signing_certificate_v2", "values": [reference]},
        ]
    )
    assert isinstance(party.key, rsa.RSAPrivateKey)
    made = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
            ),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "signed_attrs": signed,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa"}),
            "signature": party.key.sign(signed.dump(), padding.PKCS1v15(), hashes.SHA256()),
        }
    )
    added = attribute("1.2.840.113549.1.9.6", made.dump())
    parts = replace(parts, certificates=(*parts.certificates, party.der))
    assert added[0] == der.SEQUENCE
    return parts.with_signer(signer.with_unsigned(added)).encode()
