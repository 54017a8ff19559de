"""The outbox: order, bounds, replacement, and what a kill or a damaged file leaves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.mqtt.sqlite_outbox import SqliteOutbox
from hal.ports import MqttMessage, Outgoing

Make = Callable[..., SqliteOutbox]


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[SqliteOutbox] = []

    def one(rows: int = 1000, size_bytes: int = 1 << 20) -> SqliteOutbox:
        place = ":memory:" if request.param == "memory" else tmp_path / "box" / "outbox.sqlite"
        made.append(SqliteOutbox(place, rows, size_bytes))
        return made[-1]

    yield one
    for box in made:
        box.close()


def said(text: str, key: str = "") -> Outgoing:
    return Outgoing(key, MqttMessage("a/b", text.encode(), bool(key), (("id", text),)))


def texts(box: SqliteOutbox, after: int = 0, limit: int = 10_000) -> list[str]:
    return [item.message.payload.decode() for item in box.after(after, limit)]


def test_messages_come_back_whole_and_in_order(make: Make) -> None:
    box = make()
    box.put([said("one"), said("state", "state")])
    box.put([said("two")])
    first, second, third = box.after(0, 10)
    assert (first.message, second.message) == (said("one").message, said("state", "state").message)
    assert third.message.payload == b"two"
    assert texts(box, after=first.row, limit=1) == ["state"]


def test_of_a_key_only_the_newest_stays_and_moves_to_the_end(make: Make) -> None:
    box = make()
    box.put([said("old", "state"), said("event")])
    box.put([said("new", "state")])
    assert texts(box) == ["event", "new"]


def test_what_is_removed_is_gone_and_rows_are_never_used_again(make: Make) -> None:
    box = make()
    box.put([said("one")])
    (first,) = box.after(0, 10)
    box.remove([first.row, 999])
    box.put([said("two")])
    (second,) = box.after(0, 10)
    assert second.row > first.row


def test_beyond_the_limits_the_oldest_go_and_are_counted(make: Make) -> None:
    box = make(rows=5)
    for number in range(12):
        box.put([said(f"{number}")])
    assert texts(box) == ["7", "8", "9", "10", "11"]
    assert box.fill().dropped == 7
    heavy = make(size_bytes=1000)
    for number in range(12):
        heavy.put([said(f"{number:0200}")])
    fill = heavy.fill()
    assert fill.size_bytes <= 1000
    assert fill.rows + fill.dropped >= 12


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "status", "remove"]), st.integers(0, 30)), max_size=60
    )
)
@settings(max_examples=60, deadline=None)
def test_counts_agree_with_what_is_there(steps: list[tuple[str, int]]) -> None:
    box = SqliteOutbox(":memory:", 20, 4000)
    for verb, number in steps:
        if verb == "remove":
            box.remove([number])
        else:
            box.put([said("x" * number * 10, "state" if verb == "status" else "")])
    waiting, fill = box.after(0, 1000), box.fill()
    assert fill.rows == len(waiting) <= 20
    assert fill.size_bytes <= 4000
    again = sum(len(i.message.payload) for i in waiting)
    assert fill.size_bytes >= again
    box.close()


def test_what_waited_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    box = SqliteOutbox(path, 100, 1 << 20)
    box.put([said("one"), said("two")])
    size_bytes = box.fill().size_bytes
    box.close()
    again = SqliteOutbox(path, 100, 1 << 20)
    assert texts(again) == ["one", "two"]
    assert again.fill()[:2] == (2, size_bytes)
    again.close()


WRITER = """
import sys
from pathlib import Path
from hal.mqtt.sqlite_outbox import SqliteOutbox
from hal.ports import MqttMessage, Outgoing
box = SqliteOutbox(Path(sys.argv[1]), 100000, 1 << 30)
number = 0
while True:
    number += 1
    items = [Outgoing("", MqttMessage("a", b"%d" % number))]
    box.put([*items, Outgoing("state", MqttMessage("s", b"x" * 300, True))])
    print(number, flush=True)
"""


def test_a_killed_process_loses_nothing_that_was_put(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout
            for line in writer.stdout:
                if int(line) == 60:
                    writer.send_signal(signal.SIGKILL)
                    break
            last = [int(line) for line in writer.stdout.read().split()]
        put = last[-1] if last else 60
        box = SqliteOutbox(path, 100_000, 1 << 30)
        there = [int(text) for text in texts(box) if text.isdecimal()]
        assert there[:put] == list(range(1, put + 1))
        assert len(there) <= put + 1
        box.remove([item.row for item in box.after(0, 100_000)])
        box.close()


def test_a_file_that_is_no_outbox_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(os.urandom(5000))
    box = SqliteOutbox(path, 100, 1 << 20)
    box.put([said("one")])
    assert texts(box) == ["one"]
    assert (tmp_path / "outbox.sqlite.damaged").stat().st_size == 5000
    box.close()


@pytest.mark.parametrize("seed", range(20))
def test_any_damage_costs_the_outbox_and_nothing_else(tmp_path: Path, seed: int) -> None:
    """Whatever stands in the file: it opens, anew where it must, or says so as an `OSError`."""
    import random

    draw = random.Random(seed)
    path = tmp_path / "outbox.sqlite"
    box = SqliteOutbox(path, 1000, 1 << 20)
    box.put([said(f"{number:0100}") for number in range(200)])
    box.close()
    data = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 30, 3000))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    path.write_bytes(data[: draw.choice((len(data), len(data) // 2))])
    again = SqliteOutbox(path, 1000, 1 << 20)
    for _ in range(3):
        with contextlib.suppress(OSError):
            again.put([said("new")])
            texts(again)
    assert "new" in texts(again)
    again.close()


def test_a_place_that_can_not_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    box = SqliteOutbox(tmp_path / "file" / "outbox.sqlite", 100, 1000)
    with pytest.raises(OSError, match="file"):
        box.put([said("one")])


def test_closing_waits_for_what_is_under_way_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    box = SqliteOutbox(path, 100_000, 1 << 30)
    put: list[int] = []
    errors: list[Exception] = []

    def write() -> None:
        try:
            for number in range(100_000):
                box.put([said(f"{number}")])
                put.append(number)
        except OSError as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while len(put) < 50:
        box.fill()
    box.close()
    writer.join(20)
    assert [str(error) for error in errors] == ["the outbox is closed"]
    again = SqliteOutbox(path, 100_000, 1 << 30)
    assert texts(again, limit=200_000)[: len(put)] == [f"{number}" for number in put]
    assert list(tmp_path.glob("*.damaged")) == []
    again.close()
