"""What RFC 5652 requires of the shape of a SignedData beyond its syntax.

Most of it nobody signs: version numbers, lists of digests, elements behind the last. What says
something else there than the standard prescribes was altered, or was made to be read in two ways.
"""

from __future__ import annotations

from collections.abc import Iterable

from asn1crypto import cms, core, parser
from cryptography import x509
from cryptography.x509 import ocsp

from ca import der
from signer.cms_parts import signed_data_version
from signer.verdicts.verdict import Rejected, SubIndication, fails

DATA_CONTENT = "1.2.840.113549.1.7.1"
WRONG_VERSION = "validation-cms-version"
OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"
Attributes = dict[str, list[core.Asn1Value]]
_SMIME = "1.2.840.113549.1.9.16.2."
_UNSIGNED_ATTRIBUTES = frozenset(
    {
        # RFC 5652 and 5126, TS 101 733: counter-signature, time-stamps, references, values.
        "1.2.840.113549.1.9.6",
        *(f"{_SMIME}{arc}" for arc in (14, 21, 22, 23, 24, 25, 26, 27, 44, 45, 48)),
        # RFC 4998: evidence records. EN 319 122-1: archive time-stamps, indices, policy store.
        *(f"{_SMIME}{arc}" for arc in (49, 50)),
        *("0.4.0.1733.2.2", "0.4.0.1733.2.4", "0.4.0.1733.2.5"),
        *("0.4.0.19122.1.3", "0.4.0.19122.1.5"),
        # Adobe's and Microsoft's time-stamps, which count for nothing here.
        *("1.2.840.113583.1.1.9.1", "1.3.6.1.4.1.311.3.3.1"),
    }
)


def malformed(code: str, **params: object) -> Rejected:
    return Rejected(fails(code, SubIndication.FORMAT_FAILURE, **params))


def require_versions(data: cms.SignedData, signer: cms.SignerInfo) -> None:
    """RFC 5652, 5.1 and 5.3 prescribe both versions; nobody signs them, so nothing else passes."""
    own = "v1" if signer["sid"].name == "issuer_and_serial_number" else "v3"
    wanted = signed_data_version(
        {one.dump()[0] for one in data["certificates"] or ()},
        others=any(one.name == "other" for one in data["crls"] or ()),
        plain=own == "v1" and data["encap_content_info"]["content_type"].dotted == DATA_CONTENT,
    )
    if (signer["version"].native, data["version"].native) != (own, f"v{wanted}"):
        raise Rejected(fails(WRONG_VERSION, SubIndication.SIG_CONSTRAINTS_FAILURE))


def require_one_value(info: cms.ContentInfo | cms.EncapsulatedContentInfo) -> None:
    """[0] EXPLICIT holds one value; what stood behind it there, nobody would sign."""
    wrapped = len(info) > 1 and info.children[1]
    if isinstance(wrapped, tuple):  # as asn1crypto keeps what nobody has asked for yet
        parser.parse(wrapped[4], strict=True)


def require_nothing_more(
    info: cms.ContentInfo,
    data: cms.SignedData,
    inner: cms.EncapsulatedContentInfo,
    signer: cms.SignerInfo,
) -> None:
    """No element behind the last that RFC 5652 names: nobody signs it, and some read past it."""
    algorithms = [*data["digest_algorithms"], signer["digest_algorithm"]]
    named = [info, data, inner, signer, *algorithms, signer["signature_algorithm"]]
    named += [signer["sid"].chosen, *(signer["unsigned_attrs"] or ())]
    for one in named:
        if isinstance(one, core.Sequence) and len(one) > len(one._fields):
            raise malformed("validation-cms-damaged", detail="element unknown")


def require_bare(data: cms.SignedData, signer: cms.SignerInfo) -> None:
    """Digests, RSA and ECDSA take no parameters: NULL or nothing (RFC 5754, 2, 3.2 and 3.3)."""
    bare = [*data["digest_algorithms"], signer["digest_algorithm"]]
    if signer["signature_algorithm"]["algorithm"].native != "rsassa_pss":
        bare.append(signer["signature_algorithm"])
    for one in bare:
        reader = der.Reader(one.dump()).inside(der.SEQUENCE)
        reader.raw(der.OBJECT_IDENTIFIER)
        if reader.more() and reader.whole() != der.NULL:
            raise malformed("validation-cms-digest-algorithms")


def require_lists(crls: cms.RevocationInfoChoices) -> None:
    """What stands in `crls` is a list or an answer (RFC 5652, 10.2.1). One bit makes [0] of the
    certificates [1]: then nobody would look at what stands there."""
    try:
        for one in crls or ():
            if one.name == "crl":
                x509.load_der_x509_crl(one.dump())
            elif one.chosen["other_rev_info_format"].dotted == OCSP_RESPONSE:
                ocsp.load_der_ocsp_response(one.chosen["other_rev_info"].dump())
    except (ValueError, TypeError):
        raise malformed("validation-cms-damaged", detail="crls") from None


def attributes_of(values: cms.CMSAttributes) -> Attributes:
    """Attributes by name; a doubled attribute is a trick (RFC 5652, 5.3)."""
    found: Attributes = {}
    for one in values or ():
        name = one["type"].native
        if name in found:
            raise malformed("validation-cms-doubled-attribute")
        found[name] = list(one["values"])
    return found


def single(attributes: Attributes, name: str) -> core.Asn1Value:
    values = attributes.get(name, [])
    if len(values) != 1:
        raise malformed("validation-cms-attribute", attribute=name)
    return values[0]


def unknown(attributes: Iterable[str]) -> tuple[str, ...]:
    """Those of an unsigned attribute's types that nothing here can read."""
    return tuple(sorted(set(attributes) - _UNSIGNED_ATTRIBUTES))
