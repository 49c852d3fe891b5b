"""Files beside an XML signature: which it names, whether they are here, and whether they are they.

XML Signature 1.1 §4.4.3; EN 319 102-1 §5.2.7: HASH_FAILURE for a file that is another,
SIGNED_DATA_NOT_FOUND for one that is not at hand. What an unsigned part names is about nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence

from signer.files.xml_names import ds
from signer.files.xml_references import Document
from signer.verdicts.verdict import Finding, Rejected, SubIndication, fails
from signer.verdicts.xml_signature import XmlSignature

_MOST_NAMED = 5
_LONGEST_NAME = 60


def about_a_file(document: Document) -> bool:
    """Whether a signature names anything outside the document."""
    uris = (one.get("URI") or "#" for one in document.root.iter(ds("Reference")))
    return any(not uri.startswith("#") for uri in uris)


def named(document: Document) -> dict[str, set[tuple[str, bytes]]]:
    """The files that the signatures are about, with what their references say of each."""
    found: dict[str, set[tuple[str, bytes]]] = {}
    for element in document.signatures:
        try:
            references = XmlSignature(document, element, None).signed_data_references
        except (Rejected, ValueError, TypeError, KeyError):
            continue  # it is judged where it is read again, and is about nothing
        for one in references:
            if one.external:
                hashed = found.setdefault(one.file_name, set())
                hashed |= set() if one.transforms else {(one.digest, one.value)}
    return found


def surplus(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        sub = SubIndication.SIG_CONSTRAINTS_FAILURE
        yield fails("validation-original-surplus", sub, count=len(names), names=_few(names))


def compare(one: XmlSignature) -> None:
    """Raises Rejected: which file beside the signature differs, or which are not here.

    One that was given without the others stands for any of them: those that it is not are
    missing, which accuses nobody.
    """
    everything = (*one.references, *one.listed)
    outside = {each.file_name for each in everything if each.external}
    missing = {each.file_name for each in everything if each.absent}
    wrong = [
        each
        for each in everything
        if not each.absent and not hmac.compare_digest(each.hashed(), each.value)
    ]
    differing = {each.file_name for each in wrong if each.external}
    inside = len(wrong) > sum(each.external for each in wrong)
    if one.files is None and not one.document.by_name and not inside and differing < outside:
        missing, differing = missing | differing, set()
    if inside or (differing and not one.document.by_name):
        raise Rejected(fails("validation-hash", SubIndication.HASH_FAILURE))
    if differing:
        names = _few(sorted(differing))
        raise Rejected(
            fails("validation-original-differs", SubIndication.HASH_FAILURE, names=names)
        )
    if missing:
        sub, count = SubIndication.SIGNED_DATA_NOT_FOUND, len(missing)
        if len(outside) == 1:
            raise Rejected(fails("validation-content-missing", sub))
        names = _few(sorted(missing))
        raise Rejected(fails("validation-others-missing", sub, count=count, names=names))


def _few(names: Sequence[str]) -> str:
    return ", ".join(name[:_LONGEST_NAME] for name in names[:_MOST_NAMED])
