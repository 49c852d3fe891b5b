"""The Merkle tree against RFC 9162, whose text is the slow reference below."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import merkle


def reference_root(entries: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    left, right = reference_root(entries[:k]), reference_root(entries[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


class Log:
    """Entries with the hashes that appending them completed, as the audit rows keep them."""

    def __init__(self, entries: list[bytes]) -> None:
        self.tree = merkle.Tree()
        self.kept = [self.tree.append(merkle.leaf_hash(entry)) for entry in entries]

    def subtree(self, level: int, index: int) -> bytes:
        return self.kept[((index + 1) << level) - 1][level]


entries_of_logs = st.integers(min_value=1, max_value=130).map(
    lambda size: [b"entry %d" % number for number in range(size)]
)


@given(entries_of_logs)
def test_root_is_the_merkle_tree_hash(entries: list[bytes]) -> None:
    """RFC 9162 §2.1.1: MTH(D[n]) = HASH(0x01 || MTH(D[0:k]) || MTH(D[k:n]))."""
    log = Log(entries)
    assert log.tree.root() == reference_root(entries)
    assert merkle.root_of(len(entries), log.subtree) == reference_root(entries)
    assert merkle.Tree.unpack(log.tree.size, log.tree.packed()).root() == log.tree.root()


def test_root_of_nothing() -> None:
    """RFC 9162 §2.1.1: the hash of an empty list is the hash of an empty string."""
    assert merkle.Tree().root() == hashlib.sha256(b"").digest()


@given(entries_of_logs, st.data())
def test_inclusion_proof_convinces_and_only_for_its_entry(
    entries: list[bytes], data: st.DataObject
) -> None:
    """RFC 9162 §2.1.3.2: the proof is verified by computing the root from it."""
    position = data.draw(st.integers(0, len(entries) - 1))
    size = data.draw(st.integers(position + 1, len(entries)))
    log = Log(entries)
    path = merkle.inclusion_proof(position, size, log.subtree)
    root = reference_root(entries[:size])
    leaf = merkle.leaf_hash(entries[position])
    assert merkle.includes(leaf, position, size, path, root)
    assert not merkle.includes(merkle.leaf_hash(b"another"), position, size, path, root)
    assert not merkle.includes(leaf, position, size, [*path, bytes(32)], root)
    if path:
        assert not merkle.includes(leaf, position, size, path[:-1], root)


@given(entries_of_logs, st.data())
def test_consistency_proof_convinces_and_only_for_its_past(
    entries: list[bytes], data: st.DataObject
) -> None:
    """RFC 9162 §2.1.4.2: the proof shows that the old log is a prefix of the new one."""
    first = data.draw(st.integers(1, len(entries)))
    log = Log(entries)
    path = merkle.consistency_proof(first, len(entries), log.subtree)
    old, new = reference_root(entries[:first]), reference_root(entries)
    assert merkle.consistent(first, len(entries), path, old, new)
    rewritten = reference_root([b"rewritten", *entries[1:first]])
    assert not merkle.consistent(first, len(entries), path, rewritten, new)
    if first < len(entries):
        assert not merkle.consistent(first, len(entries), path, old, bytes(32))
        assert not merkle.consistent(first, len(entries), path[:-1], old, new)


def test_an_edge_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="edge"):
        merkle.Tree(3, [bytes(32)])
    with pytest.raises(ValueError, match="whole"):
        merkle.split(b"short")
