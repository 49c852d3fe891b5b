"""Errors that tell a person what to do.

Every room's errors derive from `DomainError`: a stable code a program can act on, the facts
of the case, and a text in the reader's language taken from `records/messages/`.

    raise RecordsError("disk-full", place="var/blobs")

The catalogues are `vi.json` and `en.json`, and `<room>.vi.json` / `<room>.en.json` beside
them: flat objects from a code to a text with `{names}` of the facts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

LANGUAGES = ("vi", "en")
_MESSAGES = Path(__file__).parent / "messages"
_NAME = re.compile(r"\{(\w+)\}")
_STATES = frozenset({"state", "status", "wanted", "differs"})
_STATE = re.compile(r"[a-z_]+")


class DomainError(Exception):
    """Something a caller can explain to the person in front of it.

    `code` is a kebab-case key that never changes once published; `params` are the facts the
    text may name. Neither may hold a secret: both reach logs and API answers.
    """

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.params: dict[str, object] = params

    def message(self, language: str = "vi") -> str:
        """The text for a person, in `language` if a catalogue has it, never an exception."""
        return text(self.code, self.params, language)

    def __str__(self) -> str:
        return self.message("en")

    def __repr__(self) -> str:
        facts = "".join(f", {name}={value!r}" for name, value in self.params.items())
        return f"{type(self).__name__}({self.code!r}{facts})"


class RecordsError(DomainError):
    """What must not be lost could not be written, read or believed."""


class DatabaseBusy(RecordsError):
    """The transaction lost a race (lock wait, deadlock, serialisation): do it again."""


def text(code: str, params: Mapping[str, object], language: str) -> str:
    """The catalogue's text for `code`; a name without a fact stays visible as `{name}`."""
    for candidate in (language, *LANGUAGES):
        template = catalogue(candidate).get(code)
        if template is not None:
            return _NAME.sub(partial(_fact, params=params, words=catalogue(candidate)), template)
    return code


def _fact(found: re.Match[str], params: Mapping[str, object], words: Mapping[str, str]) -> str:
    """A state is told in the reader's language (`state.…`); the code of it stays in `params`."""
    value = str(params.get(found[1], found[0]))
    if found[1] not in _STATES:
        return value
    return _STATE.sub(lambda one: words.get(f"state.{one[0]}", one[0]), value)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All rooms' texts in one language. Two rooms may not give one code two texts."""
    merged: dict[str, str] = {}
    for path in sorted(_MESSAGES.glob("*.json")):
        if path.name.removesuffix(".json").rpartition(".")[2] != language:
            continue
        for code, template in json.loads(path.read_text("utf-8")).items():
            if merged.setdefault(code, template) != template:
                raise ValueError(f"{path.name} gives {code!r} a second text")
    return merged
