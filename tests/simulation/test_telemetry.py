"""Telemetry in virtual time: what is told, and every way in which a broker can be ill."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.camera_bench import Camera

from hal.ports import SECOND_NS, OutboxFill

Make = Callable[..., Camera]
PREFIX = "bwv/v1/example-agency/bench-camera-1"


@pytest.fixture
def make(camera: Make) -> Make:
    def one(**mqtt: Any) -> Camera:
        it = camera(mqtt={"broker": "bench", **mqtt})
        it.run(seconds=3)
        return it

    return one


def told(it: Camera, leaf: str) -> list[dict[str, Any]]:
    topic = f"{PREFIX}/{leaf}"
    return [json.loads(m.payload) for m in it.broker.messages if m.topic == topic]


def events(it: Camera) -> list[str]:
    return [said["kind"] for said in told(it, "event")]


def record(it: Camera, seconds: float = 5) -> None:
    it.press_record_twice()
    it.run(seconds=seconds)
    it.hold_record()
    it.run(seconds=4)


def whole(it: Camera, tmp_path: Path) -> None:
    """The vault verifies and its footage is complete: telemetry touched nothing."""
    it.broker.reachable = True
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.ok, report.problems
    assert report.complete, report.remarks


def no_holes(it: Camera) -> None:
    """Events arrive in order and each number is there; doubles are recognizable."""
    pairs = [(said["boot"], said["number"]) for said in told(it, "event")]
    firsts = list(dict.fromkeys(pairs))
    assert firsts == sorted(firsts)
    for boot in {boot for boot, _ in firsts}:
        numbers = [number for of, number in firsts if of == boot]
        assert numbers == list(range(1, len(numbers) + 1))


# --- what is told ------------------------------------------------------------------------------


def test_a_shift_as_a_desk_sees_it(make: Make) -> None:
    it = make()
    it.press_record_twice()
    it.run(seconds=3)
    it.press_marker()
    it.run(seconds=3)
    it.hold_record()
    it.run(seconds=4)
    it.put_in_dock(True)
    it.run(seconds=5)
    it.shut_down()
    assert events(it) == ["started", "marker", "stopped", "dock"]
    states = [(said["state"], said["recording"]) for said in told(it, "state")]
    assert ("recording", "00000001-0001") in states
    assert ("docked", None) in states
    assert states[-1][0] == "stopped"
    newest = told(it, "state")[-1]
    assert newest["undelivered"]["files"] == 1
    assert newest["undelivered"]["oldest_utc_ms"] is not None
    assert newest["battery"]["percent"] == 100
    assert newest["storage"]["minutes_left"] > 60
    assert newest["light"]["front"] == "dark"
    assert [said["online"] for said in told(it, "presence")] == [True, False]


def test_the_last_word_is_said_where_there_is_a_line_and_not_waited_for_elsewhere(
    make: Make,
) -> None:
    it = make()
    it.press_record_twice()
    it.run(seconds=3)
    it.shut_down()
    assert events(it) == ["started", "stopped"]
    assert told(it, "state")[-1]["state"] == "stopped"
    assert told(it, "presence")[-1]["online"] is False
    it.boot()
    it.run(seconds=3)
    it.broker.latency_ns = 60 * SECOND_NS
    began_ns = it.loop.now_ns()
    it.shut_down()
    assert it.loop.now_ns() - began_ns < 2 * SECOND_NS


def test_the_state_says_what_the_light_says(make: Make) -> None:
    it = make()
    it.press_record_twice()
    it.run(seconds=3)
    assert told(it, "state")[-1]["light"]["front"] == "recording"
    it.disk.latency_ns = lambda operation: 8 * SECOND_NS  # a card that stalls
    it.run(seconds=5)
    newest = told(it, "state")[-1]
    assert (newest["stored"], newest["light"]["front"]) == (False, "capturing, not stored")


def test_nothing_is_said_where_no_broker_is_set(camera: Make) -> None:
    it = camera()
    record(it)
    assert it.broker.messages == []
    assert it.waiting.fill() == OutboxFill(0, 0, 0)


def test_a_refusal_and_a_fault_are_events(make: Make) -> None:
    it = make()
    it.put_in_dock(True)
    it.run(seconds=2)
    it.press_record_twice()
    it.run(seconds=3)
    it.put_in_dock(False)
    it.run(seconds=3)
    refused = next(said for said in told(it, "event") if said["kind"] == "refused")
    assert refused["fields"] == {"event": "start", "conditions": ["the camera is docked"]}


def test_every_event_names_its_line_of_the_ledger(make: Make) -> None:
    it = make()
    record(it)
    lines = {line["n"]: line["kind"] for line in it.ledger()}
    kinds = {said["kind"]: lines[said["line"]] for said in told(it, "event")}
    assert kinds == {"started": "state", "stopped": "state"}


def test_home_assistant_is_told_only_where_it_is_wanted(make: Make) -> None:
    assert not [m for m in make().broker.messages if m.topic.startswith("homeassistant")]
    it = make(home_assistant=True)
    (config,) = [m for m in it.broker.messages if m.topic.startswith("homeassistant")]
    said = json.loads(config.payload)
    assert config.topic == "homeassistant/device/bench-camera-1/config"
    assert config.retain
    assert said["components"]["recording"]["state_topic"] == f"{PREFIX}/state"
    assert said["availability_topic"] == f"{PREFIX}/presence"


# --- a broker that is ill ----------------------------------------------------------------------


def test_no_broker_for_a_while(make: Make, tmp_path: Path) -> None:
    it = make()
    it.broker.reachable = False
    for _ in range(4):
        record(it)
        it.run(seconds=60)
    before = len(it.broker.messages)
    it.broker.reachable = True
    it.run(seconds=320)
    assert len(it.broker.messages) > before
    assert events(it).count("started") == 4
    no_holes(it)
    assert it.waiting.fill().rows <= 2
    whole(it, tmp_path)


def test_the_backlog_drains_in_order_and_no_faster_than_it_may(make: Make) -> None:
    it = make(drain_per_s=5)
    it.broker.reachable = False
    it.press_record_twice()
    for _ in range(60):
        it.run(seconds=2)
        it.press_marker()
    assert it.waiting.fill().rows > 50
    it.broker.reachable = True
    it.run(seconds=320)
    no_holes(it)
    back_ns = [m.at_ns for m in it.broker.messages if m.topic.endswith("/event")][-50:]
    busiest = max(sum(start <= at_ns < start + SECOND_NS for at_ns in back_ns) for start in back_ns)
    assert busiest <= 5 + 16  # a window may be saved up
    assert it.broker.most_under_way <= 16 + 3


def test_an_outbox_that_is_full_loses_the_oldest_and_says_so(make: Make, tmp_path: Path) -> None:
    it = make(outbox_messages=100)
    it.broker.reachable = False
    it.press_record_twice()
    for _ in range(150):
        it.run(seconds=1)
        it.press_marker()
    assert it.waiting.fill().rows <= 100
    it.broker.reachable = True
    it.run(seconds=620)
    it.hold_record()
    it.run(seconds=4)
    numbers = [said["number"] for said in told(it, "event")]
    assert numbers == sorted(numbers)
    health = told(it, "health")[-1]
    assert health["dropped"] >= 50
    whole(it, tmp_path)


def test_acknowledgements_that_are_lost_double_messages_and_lose_none(
    make: Make, tmp_path: Path
) -> None:
    it = make()
    it.broker.loses_acks = True
    record(it)
    it.run(seconds=100)
    assert it.broker.connections > 1  # a line on which nothing is acknowledged is made anew
    it.broker.loses_acks = False
    it.run(seconds=320)
    no_holes(it)
    assert len(events(it)) > len(set(zip(events(it), map(str, told(it, "event")), strict=True)))
    whole(it, tmp_path)


def test_a_broker_that_flaps(make: Make, tmp_path: Path) -> None:
    it = make()
    it.press_record_twice()
    for _ in range(40):
        it.run(seconds=3)
        it.press_marker()
        it.broker.cut()
    it.hold_record()
    it.run(seconds=400)
    no_holes(it)
    assert events(it).count("marker") == 40
    whole(it, tmp_path)


@pytest.mark.parametrize("how", ["refuses", "deaf", "full", "slow"])
def test_a_broker_that_does_not_take_anything(make: Make, tmp_path: Path, how: str) -> None:
    it = make()
    if how == "refuses":
        it.broker.refuses = "bad credentials"
        it.broker.cut()
    elif how == "deaf":
        it.broker.deaf = True
        it.broker.cut()
    elif how == "full":
        it.broker.full = True
    else:
        it.broker.latency_ns = 20 * SECOND_NS
    record(it, 60)
    it.run(seconds=120)
    it.broker.refuses, it.broker.deaf, it.broker.full = "", False, False
    it.broker.latency_ns = 1_000_000
    it.run(seconds=700)
    no_holes(it)
    assert {"started", "stopped"} <= set(events(it))
    whole(it, tmp_path)


def test_a_message_that_the_broker_never_takes_does_not_block_the_others(make: Make) -> None:
    it = make()
    it.broker.forbidden = {"health"}
    record(it)
    it.run(seconds=700)
    assert told(it, "health")[1:] == []
    assert {"started", "stopped"} <= set(events(it))
    assert it.waiting.fill().rows <= 2


def test_a_message_that_ends_every_connection_is_let_go(make: Make) -> None:
    """A broker that closes the line on a packet it finds too large, say."""
    it = make()
    poison = f"{PREFIX}/event"
    seen: list[int] = []

    def choke(published: Any) -> None:
        if published.topic == poison and b'"number":1,' in published.payload:
            seen.append(published.at_ns)
            it.broker.hang_up()

    it.broker.on_published = choke
    record(it)
    it.run(seconds=900)
    assert 5 <= len(seen) <= 8
    assert [said["number"] for said in told(it, "event")][-1] >= 2


def test_an_old_will_that_comes_late_is_contradicted(make: Make) -> None:
    it = make()
    it.broker.take_over()
    it.run(seconds=60)
    assert json.loads(it.broker.retained[f"{PREFIX}/presence"])["online"] is True
    offline = [said for said in told(it, "presence") if not said["online"]]
    assert offline
    assert all(said["session"] < told(it, "presence")[-1]["session"] for said in offline)


def test_attempts_wait_longer_and_longer_and_not_all_at_once(camera: Make) -> None:
    def attempts(seed: str) -> list[float]:
        it = camera(
            mqtt={"broker": "bench"}, video={"fps": 5, "bitrate_kbps": 200},
            recording={"pre_event_s": 0, "batch_ms": 500}, seed=seed,
        )  # fmt: skip
        it.run(seconds=2)
        it.broker.reachable = False
        opened: list[float] = []
        link = it.mqtt
        real = link.open
        link.open = lambda *args: (opened.append(it.loop.now_ns() / 1e9), real(*args))  # type: ignore[method-assign, func-returns-value]
        it.broker.cut()
        it.run(seconds=3600)
        return opened

    first, second = attempts("one"), attempts("two")
    waits = [b - a for a, b in pairwise(first)]
    assert waits[0] < 9
    assert max(waits[-8:]) > 60
    assert max(waits) <= 300.1
    assert len(first) < 60
    assert first != second


# --- a department ------------------------------------------------------------------------------


def test_an_error_that_nobody_expected_ends_nothing(make: Make, tmp_path: Path) -> None:
    it = make()
    assert it.agent is not None
    telemetry = it.agent.parts.telemetry
    assert telemetry is not None
    line = telemetry._line
    real = line.acknowledged

    def broken(token: int) -> None:
        raise KeyError("a bug")

    line.acknowledged = broken  # type: ignore[method-assign]
    record(it)
    faults = [line for line in it.ledger("fault") if line["part"] == "telemetry"]
    assert [fault["reason"] for fault in faults] == ["KeyError: 'a bug'"]
    it.run(seconds=100)
    assert telemetry._line.acknowledged != real
    assert telemetry._line.up
    record(it)
    assert "started" in events(it)
    whole(it, tmp_path)


def test_an_outbox_that_fails_is_told_once_and_recording_goes_on(
    make: Make, tmp_path: Path
) -> None:
    it = make()

    def broken(*_: object) -> None:
        raise OSError("the outbox: database or disk is full")

    it.waiting.put = broken  # type: ignore[method-assign, assignment]
    for _ in range(5):
        record(it)
    faults = [line for line in it.ledger("fault") if line["part"] == "telemetry"]
    assert len(faults) == 1
    whole(it, tmp_path)


def test_power_cuts_lose_no_event_that_was_in_the_outbox(make: Make, camera: Make) -> None:
    from hal.simulated.disk import TEARS

    it = make()
    it.broker.reachable = False
    for tear in TEARS[:4]:
        it.press_record_twice()
        it.run(seconds=5)
        it.power_cut(tear)
        it.run(seconds=2)
        it.boot()
        it.run(seconds=3)
    it.broker.reachable = True
    it.run(seconds=400)
    no_holes(it)
    boots = {said["boot"] for said in told(it, "event") if said["kind"] == "started"}
    assert boots == {1, 2, 3, 4}


@pytest.mark.parametrize("hours", [2])
def test_an_outage_of_hours(camera: Make, tmp_path: Path, hours: int) -> None:
    """Bounded, recording untouched, drained in order. `make campaign` takes twelve hours, and the
    oracle."""
    it = camera(
        mqtt={"broker": "bench", "outbox_messages": 1000, "outbox_kib": 256},
        video={"fps": 5, "bitrate_kbps": 200},
        recording={"pre_event_s": 0, "batch_ms": 500},
    )
    it.run(seconds=3)
    it.power.set(100, charging=True)
    it.broker.reachable = False
    most = OutboxFill(0, 0, 0)
    for _ in range(hours):
        record(it, 20)
        it.press_record_twice()
        it.run(seconds=10)
        it.press_marker()
        it.hold_record()
        it.run(seconds=3550)
        fill = it.waiting.fill()
        most = max(most, fill)
    assert most.rows <= 1000
    assert most.size_bytes <= 256 << 10
    assert most.dropped == 0
    it.broker.reachable = True
    it.run(seconds=400)
    assert events(it).count("started") == 2 * hours
    no_holes(it)
    whole(it, tmp_path)


def test_an_owner_of_the_broker_who_says_offline_all_day(make: Make, tmp_path: Path) -> None:
    """Each word of his costs the camera nothing."""
    it = make()
    it.press_record_twice()
    before = len(told(it, "presence"))
    for _ in range(200):
        for _ in range(20):
            it.broker.send(f"{PREFIX}/presence", b'{"online":false}')
        it.run(seconds=0.1)
    assert len(told(it, "presence")) - before <= 6
    assert it.broker.most_under_way <= 16 + 3
    it.hold_record()
    it.run(seconds=4)
    whole(it, tmp_path)


def test_what_happens_while_telemetry_is_suspended_is_counted(make: Make) -> None:
    it = make()
    assert it.agent is not None
    telemetry = it.agent.parts.telemetry
    assert telemetry is not None
    record(it)
    telemetry._boundary.run(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    it.run(seconds=1)
    record(it)
    it.run(seconds=400)
    record(it)
    numbers = [said["number"] for said in told(it, "event")]
    missing = set(range(1, numbers[-1] + 1)) - set(numbers)
    assert missing
    assert told(it, "health")[-1]["dropped"] == len(missing)


def test_one_message_that_is_refused_again_and_again_does_not_block_the_others(make: Make) -> None:
    it = make()
    take = it.broker.take

    def refuse(line: Any, token: int, message: Any) -> None:
        if message.topic.endswith("/event") and b'"number":1,' in message.payload:
            line.tell(lambda listener: listener.refused(token, "unspecified", final=False))
        else:
            take(line, token, message)

    it.broker.take = refuse  # type: ignore[method-assign]
    record(it)
    it.run(seconds=1500)
    assert {said["kind"] for said in told(it, "event")} == {"stopped", "fault"}
    assert it.waiting.fill().rows <= 2


def test_an_error_at_the_end_of_the_ledger_is_not_telemetrys(make: Make) -> None:
    """The process ends by it, as without a broker."""
    it = make()
    assert it.agent is not None

    def broken(done: object) -> None:
        raise RuntimeError("a bug in the journal")

    it.agent.parts.vault_lane.finish = broken  # type: ignore[method-assign, assignment]
    it.agent.stop()
    with pytest.raises(RuntimeError, match="a bug in the journal"):
        it.run(seconds=2)
