"""The CMS of a PAdES baseline signature, from a DER template per credential (EN 319 142-1 §6.3).

Everything but the digest, the signature value and the time-stamp is constant for a credential,
so it is encoded once. asn1crypto takes 9 ms for what this does in 0.01 ms (PERFORMANCE.md);
tests/signer/test_cms.py holds the result against pyHanko's own and `openssl cms -verify -cades`.

    template = CmsTemplate(certificate, chain)
    attributes = template.attributes(document_digest)      # what the token signs
    contents = template.wrap(attributes, template.sign(key, attributes))
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from ca import der, signature_algorithms
from signer.errors import SignerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from hsm.private_key import PrivateKey

_DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"
_RSA_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"


class Scheme(StrEnum):
    """How a key signs. PSS is asked for by name; the others follow from the key."""

    RSA_PKCS1 = "rsa-pkcs1"
    RSA_PSS = "rsa-pss"
    ECDSA = "ecdsa"


class CmsTemplate:
    """One credential's CMS SignedData with holes for what differs from document to document.

    `chain` is embedded beside the leaf (EN 319 142-1 §6.3 k: the certificates needed to validate;
    many readers elsewhere get only the leaf and cannot go on). Signed attributes: content-type,
    message-digest, cms-algorithm-protection (RFC 6211) and signing-certificate-v2; no signing-time,
    which PAdES keeps in the dictionary's /M (§6.3 table 1).
    """

    def __init__(
        self,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate] = (),
        *,
        scheme: Scheme | None = None,
    ) -> None:
        public_key = certificate.public_key()
        if not isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise SignerError("key-kind-unknown")
        self.certificate = certificate
        self.scheme = scheme or _scheme_for(public_key)
        if (self.scheme is Scheme.ECDSA) != (_scheme_for(public_key) is Scheme.ECDSA):
            raise SignerError("scheme-unfit", scheme=self.scheme.value)
        self._public_key = public_key
        self._digest = signature_algorithms.digest_for(public_key)
        self.digest_name = self._digest.name

        digest_algorithm = signature_algorithms.digest_identifier(self._digest)
        signature_algorithm = self._signature_algorithm(digest_algorithm)
        self._place_attributes(digest_algorithm, signature_algorithm)

        encoded = [_der_of(one) for one in (certificate, *chain)]
        self.certificate_der = encoded[0]
        self.certificates = tuple(sorted(dict.fromkeys(encoded)))
        """What is embedded, in the order of a DER SET."""
        self.digest_algorithm = digest_algorithm
        self._before_signer = b"".join(
            (
                der.integer(1),
                der.set_of(digest_algorithm),
                der.sequence(der.oid(_DATA)),
                der.explicit(0, b"".join(self.certificates)),
            )
        )
        self._signer_head = b"".join(
            (
                der.integer(1),
                der.sequence(
                    certificate.issuer.public_bytes(), der.integer(certificate.serial_number)
                ),
                digest_algorithm,
            )
        )
        self._signature_algorithm_der = signature_algorithm
        self._hash = getattr(hashlib, self.digest_name)
        self._prehashed = utils.Prehashed(self._digest)
        self._rsa_padding = self._padding()
        self.size_limit = self._size_limit()
        """No answer of `wrap` is longer without a time-stamp: the room to reserve in the file."""

    def attributes(self, digest: bytes) -> bytes:
        """The signed attributes as the SET OF that is signed (RFC 5652 §5.4)."""
        return self._attributes_head + digest + self._attributes_tail

    def attributes_with(self, digest: bytes, *others: bytes) -> bytes:
        """The same with further attributes, encoded: what CAdES asks for outside a PDF."""
        message_digest = attribute(_MESSAGE_DIGEST, der.octet_string(digest))
        return der.set_of(*self._constant_attributes, message_digest, *others)

    def sign(self, key: PrivateKey, attributes: bytes) -> bytes:
        """The signature value; hashing happens here, the token sees only the digest."""
        hashed = self._hash(attributes).digest()
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(hashed, self._rsa_padding, self._prehashed)
        return key.sign(hashed, ec.ECDSA(self._prehashed))

    def check(self, signature: bytes, attributes: bytes) -> None:
        """Whatever the token answered, it must verify under the certificate before it is used."""
        try:
            if isinstance(self._public_key, rsa.RSAPublicKey):
                self._public_key.verify(signature, attributes, self._rsa_padding, self._digest)
            else:
                self._public_key.verify(signature, attributes, ec.ECDSA(self._digest))
        except InvalidSignature:
            raise SignerError("token-answer-wrong") from None

    def wrap(self, attributes: bytes, signature: bytes, time_stamp: bytes | None = None) -> bytes:
        """The ContentInfo; `time_stamp` is a TimeStampToken over the signature value."""
        unsigned = b""
        if time_stamp is not None:
            unsigned = der.explicit(1, attribute(SIGNATURE_TIME_STAMP, time_stamp))
        signer = self.signer_info(attributes, signature, unsigned)
        signed_data = der.sequence(self._before_signer, der.tlv(der.SET, signer))
        return der.sequence(der.oid(_SIGNED_DATA), der.explicit(0, signed_data))

    def signer_info(self, attributes: bytes, signature: bytes, unsigned: bytes = b"") -> bytes:
        """One SignerInfo (RFC 5652 §5.3); `unsigned` is its [1] field, encoded."""
        return der.sequence(
            self._signer_head,
            b"\xa0" + attributes[1:],
            self._signature_algorithm_der,
            der.octet_string(signature),
            unsigned,
        )

    def _size_limit(self) -> int:
        octets = (self._public_key.key_size + 7) // 8
        value = 2 * octets + 16 if self.scheme is Scheme.ECDSA else octets
        attributes = len(self.attributes(bytes(self._digest.digest_size)))
        fixed = (self._before_signer, self._signer_head, self._signature_algorithm_der)
        return sum(map(len, fixed)) + attributes + value + 96

    def _place_attributes(self, digest_algorithm: bytes, signature_algorithm: bytes) -> None:
        hole = b"\xa5" * self._digest.digest_size
        self._constant_attributes = (
            attribute(_CONTENT_TYPE, der.oid(_DATA)),
            attribute(
                _ALGORITHM_PROTECTION,
                der.sequence(digest_algorithm, b"\xa1" + signature_algorithm[1:]),
            ),
            attribute(_SIGNING_CERTIFICATE_V2, self._signing_certificate()),
        )
        whole = self.attributes_with(hole)
        self._attributes_head, found, self._attributes_tail = whole.partition(hole)
        # The DER order of the set is settled by the attribute lengths and types, never by the hole.
        assert found

    def _signing_certificate(self) -> bytes:
        """RFC 5035: SHA-256 is the default and so not written."""
        certificate = self.certificate
        issuer_serial = der.sequence(
            der.sequence(der.explicit(4, certificate.issuer.public_bytes())),
            der.integer(certificate.serial_number),
        )
        fingerprint = certificate.fingerprint(hashes.SHA256())
        return der.sequence(
            der.sequence(der.sequence(der.octet_string(fingerprint), issuer_serial))
        )

    def _signature_algorithm(self, digest_algorithm: bytes) -> bytes:
        if self.scheme is not Scheme.RSA_PSS:
            return signature_algorithms.identifier(self._public_key, self._digest)
        parameters = der.sequence(  # RFC 4056 §3: explicit, salt as long as the digest
            der.explicit(0, digest_algorithm),
            der.explicit(1, der.sequence(der.oid(_MGF1), digest_algorithm)),
            der.explicit(2, der.integer(self._digest.digest_size)),
        )
        return der.sequence(der.oid(_RSA_PSS), parameters)

    def _padding(self) -> padding.PKCS1v15 | padding.PSS:
        if self.scheme is Scheme.RSA_PSS:
            return padding.PSS(padding.MGF1(self._digest), self._digest.digest_size)
        return padding.PKCS1v15()


def _scheme_for(public_key: object) -> Scheme:
    return Scheme.RSA_PKCS1 if isinstance(public_key, rsa.RSAPublicKey) else Scheme.ECDSA


def attribute(dotted: str, value: bytes) -> bytes:
    """One Attribute with one value (RFC 5652 §5.3)."""
    return der.sequence(der.oid(dotted), der.tlv(der.SET, value))


def _der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
