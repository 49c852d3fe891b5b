"""What a CAdES archive time-stamp proves: the imprint and the index of archive-time-stamp-v3.

EN 319 122-1 §5.5.2 (ats-hash-index-v3) and §5.5.3 (archive-time-stamp-v3). Signing computes them,
validation computes them again from the octets of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ca import der
from ca.der import MalformedDer, Reader
from ca.signature_algorithms import DIGESTS
from signer.cms import attribute
from signer.cms_parts import CmsParts, SignerParts

ARCHIVE_TIME_STAMP_V3 = der.oid("0.4.0.1733.2.4")
_HASH_INDEX_V3 = "0.4.0.19122.1.5"
HASH_INDEX_V3 = der.oid(_HASH_INDEX_V3)
HASH_INDEX = der.oid("0.4.0.1733.2.5")
"""The index of TS 101 733 before 2016: of whole attributes, SHA-256 left out. Read, not written."""
_NAMES = {der.oid(dotted): name for name, dotted in DIGESTS.items()}


@dataclass(frozen=True)
class HashIndex:
    """ATSHashIndexV3: the digests of everything an archive time-stamp covers."""

    digest: str
    certificates: frozenset[bytes]
    revocation: frozenset[bytes]
    unsigned: frozenset[bytes]
    encoded: bytes
    of_values: bool = True

    @classmethod
    def over(cls, parts: CmsParts, signer: SignerParts, digest: str = "sha256") -> HashIndex:
        """Of everything that is in the signature now."""

        def listed(values: Iterable[bytes]) -> bytes:
            return der.sequence(*(der.octet_string(_hash(digest, one)) for one in values))

        attributes = [kind + value for kind, value in signer.unsigned_values()]
        encoded = der.sequence(
            der.sequence(der.oid(DIGESTS[digest])),
            listed(parts.certificates),
            listed(parts.revocation),
            listed(attributes),
        )
        return cls.read(encoded)

    @classmethod
    def read(cls, encoded: bytes, *, of_values: bool = True) -> HashIndex:
        """Raises MalformedDer; the digest must be one of SHA-2."""
        reader = Reader(encoded).inside(der.SEQUENCE)
        first = Reader(Reader(encoded).read(der.SEQUENCE)).inside(der.SEQUENCE)
        algorithm = der.oid(DIGESTS["sha256"])
        if of_values or first.next_is(der.OBJECT_IDENTIFIER):
            algorithm = reader.inside(der.SEQUENCE).raw(der.OBJECT_IDENTIFIER)
        if algorithm not in _NAMES:
            raise MalformedDer("a digest that is not SHA-2")
        lists = []
        for _ in range(3):
            listed = reader.inside(der.SEQUENCE)
            found = set()
            while listed.more():
                found.add(listed.read(der.OCTET_STRING))
            lists.append(frozenset(found))
        reader.end()
        certificates, revocation, unsigned = lists
        name = _NAMES[algorithm]
        return cls(name, certificates, revocation, unsigned, encoded, of_values)

    def covered(self, values: Iterable[bytes]) -> list[bytes]:
        """Those of the certificates or revocation data whose digest is in the index."""
        listed = self.certificates | self.revocation
        return [one for one in values if _hash(self.digest, one) in listed]

    def missing(self, parts: CmsParts, signer: SignerParts) -> bool:
        """Whether something it covers is no longer there: then it proves nothing (§5.5.3)."""
        attributes = (
            [kind + value for kind, value in signer.unsigned_values()]
            if self.of_values
            else list(signer.unsigned)
        )
        kinds = (
            (self.certificates, parts.certificates),
            (self.revocation, parts.revocation),
            (self.unsigned, attributes),
        )
        return any(
            wanted - {_hash(self.digest, one) for one in present} for wanted, present in kinds
        )


def imprint(
    parts: CmsParts,
    signer: SignerParts,
    index: HashIndex,
    content_digest: Callable[[str], bytes],
    digest: str,
) -> bytes:
    """The message imprint: content type, digest of the content, SignerInfo, index (§5.5.3)."""
    octets = parts.content_type + content_digest(digest) + signer.head + index.encoded
    return _hash(digest, octets)


def with_index(token: bytes, index: HashIndex) -> bytes:
    """The time-stamp token with the index in its unsigned attributes, where §5.5.2 puts it."""
    parts = CmsParts.read(token)
    signer = parts.signers[0].with_unsigned(attribute(_HASH_INDEX_V3, index.encoded))
    return parts.with_signer(signer).encode()


def index_of(token: bytes) -> HashIndex:
    """The index of an archive time-stamp; raises MalformedDer when there is not exactly one."""
    signer = CmsParts.read(token).signers[0]
    found = [(one, True) for one in signer.values(HASH_INDEX_V3)]
    found += [(one, False) for one in signer.values(HASH_INDEX)]
    if len(found) != 1:
        raise MalformedDer("an archive time-stamp without its index")
    encoded, of_values = found[0]
    return HashIndex.read(encoded, of_values=of_values)


def _hash(digest: str, value: bytes) -> bytes:
    return hashlib.new(digest, value, usedforsecurity=False).digest()
