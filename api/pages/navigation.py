"""Where a signed-in person may go: one line for each page, in the order of the menu.

A line is shown to people of its kinds who have one of its roles (no roles named: everybody of the
kind). What is not shown is refused as well: each page asks `needs` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.auth.people import Person

OFFICIAL, CITIZEN = "official", "citizen"


@dataclass(frozen=True)
class Entry:
    """`words` is the key of its name in the catalogues."""

    path: str
    words: str
    kinds: tuple[str, ...] = (OFFICIAL,)
    roles: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Paths of pages that belong to it without lying below it."""

    def holds(self, path: str) -> int:
        """How much of the path is this entry's: 0 when it does not lead there."""
        own = (self.path, *self.also)
        return max(
            (len(one) for one in own if path == one or path.startswith(f"{one}/")), default=0
        )


NAVIGATION: tuple[Entry, ...] = (
    Entry("/desk", "nav.desk", kinds=(OFFICIAL, CITIZEN)),
    Entry("/desk/documents", "nav.documents"),
    Entry("/desk/outgoing-numbers", "nav.outgoing", roles=("clerk", "admin", "auditor")),
    Entry("/desk/signing", "nav.signing", roles=("admin",)),
    Entry("/desk/batches", "nav.batches", roles=("signer", "clerk")),
    Entry("/desk/requests", "nav.requests", kinds=(CITIZEN,)),
    Entry(
        "/desk/counter",
        "nav.counter",
        roles=("intake", "comparer", "signer"),
        also=("/desk/cases",),
    ),
    Entry(
        "/desk/register",
        "nav.register",
        roles=("intake", "comparer", "signer", "clerk", "admin", "auditor"),
        also=("/desk/copies",),
    ),
    Entry("/desk/certifiers", "nav.certifiers", roles=("admin",)),
    Entry("/desk/bank-transfers", "nav.transfers", roles=("clerk", "admin")),
    Entry("/desk/sao-y", "nav.sao_y", roles=("clerk",)),
    Entry("/desk/stacks", "nav.stacks", roles=("comparer", "signer", "clerk")),
    Entry("/desk/papers", "nav.papers", kinds=(CITIZEN,)),
    Entry("/desk/figures", "nav.figures", roles=("admin", "auditor", "signer")),
    Entry("/desk/certificates", "nav.certificates", kinds=(OFFICIAL, CITIZEN)),
    Entry("/desk/accounts", "nav.accounts", roles=("admin",)),
    Entry("/desk/images", "nav.images", roles=("admin",)),
    Entry("/desk/audit", "nav.audit", roles=("auditor",)),
)


@dataclass(frozen=True)
class Shown:
    """An entry of somebody's menu; `here` when it leads to the page that is open."""

    path: str
    words: str
    here: bool


def navigation_of(person: Person, path: str) -> Sequence[Shown]:
    """The person's menu; the entry with the longest path that fits is the one that is open."""
    mine = [
        one
        for one in NAVIGATION
        if person.kind in one.kinds and (not one.roles or person.roles.intersection(one.roles))
    ]
    here = max(mine, key=lambda one: one.holds(path), default=None)
    return [Shown(one.path, one.words, one is here and one.holds(path) > 0) for one in mine]
