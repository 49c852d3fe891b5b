"""Every code this room raises has a text in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hsm import errors

ROOM = Path(errors.__file__).parent
MESSAGES = ROOM.parent / "records" / "messages"


def _texts(language: str) -> dict[str, str]:
    texts: dict[str, str] = json.loads((MESSAGES / f"hsm.{language}.json").read_text("utf-8"))
    return texts


def _raised() -> set[str]:
    """Kebab-case literals in the room: its codes, and nothing else is written that way."""
    found: set[str] = set()
    for path in ROOM.glob("*.py"):
        found |= set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', path.read_text("utf-8")))
    return {each for each in found if not each.startswith("rsa-")} - {"utf-8"}


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_code_has_a_text(language: str) -> None:
    """Contract of the rooms: people's text comes from the catalogues."""
    assert _raised() <= set(_texts(language))


def test_both_languages_say_the_same_things() -> None:
    """The same codes with the same facts in both."""
    names = re.compile(r"\{(\w+)\}")
    english, vietnamese = _texts("en"), _texts("vi")
    assert english.keys() == vietnamese.keys()
    for code, text in english.items():
        assert set(names.findall(text)) == set(names.findall(vietnamese[code])), code
    assert set(english) <= _raised()
