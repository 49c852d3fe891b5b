"""The Merkle tree of RFC 9162 §2.1: hashing, growing, and proving, with nothing stored here.

A log of n entries is kept as its *edge*: the roots of the perfect subtrees whose sizes are
the powers of two in n, largest first. Appending merges at most log2(n) of them.

    tree = Tree()
    completed = tree.append(leaf_hash(b"entry"))    # hashes to keep with the entry
    tree.root()

A *perfect subtree* is named by (level, index): 2**level leaves from index * 2**level on. Its
hash is the `level`-th one that appending its last leaf returned, so proofs need no tree in
memory, only a way to look such hashes up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""(level, index) → the hash of that perfect subtree."""


def leaf_hash(entry: bytes) -> bytes:
    """MTH of one entry: HASH(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """HASH(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree, reduced to what appending and the root need."""

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        """Continue a tree of `size` leaves from its edge."""
        if len(edge) != size.bit_count():
            raise ValueError("this edge does not belong to a tree of that size")
        self.size = size
        self.edge = list(edge)

    @classmethod
    def unpack(cls, size: int, edge: bytes) -> Tree:
        """From the bytes `packed` gave."""
        return cls(size, split(edge))

    def packed(self) -> bytes:
        """The edge as bytes."""
        return b"".join(self.edge)

    def append(self, leaf: bytes) -> list[bytes]:
        """Add a leaf; return the hashes of the subtrees it completes, its own first."""
        completed = [leaf]
        for _ in range(trailing_ones(self.size)):
            completed.append(node_hash(self.edge.pop(), completed[-1]))
        self.edge.append(completed[-1])
        self.size += 1
        return completed

    def root(self) -> bytes:
        """MTH(D[n]), RFC 9162 §2.1.1."""
        return _joined(self.edge)


def split(packed: bytes) -> list[bytes]:
    """Concatenated hashes, one by one."""
    if len(packed) % HASH_SIZE:
        raise ValueError("not a whole number of hashes")
    return [packed[at : at + HASH_SIZE] for at in range(0, len(packed), HASH_SIZE)]


def trailing_ones(number: int) -> int:
    """How many subtrees the leaf after `number` others completes, besides itself."""
    return (~number & (number + 1)).bit_length() - 1


def root_of(size: int, subtree: Subtree) -> bytes:
    """The root the log had when it held `size` entries."""
    return _range_hash(0, size, subtree)


def inclusion_proof(position: int, size: int, subtree: Subtree) -> list[bytes]:
    """PATH(position, D[size]), RFC 9162 §2.1.3.1: siblings from the leaf up."""
    if not 0 <= position < size:
        raise ValueError("no such entry in a log of that size")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split_point(end - begin)
        if position < middle:
            path.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(_range_hash(begin, middle, subtree))
            begin = middle
    path.reverse()
    return path


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """PROOF(first, D[second]), RFC 9162 §2.1.4.1: the log of `first` is a prefix of `second`."""
    if not 0 < first <= second:
        raise ValueError("the first log must be a non-empty prefix of the second")
    path: list[bytes] = []
    begin, end, whole = 0, second, True
    while first != end:
        middle = begin + _split_point(end - begin)
        if first <= middle:
            path.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(_range_hash(begin, middle, subtree))
            begin, whole = middle, False
    if not whole:
        path.append(_range_hash(begin, end, subtree))
    path.reverse()
    return path


def includes(leaf: bytes, position: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Verify an inclusion proof, RFC 9162 §2.1.3.2."""
    if not 0 <= position < size:
        return False
    node, last, found = position, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def consistent(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> bool:
    """Verify a consistency proof, RFC 9162 §2.1.4.2."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    hashes = [first_root, *path] if first.bit_count() == 1 else list(path)
    if not hashes:
        return False
    shift = trailing_ones(first - 1)
    node, last = (first - 1) >> shift, (second - 1) >> shift
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split_point(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_hash(begin: int, end: int, subtree: Subtree) -> bytes:
    return _joined([subtree(level, index) for level, index in _perfect_parts(begin, end)])


def _perfect_parts(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The perfect subtrees of a range whose begin is aligned as RFC 9162 splits it."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level


def _joined(roots: Sequence[bytes]) -> bytes:
    if not roots:
        return EMPTY_ROOT
    *left, joined = roots
    for root in reversed(left):
        joined = node_hash(root, joined)
    return joined
