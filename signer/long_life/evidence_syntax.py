"""Evidence records as octets: RFC 4998, appendix A (implicit tags), read strictly, written in DER.

Each time-stamp is kept as the octets it was, because renewals are about exactly those octets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ca import der
from ca.der import MalformedDer, Reader
from ca.signature_algorithms import DIGESTS
from signer.long_life.hash_tree import Lists

LARGEST = 16 << 20
_MOST_CHAINS = 32
_MOST_TIME_STAMPS = 200
_MOST_LISTS = 64
_MOST_VALUES = 4096
_NAMES = {der.oid(dotted): name for name, dotted in DIGESTS.items()}
_DIGEST_ALGORITHM = 0xA0
_ATTRIBUTES = 0xA1
_REDUCED_HASH_TREE = 0xA2


@dataclass(frozen=True)
class ArchiveTimeStamp:
    """One time-stamp with the lists that lead to what it stamps (§4.1)."""

    algorithm: str | None
    lists: Lists
    token: bytes
    read_from: bytes = b""
    """The octets it was read from: others may write attributes, and renewals are about those."""

    def encode(self) -> bytes:
        if self.read_from:
            return self.read_from
        algorithm = b""
        if self.algorithm is not None:
            algorithm = der.tlv(_DIGEST_ALGORITHM, der.oid(DIGESTS[self.algorithm]))
        tree = b""
        if self.lists:
            tree = der.tlv(
                _REDUCED_HASH_TREE,
                b"".join(
                    der.sequence(*(der.octet_string(one) for one in values))
                    for values in self.lists
                ),
            )
        return der.sequence(algorithm, tree, self.token)

    @classmethod
    def read(cls, content: bytes) -> ArchiveTimeStamp:
        reader = Reader(content)
        algorithm = reader.optional(_DIGEST_ALGORITHM)
        reader.optional(_ATTRIBUTES)
        tree = reader.optional(_REDUCED_HASH_TREE)
        token = reader.raw(der.SEQUENCE)
        reader.end()
        name = None if algorithm is None else _digest_named(algorithm)
        lists = _lists(tree) if tree is not None else ()
        return cls(name, lists, token, der.tlv(der.SEQUENCE, content))


Chain = tuple[ArchiveTimeStamp, ...]


@dataclass(frozen=True)
class EvidenceRecord:
    """What proves since when a group of data objects exists: chains of archive time-stamps."""

    chains: tuple[Chain, ...]

    def encode(self) -> bytes:
        """DER. The digest algorithms are listed as §3.1 asks: every one that is used."""
        used = dict.fromkeys(
            one.algorithm for chain in self.chains for one in chain if one.algorithm
        )
        return der.sequence(
            der.integer(1),
            der.sequence(*(der.sequence(der.oid(DIGESTS[name])) for name in used)),
            sequence_of(self.chains),
        )

    @classmethod
    def read(cls, data: bytes) -> EvidenceRecord:
        """Raises MalformedDer for anything that is not one evidence record of version 1."""
        if len(data) > LARGEST:
            raise MalformedDer("an evidence record past all reason")
        outer = Reader(data)
        record = outer.inside(der.SEQUENCE)
        outer.end()
        if record.integer() != 1:
            raise MalformedDer("another version")
        record.read(der.SEQUENCE)
        record.optional(0xA0)
        if record.optional(0xA1) is not None:
            raise MalformedDer("an encrypted record, which is not read here")
        chains = tuple(_chain(one) for one in _items(record.inside(der.SEQUENCE), _MOST_CHAINS))
        record.end()
        if not chains or any(not chain for chain in chains):
            raise MalformedDer("a chain without a time-stamp")
        return cls(chains)


def sequence_of(chains: Sequence[Chain]) -> bytes:
    """ArchiveTimeStampSequence: what a renewal of the hash tree is about (§5.2)."""
    return der.sequence(*(der.sequence(*(one.encode() for one in chain)) for chain in chains))


def _chain(content: bytes) -> Chain:
    return tuple(ArchiveTimeStamp.read(one) for one in _items(Reader(content), _MOST_TIME_STAMPS))


def _lists(content: bytes) -> Lists:
    found = []
    for one in _items(Reader(content), _MOST_LISTS):
        reader, values = Reader(one), []
        while reader.more():
            values.append(reader.read(der.OCTET_STRING))
        if not 1 <= len(values) <= _MOST_VALUES:
            raise MalformedDer("a partial hash tree that is empty or past all reason")
        found.append(tuple(values))
    if not found:
        raise MalformedDer("a hash tree without a list")
    return tuple(found)


def _items(reader: Reader, most: int) -> list[bytes]:
    found: list[bytes] = []
    while reader.more():
        if len(found) == most:
            raise MalformedDer("too many of them")
        found.append(reader.read(der.SEQUENCE))
    return found


def _digest_named(content: bytes) -> str:
    reader = Reader(content)
    name = _NAMES.get(reader.raw(der.OBJECT_IDENTIFIER))
    if name is None:
        raise MalformedDer("a digest that is not SHA-2")
    if reader.more() and reader.whole() != der.NULL:
        raise MalformedDer("parameters of a digest")
    reader.end()
    return name
