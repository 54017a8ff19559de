"""Commands from afar: what they do, and everything that must do nothing.

A broker may send any bytes at any time, as often as it likes: 0 executed.
"""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from support.camera_bench import Camera
from support.signed_commands import DEVICE, NOW_S, TOPIC, fields, person, signed

from bwv_device.camera.commands import dispatch
from bwv_device.formats.mqtt_messages import COMMANDS
from hal.simulated.disk import TEARS
from sim.world.test_keys import BenchAgency

Make = Callable[..., Camera]


@pytest.fixture
def it(camera: Make) -> Camera:
    made = camera(mqtt={"broker": "bench"})
    made.run(seconds=3)
    return made


def send(it: Camera, data: bytes, seconds: float = 1.0) -> None:
    it.broker.send(TOPIC, data)
    it.run(seconds=seconds)


def replies(it: Camera) -> list[dict[str, Any]]:
    said = [json.loads(m.payload) for m in it.broker.messages if m.topic.endswith("/reply")]
    return list({(s["boot"], s["number"]): s for s in said}.values())


def executed(it: Camera) -> int:
    return len(it.ledger("command"))


def refused(it: Camera) -> dict[str, int]:
    assert it.agent is not None
    assert it.agent.parts.telemetry is not None
    return dict(it.agent.parts.telemetry.remote.refused)


# --- what they do ------------------------------------------------------------------------------


def test_locate_flashes_and_beeps_and_leaves_the_front_light_alone(
    it: Camera, agency: BenchAgency
) -> None:
    send(it, signed(person(agency), fields(1, "locate")), 5)
    assert replies(it)[0]["outcome"] == "done"
    assert "here I am" in it.sounds()
    assert it.panel is not None
    assert "here I am" in {shown.pattern for shown in it.panel.history["status light"]}
    assert {shown.pattern for shown in it.panel.history["front light"]} <= {"dark"}


def test_mark_stands_in_the_recording(it: Camera, agency: BenchAgency) -> None:
    send(it, signed(person(agency), fields(1)))
    assert replies(it)[0]["reasons"] == ["it is not recording"]
    it.press_record_twice()
    it.run(seconds=3)
    send(it, signed(person(agency), fields(2)))
    assert it.ledger("marker")[0]["marker"] == "remote"
    assert [answer["outcome"] for answer in it.ledger("answer")] == ["refused", "done"]


def test_start_needs_policy_and_all_that_a_press_needs(camera: Make, agency: BenchAgency) -> None:
    it = camera(mqtt={"broker": "bench"})
    it.run(seconds=3)
    send(it, signed(person(agency), fields(1, "start")))
    assert it.state() == "ready"
    assert replies(it)[0]["reasons"] == ["policy forbids starting from afar"]
    it = camera(mqtt={"broker": "bench"}, policy={"remote_start": True})
    it.run(seconds=3)
    send(it, signed(person(agency), fields(1, "start")), 3)
    assert it.state() == "recording"
    assert it.light() == "recording"
    assert it.ledger("open")[0]["trigger"] == "command"
    send(it, signed(person(agency), fields(2, "start")))
    assert replies(it)[1]["reasons"] == ["it is recording already"]
    it.hold_record()
    it.run(seconds=4)
    it.put_in_dock(True)
    it.run(seconds=2)
    send(it, signed(person(agency), fields(3, "start")))
    assert replies(it)[2]["reasons"] == ["the camera is docked"]


def test_hold_flags_what_is_there(it: Camera, agency: BenchAgency) -> None:
    desk = person(agency)
    send(it, signed(desk, fields(1, "hold")))
    it.press_record_twice()
    it.run(seconds=3)
    it.hold_record()
    it.run(seconds=4)
    send(it, signed(desk, fields(2, "hold")))
    send(it, signed(desk, fields(3, "hold", arguments={"recording": "00000001-0001"})))
    send(it, signed(desk, fields(4, "hold", arguments={"recording": "00000007-0001"})))
    outcomes = [(reply["outcome"], *reply["reasons"]) for reply in replies(it)]
    assert outcomes == [
        ("refused", "there is no recording"),
        ("done",),
        ("done",),
        ("refused", "there is no such recording on the camera"),
    ]
    assert [line["recording"] for line in it.ledger("flag")] == ["00000001-0001"] * 2


def test_assign_lasts_over_boots_until_the_next_assignment(it: Camera, agency: BenchAgency) -> None:
    send(it, signed(person(agency), fields(1, "assign")))
    for _ in range(3):
        it.power_cut(TEARS[0])
        it.boot()
        it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=3)
    assert it.ledger("open")[-1]["officer"] == "4711"
    send(it, signed(person(agency), fields(2, "assign", arguments={"officer": "0815"})))
    assert replies(it)[-1]["reasons"] == ["a recording is in progress"]


def test_head_and_diagnostics_answer(it: Camera, agency: BenchAgency) -> None:
    send(it, signed(person(agency), fields(1, "head")))
    send(it, signed(person(agency), fields(2, "diagnostics")))
    head, diagnostics = (reply["result"] for reply in replies(it))
    assert head["head"]["device"] == DEVICE
    assert head["head"]["number"] in {line["n"] for line in it.ledger()}
    assert diagnostics["software"]
    assert diagnostics["vitals"]["rss_kib"]


def test_there_is_nothing_that_stops_deletes_or_darkens() -> None:
    """Neither a command, nor a hand that could be moved."""
    words = ("stop", "end", "delete", "wipe", "remove", "erase", "mute", "covert", "dark", "off",
             "shut", "reset", "settings")  # fmt: skip
    assert not [name for name in COMMANDS if any(word in name for word in words)]
    hands = [name for name, _ in inspect.getmembers(dispatch.Hands, inspect.isfunction)]
    public = sorted(name for name in hands if not name.startswith("_"))
    assert public == ["assign", "hold", "locate", "mark", "start", "update"]


# --- what must do nothing ----------------------------------------------------------------------


def wrong_values(said: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field in turn: gone, another type, another value, and one too many."""
    for name, value in said.items():
        yield f"{name} is missing", {n: v for n, v in said.items() if n != name}
        for other in (None, True, "", "x" * 100, -1, 0, 2**60, [], {"a": 1}):
            if other != value or type(other) is not type(value):
                yield f"{name} is {other!r}", {**said, name: other}
    yield "a field too many", {**said, "also": 1}
    yield "another device", {**said, "device": "bench-camera-2"}
    yield "an argument too many", {**said, "arguments": {**said["arguments"], "x": 1}}
    yield "expired", {**said, "issued_s": NOW_S - 100, "expires_s": NOW_S - 1}
    yield "issued in the future", {**said, "issued_s": NOW_S + 3600, "expires_s": NOW_S + 4000}
    yield "valid for too long", {**said, "expires_s": said["issued_s"] + 86_401}
    yield "expires before it was issued", {**said, "expires_s": said["issued_s"] - 1}
    for name in ("stop", "delete", "wipe", "Locate", "locate ", "mute", "covert", "settings"):
        yield f"command {name!r}", {**said, "command": name}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_field_mutated_and_signed_by_the_desk_itself(
    it: Camera, agency: BenchAgency, name: str
) -> None:
    desk = person(agency)
    tried = 0
    for what, said in wrong_values(fields(7, name)):
        send(it, signed(desk, said), 0.25)
        tried += 1
        assert executed(it) == 0, what
    assert tried > 60
    assert sum(refused(it).values()) == tried
    assert "flood" not in refused(it)
    send(it, signed(desk, fields(7, name)))
    assert executed(it) == 1  # the control


WRONG_ARGUMENTS = {
    "locate": [{"seconds": n} for n in (0, 31, "3", 3.5, True, None)],
    "hold": [{"recording": "../x"}, {"recording": 1}, {"recording": "00000001-0001-0001"}],
    "assign": [{"officer": ""}, {"officer": "x" * 65}, {"officer": None}],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WRONG_ARGUMENTS))
def test_arguments_out_of_bounds(it: Camera, agency: BenchAgency, name: str) -> None:
    for counter, arguments in enumerate(WRONG_ARGUMENTS[name], 1):
        try:
            data = signed(person(agency), fields(counter, name, arguments=arguments))
        except (ValueError, TypeError):
            continue  # no number that canonical JSON has
        send(it, data)
    assert executed(it) == 0
    assert set(refused(it)) == {"invalid"}
    assert {tuple(reply["reasons"]) for reply in replies(it)} == {("invalid",)}


def test_every_byte_of_a_command_counts(it: Camera, agency: BenchAgency) -> None:
    """Flips anywhere: in the JSON, the signature, the certificates."""
    data = signed(person(agency), fields(1))
    draw = random.Random(6)
    places = [*range(0, len(data), 37), *(draw.randrange(len(data)) for _ in range(60))]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << draw.randrange(8)
        send(it, bytes(changed), 0.25)
        assert executed(it) == 0, place
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        send(it, data[:cut], 0.25)
    send(it, data + b"\n", 0.25)
    assert executed(it) == 0
    assert set(refused(it)) <= {"malformed", "forged"}


def test_who_may_not_command(it: Camera, agency: BenchAgency) -> None:
    stranger = BenchAgency("another")
    signers = {
        "auditor": person(agency, "auditor"),
        "custodian": person(agency, "custodian"),
        "intake": person(agency, "intake"),
        "configuration": person(agency, "configuration"),
        "another agency": person(stranger),
        "the camera itself": agency.device,
        "another agency's camera": stranger.device,
    }
    for signer in signers.values():
        send(it, signed(signer, fields(1)))
    assert executed(it) == 0
    assert refused(it) == {"forged": len(signers)}
    for purpose in ("bwv assignment v2", "bwv receipt v2", "bwv command v2", ""):
        send(it, signed(person(agency), fields(1), purpose))
    assert executed(it) == 0
    assert refused(it)["malformed"] == 4
    assert replies(it) == []  # nobody of these is answered


def test_replayed_reordered_and_of_another_camera(it: Camera, agency: BenchAgency) -> None:
    desk = person(agency)
    first, second, third = (signed(desk, fields(n, "locate")) for n in (10, 20, 30))
    send(it, second)
    for data in (second, second, first, second):
        send(it, data)
    assert executed(it) == 1
    assert refused(it) == {"replayed": 4}
    assert len(replies(it)) == 1  # a replay must not fill the outbox
    send(it, third)
    assert executed(it) == 2
    send(it, signed(desk, fields(40, "locate", device="bench-camera-2")))
    assert executed(it) == 2


@pytest.mark.parametrize("seconds", [0, 0.001, 0.01, 0.3, 3])
@pytest.mark.parametrize("tear", TEARS[::3])
def test_a_command_is_carried_out_at_most_once_whatever_the_power_does(
    it: Camera, agency: BenchAgency, seconds: float, tear: Any
) -> None:
    it.disk.latency_ns = lambda operation: 3_000_000
    data = signed(person(agency), fields(5, "locate"))
    it.broker.send(TOPIC, data)
    it.run(seconds=0.002 + seconds)
    for _ in range(3):
        it.power_cut(tear)
        it.boot()
        it.run(seconds=3)
        send(it, data)
    it.shut_down()  # what was shown is kept
    shown = [item.pattern == "here I am" for item in it.shown["status light"]]
    assert sum(now and not before for before, now in pairwise([False, *shown])) <= 1
    commands = [raw for path, data in it.disk.files() if path.startswith("ledger/")
                for raw in data.splitlines() if b'"kind":"command"' in raw]  # fmt: skip
    assert len(commands) == 1


def test_the_counter_lives_as_long_as_the_ledger(it: Camera, agency: BenchAgency) -> None:
    data = signed(person(agency), fields(5, "locate"))
    send(it, data)
    for _ in range(4):
        it.shut_down()
        it.boot()
        it.run(seconds=3)
        send(it, data)
    assert executed(it) == 1
    assert it.ledger("recovery")[-1]["commands"] == 5


def test_a_camera_without_a_clock_obeys_nothing_and_says_why(
    camera: Make, agency: BenchAgency
) -> None:
    it = camera(mqtt={"broker": "bench"}, boot=False)
    it.clock.unset()
    it.boot()
    it.run(seconds=3)
    data = signed(person(agency), fields(1, "locate"))
    send(it, data)
    send(it, data)
    assert executed(it) == 0
    assert refused(it) == {"no clock": 2}
    assert [reply["reasons"] for reply in replies(it)] == [["no clock"]]


def test_a_flood_costs_little_and_the_desk_comes_through_later(
    it: Camera, agency: BenchAgency
) -> None:
    desk = person(agency)
    junk = signed(person(BenchAgency("another")), fields(1))
    for _ in range(500):
        it.broker.send(TOPIC, junk)
        it.broker.send(TOPIC, b"x" * 20_000)
    it.run(seconds=2)
    assert refused(it)["flood"] >= 970
    assert executed(it) == 0
    assert len(it.ledger("refused")) <= 3
    send(it, signed(desk, fields(1, "locate")), 3)
    assert executed(it) == 1


def test_what_is_too_long_is_not_even_read(it: Camera) -> None:
    send(it, b"{" * 16_385)
    assert refused(it) == {"oversized": 1}
    send(it, b"[" * 16_384)
    assert refused(it)["malformed"] == 1


def test_refusals_are_told_and_the_first_of_a_kind_is_written(
    it: Camera, agency: BenchAgency
) -> None:
    for _ in range(3):
        send(it, b"junk")
    lines = [line for line in it.ledger("refused") if line["event"] == "command"]
    assert [line["conditions"] for line in lines] == [["malformed"]]
    it.run(seconds=301)
    health = [json.loads(m.payload) for m in it.broker.messages if m.topic.endswith("/health")]
    assert health[-1]["refused"] == {"malformed": 3}


def test_without_a_ledger_nothing_is_carried_out(it: Camera, agency: BenchAgency) -> None:
    """What can't be written down is not done."""
    import errno

    it.disk.refuse = lambda operation: errno.EROFS
    send(it, signed(person(agency), fields(1, "locate")), 3)
    assert "here I am" not in it.sounds()
    it.disk.refuse = lambda operation: 0
    it.run(seconds=10)
    assert replies(it)[-1]["outcome"] == "failed"


def test_an_error_while_a_command_starts_a_recording_ends_the_process_as_after_a_press(
    camera: Make, agency: BenchAgency
) -> None:
    """A camera that says "recording" and is not would be worse than one that begins anew."""
    it = camera(mqtt={"broker": "bench"}, policy={"remote_start": True})
    it.run(seconds=3)
    assert it.agent is not None

    def broken(request: object) -> None:
        raise RuntimeError("a bug in the recorder")

    it.agent.parts.recorder.start = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(RuntimeError, match="a bug in the recorder"):
        send(it, signed(person(agency), fields(1, "start")))


@pytest.mark.parametrize("name", ["mark", "hold", "head", "diagnostics", "locate"])
def test_an_error_in_an_answer_ends_nothing(it: Camera, agency: BenchAgency, name: str) -> None:
    it.press_record_twice()
    it.run(seconds=3)
    assert it.agent is not None
    assert it.agent.parts.telemetry is not None

    def broken(answer: object) -> None:
        raise RuntimeError("a bug in a reply")

    it.agent.parts.telemetry.remote._reply = broken
    send(it, signed(person(agency), fields(1, name)))
    assert it.state() == "recording"
    assert executed(it) == 1
    assert [line["part"] for line in it.ledger("fault")] == ["telemetry"]


def test_nobody_can_use_the_counters_up(it: Camera, agency: BenchAgency) -> None:
    """A desk that was lied to about the counter would sign the last command ever obeyed."""
    send(it, signed(person(agency), fields(2**53 - 1, "locate")))
    send(it, signed(person(agency), fields((NOW_S + 2 * 86_400) * 1000, "locate")))
    assert refused(it) == {"ahead": 2}
    send(it, signed(person(agency), fields(NOW_S * 1000, "locate")))
    assert executed(it) == 1


def test_an_officer_survives_a_power_cut_right_after_recovery(
    it: Camera, agency: BenchAgency
) -> None:
    send(it, signed(person(agency), fields(1, "assign")))
    it.power_cut(TEARS[0])
    first = it.disk.count
    it.boot()
    it.run(seconds=3)
    operations = it.disk.count - first
    for number in range(operations):
        it.power_cut(TEARS[0])
        it.disk.cut_before = it.disk.count + number
        it.boot()
        if not it.run_until_cut(it.loop.now_ns() + 3 * 10**9):
            continue
        it.power_cut(TEARS[0])
        it.boot()
        it.run(seconds=2)
        assert it.agent is not None
        assert it.agent.parts.assignments.officer == "4711", number
