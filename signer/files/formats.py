"""The formats a file can be signed in beside PAdES, and how one such signature is asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from signer.cms import Scheme
from signer.levels import Level

CONTAINER_SUFFIX = ".asice"


class Format(StrEnum):
    """What the signature is and where it lies."""

    CADES_DETACHED = "cades-detached"
    CADES_ENVELOPING = "cades-enveloping"
    XADES_ENVELOPED = "xades-enveloped"
    XADES_ENVELOPING = "xades-enveloping"
    XADES_DETACHED = "xades-detached"
    ASIC_E_CADES = "asic-e-cades"
    ASIC_E_XADES = "asic-e-xades"

    @property
    def is_container(self) -> bool:
        return self.value.startswith("asic")

    @property
    def is_xml(self) -> bool:
        """The result is an XML document (the containers' XML is their own affair)."""
        return self.value.startswith("xades")

    @property
    def uses_xml(self) -> bool:
        """The signature is XAdES, by itself or in a container."""
        return "xades" in self.value

    @property
    def detached(self) -> bool:
        """The signed file is not in the result and must be kept beside it."""
        return self in (Format.CADES_DETACHED, Format.XADES_DETACHED)

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self.value.split("-")[0] + ("-d" if self.detached else "")]

    @property
    def suffix(self) -> str:
        return _SUFFIXES.get(self, "")


class Canonicalization(StrEnum):
    """How XML becomes octets: exclusive survives being moved into another document."""

    EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
    INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    INCLUSIVE_1_1 = "http://www.w3.org/2006/12/xml-c14n11"


@dataclass(frozen=True)
class SourceFile:
    """A file to be signed, with the name it bears in a container."""

    name: str
    data: bytes = field(repr=False)
    media_type: str = "application/octet-stream"

    @cached_property
    def digest(self) -> bytes:
        """What the holder's authorisation names."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True)
class FileRequest:
    """How files are to be signed.

    `signing_time` is the time claimed (default: `now`). `scheme` asks for RSA-PSS; otherwise it
    follows from the key. For an enveloped XAdES, `more_may_follow` leaves room for signatures of
    others on the same document (XPath that leaves out every signature, where the usual transform
    leaves out only its own).
    """

    format: Format
    level: Level = Level.B_B
    scheme: Scheme | None = None
    signing_time: datetime | None = None
    canonicalization: Canonicalization = Canonicalization.EXCLUSIVE
    more_may_follow: bool = False


_MEDIA_TYPES = {
    "cades": "application/pkcs7-mime",
    "cades-d": "application/pkcs7-signature",
    "xades": "application/xml",
    "xades-d": "application/xml",
    "asic": "application/vnd.etsi.asic-e+zip",
}
_SUFFIXES = {
    Format.CADES_DETACHED: ".p7s",
    Format.CADES_ENVELOPING: ".p7m",
    Format.XADES_ENVELOPING: ".xml",
    Format.XADES_DETACHED: ".xades.xml",
}
