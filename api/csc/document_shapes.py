"""How signDoc asks for a document to be signed: format, level, envelope, properties (§11.11)."""

from __future__ import annotations

from api.csc.algorithms import read_base64
from api.csc.calls import Parameters
from api.csc.errors import CscRefusal
from signer.cms import Scheme
from signer.files.formats import FileRequest, Format
from signer.levels import Level
from signer.signature import SignatureRequest

_LEVELS = {
    "ades-b-b": Level.B_B,
    "ades-b-t": Level.B_T,
    "ades-b-lt": Level.B_LT,
    "ades-b-lta": Level.B_LTA,
    "ades-b": Level.B_B,
    "ades-t": Level.B_T,
    "ades-lt": Level.B_LT,
    "ades-lta": Level.B_LTA,
}
_PROPERTIES = {"Reason": "reason", "Location": "location"}
_ENVELOPES = {
    "C": {"Attached": Format.CADES_ENVELOPING, "Detached": Format.CADES_DETACHED},
    "X": {
        "Enveloped": Format.XADES_ENVELOPED,
        "Enveloping": Format.XADES_ENVELOPING,
        "Detached": Format.XADES_DETACHED,
    },
}
_USUAL = {"C": "Attached", "X": "Enveloped"}
ANNOUNCED = {
    "formats": ["P", "C", "X"],
    "envelope_properties": [["Certification", "Revision"], *map(list, _ENVELOPES.values())],
}


def request_of(given: Parameters, scheme: Scheme | None) -> SignatureRequest | FileRequest:
    """`signature_format`, `conformance_level`, `signed_envelope_property`, `signed_props`."""
    wanted = given.text("signature_format")
    level = level_of(given)
    if wanted == "P":
        return _pdf(given, level)
    if wanted not in _ENVELOPES:
        raise CscRefusal("csc-parameter-invalid", name="signature_format")
    envelope = given.maybe("signed_envelope_property") or _USUAL[wanted]
    chosen = _ENVELOPES[wanted].get(envelope)
    if chosen is None:
        raise CscRefusal("csc-parameter-invalid", name="signed_envelope_property")
    for one in given.objects("signed_props"):
        # Reason and place are entries of a PDF's dictionary; nothing else of ours holds them.
        raise CscRefusal("csc-properties-invalid", names=one.text("attribute_name", longest=128))
    return FileRequest(chosen, level=level, scheme=scheme)


def level_of(given: Parameters) -> Level:
    """`conformance_level`, in the spellings of both versions."""
    level = _LEVELS.get((given.maybe("conformance_level") or "AdES-B-B").lower())
    if level is None:
        raise CscRefusal("csc-parameter-invalid", name="conformance_level")
    return level


def _pdf(given: Parameters, level: Level) -> SignatureRequest:
    envelope = given.maybe("signed_envelope_property") or "Revision"
    if envelope not in {"Certification", "Revision"}:
        raise CscRefusal("csc-parameter-invalid", name="signed_envelope_property")
    said: dict[str, str] = {}
    for one in given.objects("signed_props"):
        name = one.text("attribute_name", longest=128)
        value = one.maybe("attribute_value", longest=2048)
        if name not in _PROPERTIES or value is None:
            raise CscRefusal("csc-properties-invalid", names=name)
        said[_PROPERTIES[name]] = _property(name, value)
    return SignatureRequest(
        level=level,
        certify=2 if envelope == "Certification" else None,
        reason=said.get("reason"),
        location=said.get("location"),
    )


def _property(name: str, value: str) -> str:
    """Base64 of the text (table of §11.11)."""
    try:
        text = read_base64(value, name="signed_props").decode()
    except (CscRefusal, UnicodeDecodeError):
        raise CscRefusal("csc-properties-invalid", names=name) from None
    if len(text) > 500 or not text.isprintable():
        raise CscRefusal("csc-properties-invalid", names=name)
    return text
