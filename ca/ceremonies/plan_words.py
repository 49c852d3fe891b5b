"""How a reviewed YAML file is read: word by word, and every word has to be known.

What is missing, repeated, of the wrong kind or left over stops with its place and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import yaml

from ca.errors import PlanInvalid
from hsm.mechanisms import KeyAlgorithm

T = TypeVar("T")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


class Words:
    """One mapping of the plan; every word has to be asked for, or `finish` refuses it."""

    def __init__(self, data: object, place: str) -> None:
        if not isinstance(data, Mapping):
            raise wrong(place, "a list of words and values is meant here")
        self._left = dict(data)
        self.place = place

    def has(self, word: str) -> bool:
        return word in self._left

    def take(self, word: str) -> Any:
        if word not in self._left:
            raise wrong(self.place, f"{word} is missing")
        return self._left.pop(word)

    def text(self, word: str) -> str:
        value = self.take(word)
        if not isinstance(value, str) or not value.strip():
            raise wrong(f"{self.place}.{word}", "a text is meant")
        return value

    def texts(self, word: str) -> list[str]:
        value = self.take(word)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise wrong(f"{self.place}.{word}", "a list of texts is meant")
        return value

    def name(self, word: str) -> str:
        value = self.text(word)
        if not _NAME.fullmatch(value):
            raise wrong(f"{self.place}.{word}", "small letters, digits and hyphens are meant")
        return value

    def number(self, word: str, low: int, high: int, *, default: int | None = None) -> int:
        if default is not None and not self.has(word):
            return default
        value = self.take(word)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(f"{self.place}.{word}", f"a number from {low} to {high} is meant")
        return value

    def key(self) -> KeyAlgorithm:
        value = self.text("key")
        try:
            return KeyAlgorithm(value)
        except ValueError:
            known = ", ".join(KeyAlgorithm)
            raise wrong(f"{self.place}.key", f"one of {known} is meant") from None

    def entries(self, word: str, *, may_lack: bool = False) -> Iterator[Words]:
        if may_lack and not self.has(word):
            return
        value = self.take(word)
        if not isinstance(value, list) or not (value or may_lack):
            raise wrong(f"{self.place}.{word}", "a list is meant")
        for number, item in enumerate(value, start=1):
            yield Words(item, f"{word}[{number}]")

    def made(self, made: T) -> T:
        """`made`, once nothing is left unread."""
        self.finish()
        return made

    def finish(self) -> None:
        if self._left:
            unknown = ", ".join(str(word) for word in self._left)
            raise wrong(self.place, f"nothing is known of: {unknown}")


class StrictLoader(yaml.SafeLoader):
    """YAML lets a later key overwrite an earlier one in silence; a reviewed file may not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def wrong(place: str, why: str) -> PlanInvalid:
    return PlanInvalid("plan-invalid", place=place, why=why)
