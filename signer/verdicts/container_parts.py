"""What a container holds beside its files and signatures, and whether its list of files is true.

No signature is over either (EN 319 162-1 §4.4), so neither can make one false; but a file hidden
in META-INF, or a list that names other files than there are, misleads whoever unpacks the
container. Both are told as warnings. An ASiC-E with XAdES that lost its list is refused, as EU DSS
does; of a foreign file in META-INF DSS says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import unquote

from signer.files.xml_names import OPEN_DOCUMENT
from signer.files.xml_reading import parse
from signer.verdicts.verdict import Finding, SubIndication, Unreadable, fails, warns

FOLDER = "META-INF/"
LIST = f"{FOLDER}manifest.xml"
_MOST_NAMED = 3
_LONGEST = 60
_ATTRIBUTES = (f"{{{OPEN_DOCUMENT}}}full-path", f"{{{OPEN_DOCUMENT}}}media-type")


def remarks(entries: Mapping[str, bytes], read: Collection[str]) -> Iterator[Finding]:
    """`read` are the entries of META-INF that the verdict takes into account."""
    foreign = sorted(one for one in entries if one.startswith(FOLDER) and one not in read)
    foreign = [one for one in foreign if one != LIST]
    if foreign:
        yield warns("validation-container-foreign", count=len(foreign), names=_named(foreign))
    if LIST in entries:
        yield from _of_list(entries)


def list_missing(entries: Mapping[str, bytes], *, simple: bool, xades: bool) -> Iterator[Finding]:
    """An ASiC-E with XAdES without its list of files: FORMAT_FAILURE."""
    if xades and not simple and LIST not in entries:
        yield fails("validation-container-list-missing", SubIndication.FORMAT_FAILURE)


def said_beside(comments: Iterable[str]) -> Iterator[Finding]:
    """What the archive itself says to whoever opens it: shown by many programs, signed by nobody.

    EN 319 162-1 §4.2: the comment of the whole "may" name the media type.
    """
    said = [one for one in comments if not one.startswith("mimetype=application/vnd.etsi.asic-")]
    if said:
        yield warns("validation-container-comment", comment=said[0][:_LONGEST])


def _of_list(entries: Mapping[str, bytes]) -> Iterator[Finding]:
    files = {one for one in entries if one != "mimetype" and not one.startswith(FOLDER)}
    rows = _rows(entries[LIST])
    if rows is None:
        yield warns("validation-container-list-unreadable")
        return
    paths = [path if path in files else unquote(path) for path, _media_type in rows]
    others = entries.keys() - files
    listed = Counter(path for path in paths if not path.endswith("/") and path not in others)
    wrong = sorted(files ^ listed.keys() | {one for one, count in listed.items() if count > 1})
    if wrong:
        yield warns("validation-container-list-differs", count=len(wrong), names=_named(wrong))
    kind = entries["mimetype"].strip().decode("utf-8", "replace")
    if any(path == "/" and media_type != kind for path, media_type in rows):
        yield warns("validation-container-list-kind")


def _rows(data: bytes) -> list[tuple[str, str]] | None:
    """(path, media type) of each entry of an ODF manifest; None for anything else."""
    try:
        root = parse(data, Unreadable).getroot()
    except Unreadable:
        return None
    if root.tag != f"{{{OPEN_DOCUMENT}}}manifest":
        return None
    return [
        (one.get(_ATTRIBUTES[0]) or "", one.get(_ATTRIBUTES[1]) or "")
        for one in root.findall(f"{{{OPEN_DOCUMENT}}}file-entry")
    ]


def _named(names: list[str]) -> str:
    shown = ", ".join(one[:_LONGEST] for one in names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown}, …"
