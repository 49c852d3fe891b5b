"""The files that a detached signature is about, as somebody gave them: which is which?

    match({"a.txt": {("sha256", …)}, "b.csv": {…}}, [Original("a.txt", …), Original("b.csv", …)])

One file alone need not bear its name. Several are told apart by the names in the signature's
references, and what bears another name by its digest: a file that was downloaded twice is called
"a (1).txt". A file that no reference is about is surplus: nobody may take a verdict for one on it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from signer.verdicts.mathematics import digest
from signer.verdicts.verdict import Unreadable

MOST_ORIGINALS = 100


@dataclass(frozen=True)
class Original:
    """A file beside the signature: its octets, or where they lie."""

    name: str
    source: bytes | Path = field(repr=False)

    def read(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


Content: TypeAlias = "bytes | Path | Sequence[Original] | None"
"""What callers give: one file, or several with their names."""

Digests: TypeAlias = "Collection[tuple[str, bytes]]"
"""What references say of one file: algorithm and digest."""


def given(content: Content) -> tuple[Original, ...]:
    """Every file that came beside a signature."""
    if content is None:
        return ()
    if isinstance(content, (bytes, Path)):
        return (Original("", content),)
    return tuple(content)


def require_bounded(originals: Sequence[Original], limit: int) -> None:
    """Raises Unreadable for too many, or too much of them together."""
    if len(originals) > MOST_ORIGINALS:
        raise Unreadable("validation-originals-too-many", limit=MOST_ORIGINALS)
    size = sum(len(one.read()) for one in originals)
    if size > limit:
        raise Unreadable("validation-too-large", size=size, limit=limit)


@dataclass(frozen=True)
class Matched:
    """Octets by the name in the references, and the names of files that nothing is about."""

    found: Mapping[str, bytes]
    surplus: tuple[str, ...] = ()


def match(wanted: Mapping[str, Digests], originals: Sequence[Original]) -> Matched:
    """Which original each name in the signatures stands for; what is missing is not found."""
    if len(originals) == 1:
        return Matched(dict.fromkeys(wanted, originals[0].read()))
    found: dict[str, Original] = {}
    for same in (_whole, _last):
        names = [one for one in wanted if one not in found]
        taken = {id(one) for one in found.values()}
        found |= _by_name(names, [one for one in originals if id(one) not in taken], same)
    found |= _by_digest({name: wanted[name] for name in wanted if name not in found}, originals)
    octets = {name: one.read() for name, one in found.items()}
    used = set(octets.values())
    return Matched(octets, tuple(one.name for one in originals if one.read() not in used))


def _by_name(
    names: Sequence[str], originals: Sequence[Original], same: Callable[[str], str]
) -> Iterator[tuple[str, Original]]:
    """Only where one name and one file fit: nothing is guessed."""
    alike = Counter(map(same, names))
    fitting: dict[str, list[Original]] = {}
    for one in originals:
        fitting.setdefault(same(one.name), []).append(one)
    for name in names:
        held = fitting.get(same(name), [])
        if alike[same(name)] == len(held) == 1:
            yield name, held[0]


def _by_digest(
    wanted: Mapping[str, Digests], originals: Sequence[Original]
) -> Iterator[tuple[str, Original]]:
    """Each file is hashed once an algorithm, however many references there are."""
    known: dict[str, dict[bytes, Original]] = {}
    for name, digests in wanted.items():
        for algorithm, value in digests:
            if algorithm not in known:
                known[algorithm] = {digest(algorithm, one.read()): one for one in originals}
            if value in known[algorithm]:
                yield name, known[algorithm][value]
                break


def _whole(name: str) -> str:
    """Mac writes an accent as a letter of its own: the same name."""
    return unicodedata.normalize("NFC", name.replace("\\", "/")).removeprefix("./")


def _last(name: str) -> str:
    return _whole(name).rsplit("/", 1)[-1]
