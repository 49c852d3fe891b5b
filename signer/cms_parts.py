"""A CMS SignedData taken apart and put together again, every part kept as the octets it was.

    parts = CmsParts.read(data)
    parts.signers[0].unsigned.append(attribute(…))
    parts.encode()

CAdES raises a signature's level by adding to what nobody signed (unsigned attributes, certificates,
revocation data) and proves the age of exactly the octets that are there, so nothing may be decoded
and encoded anew in between (EN 319 122-1 §5.5). BER with indefinite lengths, which BouncyCastle
and `openssl cms -stream` write, is read too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from ca import der
from ca.der import Reader

SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
DATA = der.oid("1.2.840.113549.1.7.1")
_OTHER_REVOCATION = 0xA1
_ATTRIBUTES_V1, _ATTRIBUTES_V2, _OTHER_CERTIFICATE = 0xA1, 0xA2, 0xA3
_DEEPEST = 24
_REWRITTEN_DEPTH = 6
_MOST_SIGNERS = 200
_CONSTRUCTED_OCTETS = 0x24


@dataclass(frozen=True)
class SignerParts:
    """One SignerInfo (RFC 5652 §5.3). Each field whole, with tag and length."""

    version: bytes
    sid: bytes
    digest_algorithm: bytes
    signed_attributes: bytes
    signature_algorithm: bytes
    signature: bytes
    unsigned: tuple[bytes, ...]

    @classmethod
    def read(cls, content: bytes) -> SignerParts:
        reader = Reader(content)
        version = reader.raw(der.INTEGER)
        sid = reader.raw(der.SEQUENCE if reader.next_is(der.SEQUENCE) else 0x80)
        digest_algorithm = reader.raw(der.SEQUENCE)
        attributes = reader.raw(0xA0) if reader.next_is(0xA0) else b""
        signature_algorithm = reader.raw(der.SEQUENCE)
        signature = reader.raw(der.OCTET_STRING)
        unsigned = reader.optional(0xA1)
        reader.end()
        return cls(
            version,
            sid,
            digest_algorithm,
            attributes,
            signature_algorithm,
            signature,
            tuple(_each(unsigned or b"", der.SEQUENCE)),
        )

    @property
    def version_fits(self) -> bool:
        """RFC 5652, 5.3: 1 with issuer and serial number, 3 with a key identifier."""
        return self.version == der.integer(1 if self.sid[0] == der.SEQUENCE else 3)

    @property
    def signature_value(self) -> bytes:
        return Reader(self.signature).read(der.OCTET_STRING)

    @property
    def head(self) -> bytes:
        """Everything but the unsigned attributes, in order."""
        return b"".join(
            (
                self.version,
                self.sid,
                self.digest_algorithm,
                self.signed_attributes,
                self.signature_algorithm,
                self.signature,
            )
        )

    def encode(self) -> bytes:
        unsigned = der.explicit(1, b"".join(sorted(self.unsigned))) if self.unsigned else b""
        return der.sequence(self.head, unsigned)

    def values(self, kind: bytes) -> list[bytes]:
        """The values of every unsigned attribute of this type (an encoded OID), in order."""
        return [value for one, value in self.unsigned_values() if one == kind]

    def unsigned_values(self) -> Iterator[tuple[bytes, bytes]]:
        """(attrType, one AttributeValue), both encoded."""
        for attribute in self.unsigned:
            reader = Reader(attribute).inside(der.SEQUENCE)
            kind = reader.raw(der.OBJECT_IDENTIFIER)
            values = reader.read(der.SET)
            reader.end()
            for value in elements(values):
                yield kind, value

    def with_unsigned(self, attribute: bytes) -> SignerParts:
        return replace(self, unsigned=(*self.unsigned, attribute))


@dataclass(frozen=True)
class CmsParts:
    """One SignedData. `content` holds the octets of eContent, None when they are elsewhere."""

    digest_algorithms: tuple[bytes, ...]
    content_type: bytes
    content: bytes | None
    certificates: tuple[bytes, ...]
    revocation: tuple[bytes, ...]
    signers: tuple[SignerParts, ...]
    declared_version: int | None = None
    """What the octets read said; what is written follows from what is inside."""

    @classmethod
    def read(cls, data: bytes) -> CmsParts:
        """Raises MalformedDer for anything that is not one SignedData and nothing else."""
        outer = Reader(definite(data))
        info = outer.inside(der.SEQUENCE)
        outer.end()
        if info.raw(der.OBJECT_IDENTIFIER) != SIGNED_DATA:
            raise der.MalformedDer("a CMS that is not SignedData")
        explicit = info.inside(0xA0)
        info.end()
        signed = explicit.inside(der.SEQUENCE)
        explicit.end()
        version = signed.integer()
        digest_algorithms = tuple(_each(signed.read(der.SET), der.SEQUENCE))
        encapsulated = signed.inside(der.SEQUENCE)
        content_type = encapsulated.raw(der.OBJECT_IDENTIFIER)
        content = None
        if encapsulated.more():
            wrapped = encapsulated.inside(0xA0)
            content = wrapped.read(der.OCTET_STRING)
            wrapped.end()
        encapsulated.end()
        certificates = tuple(elements(signed.optional(0xA0) or b""))
        revocation = tuple(elements(signed.optional(0xA1) or b""))
        signers = [SignerParts.read(one) for one in _contents(signed.read(der.SET))]
        signed.end()
        return cls(
            digest_algorithms,
            content_type,
            content,
            certificates,
            revocation,
            tuple(signers),
            version,
        )

    def encode(self) -> bytes:
        """ContentInfo in DER; the version follows from what is inside (RFC 5652 §5.1)."""
        content = b""
        if self.content is not None:
            content = der.explicit(0, der.octet_string(self.content))
        signed = der.sequence(
            der.integer(self._version()),
            der.set_of(*dict.fromkeys(self.digest_algorithms)),
            der.sequence(self.content_type, content),
            der.explicit(0, b"".join(sorted(self.certificates))) if self.certificates else b"",
            der.explicit(1, b"".join(sorted(self.revocation))) if self.revocation else b"",
            der.set_of(*(one.encode() for one in self.signers)),
        )
        return der.sequence(SIGNED_DATA, der.explicit(0, signed))

    def alone(self, signer: SignerParts, *unsigned: bytes) -> bytes:
        """This signer's signature by itself, with these unsigned attributes, nothing beside it."""
        return replace(
            self,
            digest_algorithms=(signer.digest_algorithm,),
            revocation=(),
            signers=(replace(signer, unsigned=unsigned),),
        ).encode()

    def with_signer(self, signer: SignerParts, position: int = 0) -> CmsParts:
        signers = list(self.signers)
        signers[position] = signer
        return replace(self, signers=tuple(signers))

    @property
    def version_fits(self) -> bool:
        """Whether the version is the one that RFC 5652, 5.1 prescribes. Nobody signs it."""
        return self.declared_version == self._version()

    def _version(self) -> int:
        return signed_data_version(
            {one[0] for one in self.certificates},
            others=any(one[0] == _OTHER_REVOCATION for one in self.revocation),
            plain=self.content_type == DATA
            and all(one.version == der.integer(1) for one in self.signers),
        )


def signed_data_version(certificates: Collection[int], *, others: bool, plain: bool) -> int:
    """CMSVersion of a SignedData (RFC 5652, 5.1), by the tags of its CertificateChoices.

    `others` says whether revocation data of another kind than a CRL is inside, `plain` whether the
    content is id-data and every SignerInfo of version 1.
    """
    if others or _OTHER_CERTIFICATE in certificates:
        return 5
    if _ATTRIBUTES_V2 in certificates:
        return 4
    return 1 if plain and _ATTRIBUTES_V1 not in certificates else 3


def elements(content: bytes) -> Iterator[bytes]:
    """Each element of a constructed value, whole, whatever its tag."""
    reader = Reader(content)
    while reader.more():
        yield reader.whole()


def definite(data: bytes) -> bytes:
    """The same value with definite lengths, octet strings in one piece (X.690 §8.1.3, §8.7).

    DER is returned as it is. Only the outer levels are looked at: what is signed, certificates and
    revocation data must be DER by their own rules and are not touched.
    """
    if len(data) < 2 or data[1] != 0x80:
        return data
    value, end = _definite(memoryview(data), 0, 0)
    if end != len(data):
        raise der.MalformedDer("octets after the end")
    return value


def _definite(data: memoryview, start: int, depth: int) -> tuple[bytes, int]:
    if depth > _DEEPEST:
        raise der.MalformedDer("too deep")
    if start + 2 > len(data) or data[start] & 0x1F == 0x1F:
        raise der.MalformedDer("cut short")
    tag, size = data[start], data[start + 1]
    position = start + 2
    if size == 0x80:
        if not tag & 0x20:
            raise der.MalformedDer("a primitive value of indefinite length")
        parts = []
        while bytes(data[position : position + 2]) != b"\x00\x00":
            part, position = _definite(data, position, depth + 1)
            parts.append(part)
        return _joined(tag, parts), position + 2
    if size > 0x80:
        octets = size & 0x7F
        if octets > 4 or position + octets > len(data):
            raise der.MalformedDer("a length past all reason")
        size = int.from_bytes(data[position : position + octets], "big")
        position += octets
    end = position + size
    if end > len(data):
        raise der.MalformedDer("cut short")
    if tag & 0x20 and (depth < _REWRITTEN_DEPTH or tag == _CONSTRUCTED_OCTETS):
        parts = []
        while position < end:
            part, position = _definite(data[:end], position, depth + 1)
            parts.append(part)
        return _joined(tag, parts), end
    return bytes(data[start:end]), end


def _joined(tag: int, parts: list[bytes]) -> bytes:
    if tag == _CONSTRUCTED_OCTETS:
        return der.octet_string(b"".join(Reader(one).read(der.OCTET_STRING) for one in parts))
    return der.tlv(tag, b"".join(parts))


def _each(content: bytes, tag: int) -> Iterator[bytes]:
    reader = Reader(content)
    while reader.more():
        yield reader.raw(tag)


def _contents(content: bytes) -> Iterator[bytes]:
    reader = Reader(content)
    for _ in range(_MOST_SIGNERS):
        if not reader.more():
            return
        yield reader.read(der.SEQUENCE)
    raise der.MalformedDer("too many signers")
