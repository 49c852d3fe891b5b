"""Forged CMS values: downgraded digests, substituted certificates, misplaced time-stamps.

RFC 5652, RFC 5035 and RFC 3161: in the gap of a PDF, or as a file of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from asn1crypto import cms

from tests.pdf_surgery import patched


def forged_values(values: list[bytes]) -> Iterator[tuple[int, str, bytes]]:
    """(which of the values, what was done, the forgery) for each value beside the others."""
    oids = {
        "sha1": bytes.fromhex("06052b0e03021a"),
        "md5": bytes.fromhex("06082a864886f70d0205"),
        "sha512": bytes.fromhex("0609608648016503040203"),
        "sha224": bytes.fromhex("0609608648016503040204"),
    }
    sha256 = bytes.fromhex("0609608648016503040201")
    for number, value in enumerate(values):
        for name in ("sha512", "sha224"):
            positions = [m.start() for m in re.finditer(re.escape(sha256), value)]
            yield number, f"{name} everywhere", value.replace(sha256, oids[name])
            for one in positions[:6]:
                yield number, f"{name} at {one}", patched(value, one, oids[name])
        for name in ("sha1", "md5"):
            yield number, f"{name} declared", _redeclared(value, name)
        for other, foreign in enumerate(values):
            if other != number:
                yield number, f"value of {other}", foreign
        for name, forged in with_one_more(value):
            yield number, f"one more element in {name}", forged
        yield number, "no certificates", _edited(value, bag=[])
        yield number, "signer doubled", _edited(value, twice=True)
        signer = _load(value)["content"]["signer_infos"][0]["sid"].chosen["serial_number"].native
        for index, one in enumerate(_bag(value)):
            # With the signer's certificate alone the signature is as good as before.
            if one.chosen.serial_number != signer:
                kept = [one]
                yield number, f"only certificate {index}", _edited(value, bag=kept)
    tokens = [(n, one) for n, one in enumerate(values) if _token(one) is not None]
    for number, value in tokens:
        for other, foreign in tokens:
            if other != number:
                yield number, f"time-stamp of {other}", _edited(value, token=_token(foreign))


NULL = b"\x05\x00"
_UNSIGNED = 0xA1


def with_one_more(value: bytes) -> Iterator[tuple[str, bytes]]:
    """A NULL behind the last element of each thing in a SignedData that no signature is over.

    Many a parser reads the elements it knows and no further (RFC 5652, 5.1 and 5.3).
    """
    info = _parts(value)
    (signed_data,) = _parts(info[1])
    elements = _parts(signed_data)
    (signer,) = _parts(elements[-1])
    fields = _parts(signer)
    outer = [value, info[1], signed_data]
    places = {
        "ContentInfo": [value],
        "content": [value, info[1]],
        "SignedData": outer,
        "digestAlgorithms": [*outer, elements[1]],
        "encapContentInfo": [*outer, elements[2]],
        "signerInfos": [*outer, elements[-1]],
    }
    around = [*outer, elements[-1], signer]
    places |= {
        "SignerInfo": around,
        "sid": [*around, fields[1]],
        "digestAlgorithm": [*around, fields[2]],
        "signatureAlgorithm": [*around, fields[4]],
    }
    if len(_parts(elements[2])) > 1:
        places["eContent"] = [*outer, elements[2], _parts(elements[2])[1]]
    if fields[-1][0] == _UNSIGNED:
        places["unsignedAttrs"] = [*around, fields[-1]]
        places["unsigned attribute"] = [*around, fields[-1], _parts(fields[-1])[0]]
    for name, place in places.items():
        yield name, _grown(place)


def _grown(place: list[bytes]) -> bytes:
    """The outermost of `place`, each inside the one before, with a NULL at the innermost's end."""
    *around, inner = place
    grown = _value(inner[0], b"".join(_parts(inner)) + NULL)
    for outer in reversed(around):
        parts = _parts(outer)
        at = len(parts) - 1 - parts[::-1].index(inner)
        grown = _value(outer[0], b"".join((*parts[:at], grown, *parts[at + 1 :])))
        inner = outer
    return grown


def _parts(value: bytes) -> list[bytes]:
    """The DER values inside one."""
    found, at = [], _head(value)
    while at < len(value):
        length = _head(value[at:]) + _length(value[at:])
        found.append(value[at : at + length])
        at += length
    return found


def _head(value: bytes) -> int:
    return 2 + (value[1] & 0x7F if value[1] & 0x80 else 0)


def _length(value: bytes) -> int:
    return int.from_bytes(value[2 : _head(value)], "big") if value[1] & 0x80 else value[1]


def _value(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _load(value: bytes) -> cms.ContentInfo:
    return cms.ContentInfo.load(value)


def _bag(value: bytes) -> list[cms.CertificateChoices]:
    return list(_load(value)["content"]["certificates"])


def _token(value: bytes) -> cms.ContentInfo | None:
    for one in _load(value)["content"]["signer_infos"][0]["unsigned_attrs"] or ():
        if one["type"].native == "signature_time_stamp_token":
            return one["values"][0]
    return None


def _redeclared(value: bytes, name: str) -> bytes:
    info = _load(value)
    info["content"]["digest_algorithms"] = [{"algorithm": name}]
    info["content"]["signer_infos"][0]["digest_algorithm"] = {"algorithm": name}
    return bytes(info.dump(force=True))


def _edited(
    value: bytes,
    *,
    bag: list[cms.CertificateChoices] | None = None,
    token: cms.ContentInfo | None = None,
    twice: bool = False,
) -> bytes:
    info = _load(value)
    data = info["content"]
    if bag is not None:
        data["certificates"] = cms.CertificateSet(bag)
    if twice:
        signer = data["signer_infos"][0]
        bare = cms.SignerInfo(
            {
                k: signer[k]
                for k in (
                    "version",
                    "sid",
                    "digest_algorithm",
                    "signed_attrs",
                    "signature_algorithm",
                    "signature",
                )
            }
        )
        data["signer_infos"] = cms.SignerInfos([bare, bare])
    if token is not None:
        attribute = cms.CMSAttribute({"type": "signature_time_stamp_token", "values": [token]})
        data["signer_infos"][0]["unsigned_attrs"] = cms.CMSAttributes([attribute])
    return bytes(info.dump(force=True))
