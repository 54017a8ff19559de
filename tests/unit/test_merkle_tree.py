"""The tree of RFC 6962: known roots, and every proof of small trees with what it must not prove."""

from __future__ import annotations

import hashlib

import pytest

from bwv_device.verification.tlog import merkle_tree as tree
from bwv_device.verification.tlog import tiles

# Leaves and roots of Certificate Transparency's own reference tests.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
          "606162636465666768696a6b6c6d6e6f"]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZE = 40


def leaves(count: int) -> list[bytes]:
    return [tree.leaf_hash(bytes([number])) for number in range(count)]


def test_roots_are_those_of_the_reference() -> None:
    hashes = [tree.leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
    assert [tree.root_of(hashes[:size]).hex() for size in range(9)] == ROOTS


def test_every_leaf_is_proven_at_its_own_place_alone() -> None:
    for size in range(1, SIZE):
        hashes = leaves(size)
        nodes, root = tree.nodes_of(hashes), tree.root_of(hashes)
        for index, leaf in enumerate(hashes):
            proof = tree.inclusion_proof(index, size, nodes)
            assert tree.proves_inclusion(leaf, index, size, proof, root)
            other = (index + 1) % size
            assert size == 1 or not tree.proves_inclusion(leaf, other, size, proof, root)
            assert not tree.proves_inclusion(hashes[0][::-1], index, size, proof, root)
            assert not tree.proves_inclusion(leaf, index, size, [*proof, root], root)
            assert not proof or not tree.proves_inclusion(leaf, index, size, proof[:-1], root)
            assert not tree.proves_inclusion(leaf, size, size, proof, root)


def test_every_tree_is_proven_to_continue_those_before_it_alone() -> None:
    hashes = leaves(SIZE)
    nodes = tree.nodes_of(hashes)
    for new in range(SIZE):
        root = tree.root(new, nodes)
        for old in range(new + 1):
            proof, before = tree.consistency_proof(old, new, nodes), tree.root(old, nodes)
            assert tree.proves_consistency(old, new, proof, before, root)
            another = hashlib.sha256(before).digest()
            assert not tree.proves_consistency(old, new, proof, another, root)
            assert old == 0 or not tree.proves_consistency(old, new, proof, before, another)
            assert not tree.proves_consistency(old, new, [*proof, root], before, root)
            assert not proof or not tree.proves_consistency(old, new, proof[1:], before, root)
            for at in range(len(proof)):
                bad = [*proof[:at], another, *proof[at + 1 :]]
                assert not tree.proves_consistency(old, new, bad, before, root)


def test_what_is_no_part_of_a_tree_has_no_proof() -> None:
    nodes = tree.nodes_of(leaves(4))
    with pytest.raises(ValueError, match="leaf 4"):
        tree.inclusion_proof(4, 4, nodes)
    with pytest.raises(ValueError, match="does not continue"):
        tree.consistency_proof(4, 3, nodes)
    assert not tree.proves_consistency(4, 3, [], b"", b"")
    assert not tree.proves_inclusion(b"", -1, 3, [], b"")


def test_a_proof_longer_than_any_tree_is_not_walked() -> None:
    assert not tree.proves_consistency(1, 2, [b"x" * 32] * 100, b"", b"")
    assert not tree.proves_inclusion(b"", 0, 2, [b"x" * 32] * 100, b"")


def test_tiles_of_the_specifications_example() -> None:
    """c2sp.org/tlog-tiles: a tree of 70,000, and one of 256."""
    found = list(tiles.new_tiles(0, 70_000))
    assert [sum(t.level == level for t in found) for level in range(4)] == [274, 2, 1, 0]
    assert [t.width for t in found if t.width != 256] == [112, 17, 1]
    assert [t.path for t in tiles.new_tiles(0, 256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert tiles.Tile(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert tiles.entries_path(1234067, 8) == "tile/entries/x001/x234/067.p/8"


def test_only_what_is_new_of_a_tree_is_written_again() -> None:
    assert [t.path for t in tiles.new_tiles(255, 257)] == [
        "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1",
    ]  # fmt: skip
    assert list(tiles.new_tiles(300, 300)) == []
    assert tiles.bundle([b"ab", b"c"]) == b"\x00\x02ab\x00\x01c"
