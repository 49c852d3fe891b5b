"""The hash tree of RFC 4998: one time-stamp for many documents, a few digests for each of them.

    tree = HashTree.over([[h_pdf, h_evidence], [h_other]], "sha256")
    tree.root                  # what is time-stamped
    tree.reduced(0)            # the partial lists that lead from the first group to the root
    root_of(tree.reduced(0), "sha256") == tree.root

RFC 4998 §4.2 and §4.3: values are concatenated in binary ascending order and hashed, whole
digests only. A data group of several objects is hashed first; a single object is its own group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

Lists = tuple[tuple[bytes, ...], ...]

# In the order in which one takes over from the other when it grows weak.
ALGORITHMS = ("sha256", "sha384", "sha512")


def hashed(value: bytes, algorithm: str) -> bytes:
    return hashlib.new(algorithm, value, usedforsecurity=False).digest()


def node(values: Sequence[bytes], algorithm: str) -> bytes:
    """The father of these values; one value alone is its own (§4.2, step 3)."""
    if len(values) == 1:
        return values[0]
    return hashed(b"".join(sorted(values)), algorithm)


@dataclass(frozen=True)
class HashTree:
    """A binary tree over data groups; `levels` go from the groups' nodes up to the root."""

    groups: tuple[tuple[bytes, ...], ...]
    levels: tuple[tuple[bytes, ...], ...]

    @classmethod
    def over(cls, groups: Sequence[Sequence[bytes]], algorithm: str) -> HashTree:
        """Raises ValueError for no group, an empty group, or a digest of another length."""
        size = hashlib.new(algorithm, usedforsecurity=False).digest_size
        kept = tuple(tuple(sorted(set(group))) for group in groups)
        if not kept or any(not group for group in kept):
            raise ValueError("a hash tree needs at least one group with something in it")
        if any(len(value) != size for group in kept for value in group):
            raise ValueError("a digest of another length than the tree's")
        level = tuple(node(group, algorithm) for group in kept)
        levels = [level]
        while len(level) > 1:
            pairs = (level[place : place + 2] for place in range(0, len(level), 2))
            level = tuple(node(pair, algorithm) for pair in pairs)
            levels.append(level)
        return cls(kept, tuple(levels))

    @property
    def root(self) -> bytes:
        return self.levels[-1][0]

    def reduced(self, position: int) -> Lists:
        """The reduced hash tree of one group (§4.2): its own list, then the siblings upwards.

        Empty when the group's only value is the root itself: the time-stamp is about it directly.
        """
        group = self.groups[position]
        lists: list[tuple[bytes, ...]] = [group]
        for level in self.levels[:-1]:
            sibling = position ^ 1
            if sibling < len(level):
                lists.append((level[sibling],))
            position //= 2
        if len(group) == 1 and len(lists) == 1:
            return ()
        if len(group) == 1:
            # The group's value and its sibling have the same father: one list (§4.2).
            lists[:2] = [tuple(sorted((*group, *lists[1])))]
        return tuple(lists)


def root_of(lists: Lists, algorithm: str) -> bytes:
    """What the lists come to (§4.3, steps 2 to 4)."""
    found = node(lists[0], algorithm)
    for more in lists[1:]:
        found = node((*more, found), algorithm)
    return found
