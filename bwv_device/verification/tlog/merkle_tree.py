"""The Merkle tree of RFC 6962, section 2.1: roots, inclusion proofs, consistency proofs.

A tree is read through `Nodes`, which gives hashes of full subtrees: node (level, position) covers
the leaves from `position << level` on, `1 << level` of them. Proofs are checked as RFC 9162 says
(2.1.3.2, 2.1.4.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
# A proof in a tree of 2^63 leaves.
PROOF_LIMIT = 63

Nodes = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes that are all at hand."""
    return root(len(leaves), nodes_of(leaves))


def nodes_of(leaves: Sequence[bytes]) -> Nodes:
    """Nodes of a tree whose leaf hashes are all at hand."""

    def node(level: int, position: int) -> bytes:
        if level == 0:
            return leaves[position]
        return node_hash(node(level - 1, 2 * position), node(level - 1, 2 * position + 1))

    return node


def root(size: int, nodes: Nodes) -> bytes:
    """The root of the first `size` leaves."""
    return _range_root(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The siblings of leaf `index` in the tree of `size`, from below. Raises `ValueError` where
    there is no such leaf."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    return _path(index, 0, size, nodes)


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """That the tree of `new` begins with that of `old`. Empty for 0 and for the same size."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} does not continue one of {old}")
    return _subproof(old, 0, new, nodes, whole=True) if 0 < old < new else []


def proves_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """Whether the leaf hash stands at `index` in the tree of `size` with this root."""
    if not 0 <= index < size or len(proof) > PROOF_LIMIT:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected_root


def proves_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Whether the tree of `new` begins with the tree of `old`."""
    if not 0 <= old <= new or len(proof) > PROOF_LIMIT:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found_old = found_new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            found_old, found_new = node_hash(sibling, found_old), node_hash(sibling, found_new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found_new = node_hash(found_new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root


# --- inside --------------------------------------------------------------------------------------


def _range_root(start: int, end: int, nodes: Nodes) -> bytes:
    """The root over leaves `start` to `end`, which RFC 6962 cuts so that all but the last part are
    full subtrees."""
    width = end - start
    level = width.bit_length() - 1
    if width == 1 << level:
        return nodes(level, start >> level)
    middle = start + _cut(width)
    return node_hash(_range_root(start, middle, nodes), _range_root(middle, end, nodes))


def _path(index: int, start: int, end: int, nodes: Nodes) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _cut(end - start)
    if index < middle:
        return [*_path(index, start, middle, nodes), _range_root(middle, end, nodes)]
    return [*_path(index, middle, end, nodes), _range_root(start, middle, nodes)]


def _subproof(old: int, start: int, end: int, nodes: Nodes, *, whole: bool) -> list[bytes]:
    """`old` counts leaves from the very first; `whole`: the old tree's root is known to who
    asks."""
    if old == end:
        return [] if whole else [_range_root(start, end, nodes)]
    middle = start + _cut(end - start)
    if old <= middle:
        left = _subproof(old, start, middle, nodes, whole=whole)
        return [*left, _range_root(middle, end, nodes)]
    right = _subproof(old, middle, end, nodes, whole=False)
    return [*right, _range_root(start, middle, nodes)]


def _cut(width: int) -> int:
    """The largest power of two below `width`."""
    return int(1 << ((width - 1).bit_length() - 1))
