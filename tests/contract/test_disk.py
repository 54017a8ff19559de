"""One suite for every disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hal.host import HostDisk
from hal.ports import Disk
from hal.simulated.disk import TEARS, SimulatedDisk


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
        disk.rename("f/x.part", "f/x")
        disk.cut(tear)
        expected = "f/x" if tear.names.value == "with" else "f/x.part"
        assert dict(disk.files()) == {expected: b"1"}


def test_files_that_were_given_up_do_not_pile_up(tmp_path: Path) -> None:
    host = HostDisk(tmp_path / "disk")
    for number in range(200):
        host.create(f"file{number}")
        host.append(f"file{number}", b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) < 100
    host.append("file0", b"y")
    host.sync("file0")
    assert host.read("file0") == b"xy"
    host.close()
