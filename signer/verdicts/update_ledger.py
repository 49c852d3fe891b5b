"""The books of one update: which objects changed, which are explained, which deeds were done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import pikepdf

from signer.pdf.byte_range import ObjectId
from signer.pdf.pdf_values import differs_here, reference, same_object
from signer.verdicts.object_graph import Graph, Path, changed_objects, unparse
from signer.verdicts.policy import Policy


class Act(StrEnum):
    """What an update did."""

    ARCHIVE = "archive"
    SIGNATURE = "signature"
    FORM = "form"
    VIOLATION = "violation"


@dataclass(frozen=True)
class Deed:
    """One act; `what` is the field or place, `code` the message of a violation."""

    act: Act
    what: str = ""
    code: str = ""


Home = Callable[[ObjectId | None, Path], bool]


class Ledger:
    """What judging one update keeps track of while both revisions are walked side by side."""

    def __init__(self, old: Graph, new: Graph, policy: Policy) -> None:
        self.old, self.new, self.policy = old, new, policy
        self.changed = changed_objects(old.places, new.places)
        self.homes: dict[ObjectId, Home] = {}
        self.arrays: set[ObjectId] = set()
        self.new_widgets: set[ObjectId] = set()
        self.deeds: list[Deed] = []

    def violation(self, code: str, what: object = "") -> None:
        self.deeds.append(Deed(Act.VIOLATION, str(what), code))

    def archive(self, what: str) -> None:
        self.deeds.append(Deed(Act.ARCHIVE, what))

    def explain(self, value: object, home: Home) -> None:
        """This old object may be overwritten, provided it is only reached from `home`."""
        if isinstance(value, pikepdf.Object) and value.is_indirect:
            self.homes.setdefault(value.objgen, home)

    def differs(self, before: object, after: object) -> bool:
        """Whether a value says something else, its own indirect object included."""
        if reference(before) != reference(after):
            both = isinstance(before, pikepdf.Stream) or isinstance(after, pikepdf.Stream)
            return both or unparse(before) != unparse(after)
        if reference(before) in self.changed:
            return not same_object(before, after)
        return unparse(before) != unparse(after)

    def other_keys(
        self, before: pikepdf.Object, after: pikepdf.Object, free: Iterable[str]
    ) -> list[str]:
        keys = (set(before.keys()) | set(after.keys())) - set(free)
        return sorted(key for key in keys if differs_here(before.get(key), after.get(key)))
