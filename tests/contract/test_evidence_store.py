"""One suite over every evidence store: a directory, S3 (a real server), and the one in memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bwv_device.formats.upload_body import BytesBody
from hal.ports import EvidenceStore, StoreError, StoreTrouble
from hal.simulated.store import MemoryStore
from hal.stores.directory import DirectoryStore
from sim.servers.seaweedfs import SeaweedFS

LIMIT = 1 << 20


@pytest.fixture(params=["memory", "directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EvidenceStore]:
    if request.param == "memory":
        memory = MemoryStore()
        memory.now_utc_s = lambda: int(time.time())
        yield memory
    elif request.param == "directory":
        yield DirectoryStore(tmp_path)
    else:
        weed: SeaweedFS = request.getfixturevalue("weed")
        bucket = f"contract-{uuid.uuid4().hex[:12]}"
        weed.make_bucket(bucket)
        yield weed.store(bucket)


def trouble(call: object, *args: object) -> StoreTrouble:
    with pytest.raises(StoreError) as caught:
        call(*args)  # type: ignore[operator]
    assert str(caught.value)
    return caught.value.trouble


def test_what_is_created_is_there_whole(store: EvidenceStore) -> None:
    data = os.urandom(3_000_000)
    store.create("footage/cam/a.age/00", BytesBody(data))
    stored = store.stat("footage/cam/a.age/00")
    assert stored.length == len(data)
    assert b"".join(store.blocks(stored)) == data
    assert store.read("footage/cam/a.age/00", len(data)) == data


def test_nothing_is_ever_overwritten(store: EvidenceStore) -> None:
    store.create("outbox/cam/x", BytesBody(b"first"))
    assert trouble(store.create, "outbox/cam/x", BytesBody(b"second")) is StoreTrouble.EXISTS
    assert trouble(store.create, "outbox/cam/x", BytesBody(b"first")) is StoreTrouble.EXISTS
    assert store.read("outbox/cam/x", LIMIT) == b"first"


def test_a_wrong_digest_is_refused_and_leaves_nothing(store: EvidenceStore) -> None:
    body = BytesBody(b"what was promised")
    body.sha256 = BytesBody(b"something else").sha256
    assert trouble(store.create, "footage/cam/b/1", body) is StoreTrouble.REFUSED
    assert trouble(store.stat, "footage/cam/b/1") is StoreTrouble.MISSING
    store.create("footage/cam/b/1", BytesBody(b"what was promised"))


def test_an_empty_object(store: EvidenceStore) -> None:
    store.create("ledgers/cam/n/00000001-000000000000", BytesBody(b""))
    assert store.read("ledgers/cam/n/00000001-000000000000", 1) == b""


def test_what_is_not_there_is_missing(store: EvidenceStore) -> None:
    assert trouble(store.read, "outbox/cam/none", LIMIT) is StoreTrouble.MISSING
    assert trouble(store.stat, "outbox/cam/none") is StoreTrouble.MISSING


def test_what_is_too_long_is_not_read(store: EvidenceStore) -> None:
    store.create("outbox/cam/long", BytesBody(bytes(100)))
    assert trouble(store.read, "outbox/cam/long", 99) is StoreTrouble.REFUSED
    assert len(store.read("outbox/cam/long", 100)) == 100


def test_keys_come_in_order_below_a_prefix(store: EvidenceStore) -> None:
    keys = ["a/b", "a/b-c", "a/b/c", "a/b0", "a/c", "ab", "b/x"]
    for key in [k for k in keys if k not in ("a/b",)]:
        store.create(key, BytesBody(key.encode()))
    names = [stored.key for stored in store.entries("a/")]
    assert names == ["a/b-c", "a/b/c", "a/b0", "a/c"]
    assert [s.key for s in store.entries("a/", after="a/b/c")] == ["a/b0", "a/c"]
    assert [s.key for s in store.entries("a/b")] == ["a/b-c", "a/b/c", "a/b0"]
    assert [s.key for s in store.entries("nothing/")] == []
    assert [s.length for s in store.entries("ab")] == [2]


def test_a_store_says_when_an_object_was_written(store: EvidenceStore) -> None:
    before_s = int(time.time()) - 2
    store.create("dockings/a/x", BytesBody(b"x"))
    assert before_s <= store.written_utc_s("dockings/a/x") <= time.time() + 2
    with pytest.raises(StoreError) as caught:
        store.written_utc_s("dockings/a/y")
    assert caught.value.trouble is StoreTrouble.MISSING


def test_hidden_is_out_of_sight_and_can_come_back(store: EvidenceStore) -> None:
    store.create("footage/cam/c/1", BytesBody(b"sealed"))
    stored = store.stat("footage/cam/c/1")
    store.hide("footage/cam/c/1")
    store.hide("footage/cam/c/1")
    assert [s.key for s in store.entries("footage/")] == []
    assert trouble(store.stat, "footage/cam/c/1") is StoreTrouble.MISSING
    assert trouble(store.read, "footage/cam/c/1", LIMIT) is StoreTrouble.MISSING
    assert b"".join(store.blocks(stored)) == b"sealed"
    store.unhide("footage/cam/c/1")
    store.unhide("footage/cam/c/1")
    assert store.read("footage/cam/c/1", LIMIT) == b"sealed"


@pytest.mark.parametrize("hidden", [False, True])
def test_erased_is_gone(store: EvidenceStore, hidden: bool) -> None:
    store.create("footage/cam/d/1", BytesBody(b"sealed"))
    stored = store.stat("footage/cam/d/1")
    if hidden:
        store.hide("footage/cam/d/1")
    store.erase("footage/cam/d/1")
    store.erase("footage/cam/d/1")
    assert trouble(lambda: list(store.blocks(stored))) is StoreTrouble.MISSING
    assert list(store.entries("footage/")) == []


def test_two_that_create_the_same_key_at_once(store: EvidenceStore) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def create(number: int) -> bool:
        try:
            store.create("custody/ledger/000000000001", BytesBody(f"line of {number}".encode()))
        except StoreError as error:
            return error.trouble not in (StoreTrouble.EXISTS, StoreTrouble.TRANSIENT)
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    winner = won.index(True)
    assert store.read("custody/ledger/000000000001", LIMIT) == f"line of {winner}".encode()


def test_a_key_that_was_freed_can_be_created_anew(store: EvidenceStore) -> None:
    store.create("footage/cam/e/1", BytesBody(b"wrong bytes"))
    store.free("footage/cam/e/1")
    assert trouble(store.stat, "footage/cam/e/1") is StoreTrouble.MISSING
    store.create("footage/cam/e/1", BytesBody(b"the right ones"))
    assert store.read("footage/cam/e/1", LIMIT) == b"the right ones"
    store.free("footage/cam/never")


# --- what only a directory can do wrong ----------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["../x", "/etc/x", "a//b", "a/../b", ".hidden/x", "a/.b", "", "a\n"]
)
def test_no_key_leads_out_of_the_directory(tmp_path: Path, key: str) -> None:
    store = DirectoryStore(tmp_path)
    assert trouble(store.create, key, BytesBody(b"x")) is StoreTrouble.REFUSED
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_share_that_is_not_mounted_is_no_empty_store(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "not mounted")
    assert trouble(lambda: list(store.entries(""))) is StoreTrouble.TRANSIENT
    assert trouble(store.create, "a", BytesBody(b"x")) is StoreTrouble.TRANSIENT
    assert trouble(store.erase, "a") is StoreTrouble.TRANSIENT


def test_a_directory_that_is_killed_while_writing_shows_nothing(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from hal.stores.directory import DirectoryStore\n"
        "from bwv_device.formats.upload_body import BytesBody\n"
        "body = BytesBody(bytes(4 << 20)); read = body.read\n"
        "def dying(offset, length):\n"
        "    if offset: os.kill(os.getpid(), 9)\n"
        "    return read(offset, length)\n"
        "body.read = dying\n"
        "DirectoryStore(pathlib.Path(sys.argv[1])).create('footage/x', body)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    store = DirectoryStore(tmp_path)
    assert list(store.entries("")) == []
    store.create("footage/x", BytesBody(b"again"))
    assert store.read("footage/x", LIMIT) == b"again"


LINKS = {
    "a folder of the ledger": ("dockings/evil", "../custody/ledger"),
    "the folder of dockings itself": ("dockings", "custody"),
    "an absolute way out": ("dockings/evil", "/"),
    "one line": ("dockings/evil", "../custody/ledger/000000000001"),
    "a device's footage": ("footage/cam-1", "../custody/ledger"),
    "a link to nowhere": ("dockings/evil", "nowhere"),
}


@pytest.mark.parametrize("name", LINKS)
def test_no_link_is_followed(tmp_path: Path, name: str) -> None:
    """Neither listed, read, hidden nor erased through; and nothing is created behind one."""
    store = DirectoryStore(tmp_path)
    line = "custody/ledger/000000000001"
    store.create(line, BytesBody(b"line 1"))
    place, target = LINKS[name]
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    assert list(store.entries("dockings/")) == []
    assert list(store.entries("footage/")) == []
    for key in (place, f"{place}/000000000001", f"{place}/ledger/000000000001"):
        assert trouble(store.read, key, LIMIT) is StoreTrouble.MISSING
        assert trouble(store.stat, key) is StoreTrouble.MISSING
        for act in (store.hide, store.erase):
            with contextlib.suppress(StoreError):
                act(key)
    with contextlib.suppress(StoreError):
        store.create(f"{place}/new", BytesBody(b"x"))
    assert [stored.key for stored in store.entries("custody/")] == [line]
    assert store.read(line, LIMIT) == b"line 1"


def test_what_is_no_plain_file_is_not_there(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (tmp_path / "dockings").mkdir()
    os.mkfifo(tmp_path / "dockings" / "pipe")
    (tmp_path / "dockings" / "what now?").write_bytes(b"x")
    (tmp_path / "dockings" / "a\nb").write_bytes(b"x")
    assert list(store.entries("")) == []
    assert trouble(store.read, "dockings/pipe", LIMIT) is StoreTrouble.MISSING


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_root_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    store = DirectoryStore(tmp_path / "root")
    (tmp_path / "root").mkdir()
    (tmp_path / "root").chmod(mode)
    with pytest.raises(StoreError, match="chmod 700"):
        list(store.entries(""))
    assert trouble(store.create, "a", BytesBody(b"x")) is StoreTrouble.DENIED


def test_objects_are_private(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create("footage/cam/f/1", BytesBody(b"sealed"))
    assert (tmp_path / "footage/cam/f/1").stat().st_mode & 0o077 == 0
    assert (tmp_path / "footage/cam").stat().st_mode & 0o077 == 0
