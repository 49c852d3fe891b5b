"""The names of XML signatures: namespaces, and the algorithms that are understood.

XML Signature 1.1, RFC 9231 (identifiers), EN 319 132-1. What is not in these tables is refused:
above all XSLT and free XPath, which are programs in a stranger's file.
"""

from __future__ import annotations

from dataclasses import dataclass

from signer.cms import Scheme
from signer.files.formats import Canonicalization

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
XADES_141 = "http://uri.etsi.org/01903/v1.4.1#"
ASIC = "http://uri.etsi.org/02918/v1.2.1#"
OPEN_DOCUMENT = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
XML = "http://www.w3.org/XML/1998/namespace"
SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
PREFIXES = {"ds": DS, "xades": XADES, "xades141": XADES_141, "asic": ASIC}

ENVELOPED = f"{DS}enveloped-signature"
BASE64 = f"{DS}base64"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER = "http://www.w3.org/2002/06/xmldsig-filter2"
ALL_SIGNATURES = "/descendant::ds:Signature"
NOT_IN_A_SIGNATURE = "not(ancestor-or-self::ds:Signature)"


@dataclass(frozen=True)
class Method:
    """How octets become a canonical form."""

    exclusive: bool
    comments: bool
    version_1_1: bool = False


CANONICAL = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": Method(False, False),
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": Method(False, True),
    "http://www.w3.org/2006/12/xml-c14n11": Method(False, False, True),
    "http://www.w3.org/2006/12/xml-c14n11#WithComments": Method(False, True, True),
    "http://www.w3.org/2001/10/xml-exc-c14n#": Method(True, False),
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments": Method(True, True),
}
DEFAULT_CANONICAL = Canonicalization.INCLUSIVE.value

DIGESTS = {
    "sha1": f"{DS}sha1",
    "sha224": "http://www.w3.org/2001/04/xmldsig-more#sha224",
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
    "sha3_256": "http://www.w3.org/2007/05/xmldsig-more#sha3-256",
    "sha3_384": "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
    "sha3_512": "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
}
DIGEST_NAMES = {uri: name for name, uri in DIGESTS.items()}

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_MORE_2021 = "http://www.w3.org/2021/04/xmldsig-more#"
_SHA3 = ("sha3_256", "sha3_384", "sha3_512")
_SHA2 = ("sha224", "sha256", "sha384", "sha512")
SIGNATURES = {
    f"{DS}rsa-sha1": (Scheme.RSA_PKCS1, "sha1"),
    f"{_MORE}ecdsa-sha1": (Scheme.ECDSA, "sha1"),
    **{f"{_MORE}rsa-{one}": (Scheme.RSA_PKCS1, one) for one in _SHA2},
    **{f"{_MORE}ecdsa-{one}": (Scheme.ECDSA, one) for one in _SHA2},
    **{f"{_MORE_2007}{one}-rsa-MGF1": (Scheme.RSA_PSS, one) for one in _SHA2},
    # RFC 9231: SHA-3 has no name with PKCS #1 v1.5.
    **{f"{_MORE_2021}ecdsa-{one.replace('_', '-')}": (Scheme.ECDSA, one) for one in _SHA3},
    **{f"{_MORE_2007}{one.replace('_', '-')}-rsa-MGF1": (Scheme.RSA_PSS, one) for one in _SHA3},
}
SIGNATURE_URIS = {meaning: uri for uri, meaning in SIGNATURES.items()}


def ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def xades(name: str) -> str:
    return f"{{{XADES}}}{name}"


def xades141(name: str) -> str:
    return f"{{{XADES_141}}}{name}"


UNSIGNED_PROPERTIES = frozenset(
    {
        # EN 319 132-1 §5.2.7, §5.3 to §5.5 and annex A.
        *map(xades, ("CounterSignature", "SignatureTimeStamp", "ArchiveTimeStamp")),
        *map(xades, ("CompleteCertificateRefs", "CompleteRevocationRefs")),
        *map(xades, ("AttributeCertificateRefs", "AttributeRevocationRefs")),
        *map(xades, ("SigAndRefsTimeStamp", "RefsOnlyTimeStamp")),
        *map(xades, ("CertificateValues", "RevocationValues")),
        *map(xades, ("AttrAuthoritiesCertValues", "AttributeRevocationValues")),
        *map(xades141, ("TimeStampValidationData", "AnyValidationData", "ArchiveTimeStamp")),
        *map(xades141, ("CompleteCertificateRefsV2", "AttributeCertificateRefsV2")),
        *map(xades141, ("SigAndRefsTimeStampV2", "RefsOnlyTimeStampV2", "SignaturePolicyStore")),
    }
)
"""What may stand among what nobody signs; anything else there is told of."""
