"""One suite for every disk."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hal.host import HostDisk
from hal.ports import Disk
from hal.simulated.disk import TEARS, Bytes, Fault, Names, SimulatedDisk, Tear
from sim.random_streams import Draws


@pytest.fixture(params=["simulated", "host"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "simulated":
        yield SimulatedDisk()
        return
    host = HostDisk(tmp_path / "disk")
    yield host
    host.close()


def test_a_file_grows_by_appending(disk: Disk) -> None:
    disk.create("folder/file")
    disk.append("folder/file", b"one")
    disk.append("folder/file", b"")
    disk.append("folder/file", b"two")
    disk.sync("folder/file")
    disk.sync("folder")
    disk.sync("")
    assert disk.read("folder/file") == b"onetwo"
    assert disk.read("folder/file", 2, 2) == b"et"
    assert disk.read("folder/file", 4) == b"wo"
    assert disk.size("folder/file") == 6
    assert disk.names("folder") == ["file"]


def test_many_blocks_are_appended_in_their_order(disk: Disk) -> None:
    """More than the kernel takes in one call (1,024, IOV_MAX), empty ones and none among them."""
    blocks = [str(number).encode() * (number % 3) for number in range(3000)]
    disk.create("file")
    disk.append("file", *blocks)
    disk.append("file")
    disk.append("file", b"end")
    assert disk.read("file") == b"".join(blocks) + b"end"


def test_names_are_sorted_files_of_one_folder(disk: Disk) -> None:
    for path in ("b", "a", "folder/c"):
        disk.create(path)
    assert disk.names("") == ["a", "b"]
    assert disk.names("nowhere") == []


def test_creating_twice_is_an_error(disk: Disk) -> None:
    disk.create("file")
    with pytest.raises(FileExistsError):
        disk.create("file")


@pytest.mark.parametrize(
    "verb",
    [
        lambda disk: disk.append("file", b"x"),
        lambda disk: disk.rename("file", "other"),
        lambda disk: disk.remove("file"),
        lambda disk: disk.size("file"),
        lambda disk: disk.read("file"),
    ],
    ids=["append", "rename", "remove", "size", "read"],
)
def test_a_file_that_is_not_there(disk: Disk, verb: Callable[[Disk], object]) -> None:
    with pytest.raises(FileNotFoundError):
        verb(disk)


def test_rename_keeps_the_content_and_takes_the_name(disk: Disk) -> None:
    disk.create("folder/file.part")
    disk.append("folder/file.part", b"content")
    disk.rename("folder/file.part", "folder/file")
    assert disk.names("folder") == ["file"]
    assert disk.read("folder/file") == b"content"
    disk.append("folder/file", b"!")
    assert disk.read("folder/file") == b"content!"


def test_a_removed_file_is_gone(disk: Disk) -> None:
    disk.create("file")
    disk.remove("file")
    assert disk.names("") == []
    disk.create("file")
    assert disk.size("file") == 0


def test_there_is_room(disk: Disk) -> None:
    assert disk.free_bytes() > 1 << 20


# --- what only the simulated disk can show -----------------------------------------------------


def torn(data: str, names: str, *, sync_file: bool, sync_names: bool) -> dict[str, bytes]:
    disk = SimulatedDisk()
    disk.create("f/x")
    disk.append("f/x", b"12")
    if sync_file:
        disk.sync("f/x")
    disk.sync("")
    if sync_names:
        disk.sync("f")
    disk.append("f/x", b"3456")
    tear = next(t for t in TEARS if (t.data.value, t.names.value) == (data, names))
    disk.cut(tear)
    return dict(disk.files())


@pytest.mark.parametrize(
    ("data", "expected"),
    [("none", b"12"), ("part", b"1234"), ("all", b"123456"), ("zeros", b"12\0\0\0\0")],
)
def test_what_was_not_synced_may_be_torn(data: str, expected: bytes) -> None:
    for names in ("with", "without"):
        assert torn(data, names, sync_file=True, sync_names=True) == {"f/x": expected}


def test_a_name_that_was_not_synced_may_be_gone() -> None:
    assert torn("all", "without", sync_file=True, sync_names=False) == {}
    assert torn("none", "with", sync_file=False, sync_names=False) == {"f/x": b""}


def test_a_rename_that_was_not_synced_may_be_undone() -> None:
    for tear in TEARS:
        disk = SimulatedDisk()
        disk.create("f/x.part")
        disk.append("f/x.part", b"1")
        disk.sync("f/x.part")
        disk.sync("f")
        disk.sync("")
        disk.rename("f/x.part", "f/x")
        disk.cut(tear)
        expected = "f/x" if tear.names.value == "with" else "f/x.part"
        assert dict(disk.files()) == {expected: b"1"}


def test_a_folder_that_was_not_synced_may_be_gone_with_all_in_it() -> None:
    for tear in TEARS:
        disk = SimulatedDisk()
        disk.create("f/x")
        disk.sync("f/x")
        disk.sync("f")
        assert dict(disk.durable_files()) == {}
        disk.cut(tear)
        assert disk.names("f") == (["x"] if tear.names.value == "with" else [])


def fates(prepare: Callable[[SimulatedDisk], None]) -> set[tuple[tuple[str, bytes], ...]]:
    """Everything that cuts leave of the same beginning."""
    found = set()
    for seed in range(300):
        disk = SimulatedDisk()
        prepare(disk)
        disk.cut_anyhow(Draws(seed, "tear").below)
        found.add(tuple(disk.files()))
    return found


def test_every_file_has_a_fate_of_its_own() -> None:
    def two_files(disk: SimulatedDisk) -> None:
        for name in ("f/x", "f/y"):
            disk.create(name)
            disk.append(name, b"1")
            disk.sync(name)
        disk.sync("f")
        disk.sync("")
        for name in ("f/x", "f/y"):
            disk.append(name, b"23")

    contents = (b"1", b"12", b"123", b"1\0", b"1\0\0", b"\0")
    for left in fates(two_files):
        assert [path for path, _ in left] == ["f/x", "f/y"]
        assert all(content in contents and content[:1] == b"1" for _, content in left)
    mixed = {(("f/x", b"1"), ("f/y", b"123")), (("f/x", b"123"), ("f/y", b"1"))}
    assert mixed <= fates(two_files)


def test_a_rename_and_a_new_file_in_any_combination() -> None:
    def rename(disk: SimulatedDisk) -> None:
        disk.create("f/x.part")
        disk.sync("f/x.part")
        disk.sync("f")
        disk.sync("")
        disk.rename("f/x.part", "f/x")
        disk.create("f/y.part")

    names = {tuple(path for path, _ in left) for left in fates(rename)}
    assert names == {("f/x",), ("f/x.part",), ("f/x", "f/y.part"), ("f/x.part", "f/y.part")}


def test_what_is_under_way_when_the_power_goes_has_not_happened() -> None:
    now = [0]
    disk = SimulatedDisk()
    disk.now_ns = lambda: now[0]
    disk.create("f/x")
    disk.sync("f")
    disk.sync("")
    disk.append("f/x", b"1")
    disk.sync("f/x")
    disk.latency_ns = lambda operation: 100 if operation.verb == "sync" else 10
    disk.append("f/x", b"2")  # 0 to 10
    disk.sync("f/x")  # 10 to 110
    disk.append("f/x", b"3")  # 110 to 120
    disk.rename("f/x", "f/y")  # 120 to 130
    disk.sync("f")  # 130 to 230
    now[0] = 50
    disk.cut(Tear(Bytes.ALL, Names.WITH))
    assert dict(disk.files()) == {"f/x": b"12"}


def test_a_sync_that_takes_time_is_durable_only_at_its_end() -> None:
    for at_ns, expected in ((99, b""), (100, b"1")):
        now = [0]
        disk = SimulatedDisk()
        disk.now_ns = lambda now=now: now[0]
        disk.create("x")
        disk.sync("")
        disk.latency_ns = lambda operation: 100 if operation.verb == "sync" else 0
        disk.append("x", b"1")
        disk.sync("x")
        now[0] = at_ns
        disk.cut(Tear(Bytes.NONE, Names.WITHOUT))
        assert dict(disk.files()) == {"x": expected}


def test_a_disk_that_lies_keeps_nothing() -> None:
    disk = SimulatedDisk()
    disk.create("x")
    disk.sync("")
    disk.lies = True
    disk.append("x", b"1")
    disk.sync("x")
    disk.cut(Tear(Bytes.NONE, Names.WITHOUT))
    assert dict(disk.files()) == {"x": b""}


def test_a_short_write_leaves_a_part_behind() -> None:
    disk = SimulatedDisk()
    disk.create("x")
    disk.faults.append(Fault(1, errno.EIO, short=True))
    with pytest.raises(OSError, match="nput/output"):
        disk.append("x", b"123456")
    assert disk.read("x") == b"12"


def test_files_that_were_given_up_do_not_pile_up(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    host = HostDisk(tmp_path / "disk")
    for number in range(200):
        host.create(f"file{number}")
        host.append(f"file{number}", b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) - before < 100
    host.append("file0", b"y")
    host.sync("file0")
    assert host.read("file0") == b"xy"
    host.close()
