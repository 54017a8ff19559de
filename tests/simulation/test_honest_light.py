"""The light says "recording" only while footage reaches storage; else it and the alarm say so."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from support.camera_bench import Camera

from hal.ports import SECOND_NS
from hal.simulated.disk import Fault

STEP_NS = SECOND_NS // 20
HONEST_NS = 2 * SECOND_NS
FOR_EVER = 1 << 60


def stall_camera(it: Camera) -> None:
    it.camera.stalled = True


def stall_everything(it: Camera) -> None:
    it.camera.stalled = it.microphone.stalled = True


def fail_disk(code: int) -> Callable[[Camera], None]:
    def fail(it: Camera) -> None:
        it.disk.faults.append(Fault(it.disk.count, code, FOR_EVER))

    return fail


def fill_disk(it: Camera) -> None:
    it.disk.capacity_bytes = sum(len(data) for _, data in it.disk.files()) + 300_000


def hang_disk(it: Camera) -> None:
    it.disk.latency_ns = lambda operation: 20 * SECOND_NS if operation.verb == "sync" else 0


def overflow(it: Camera) -> None:
    it.disk.latency_ns = lambda operation: 4 * SECOND_NS if operation.verb == "sync" else 0


def drop_pictures(it: Camera) -> None:
    it.camera.disturb = lambda batch: []


def hang_agent(it: Camera) -> None:
    """The process stops turning; lights and pins go on by themselves."""
    it.agent_loop.end()


FAULTS = {
    "camera stalls": stall_camera,
    "camera and microphone stall": stall_everything,
    "camera delivers empty batches": drop_pictures,
    "input/output error": fail_disk(errno.EIO),
    "read-only": fail_disk(errno.EROFS),
    "no space": fail_disk(errno.ENOSPC),
    "the card is full": fill_disk,
    "the disk hangs": hang_disk,
    "the disk is too slow": overflow,
    "the agent hangs": hang_agent,
}


def footage_durable(it: Camera) -> int:
    return sum(len(data) for path, data in it.disk.durable_files() if path.startswith("footage/"))


def dishonest_ns(it: Camera, duration_ns: int, changed_ns: int) -> int:
    """The longest that the light said "recording" after footage stopped getting durable."""
    worst, durable = 0, footage_durable(it)
    for _ in range(duration_ns // STEP_NS):
        it.run(STEP_NS)
        now_ns = it.loop.now_ns()
        if footage_durable(it) != durable:
            durable, changed_ns = footage_durable(it), now_ns
        if it.light() == "recording":
            worst = max(worst, now_ns - changed_ns)
    return worst


@pytest.mark.parametrize("name", FAULTS)
def test_the_light_is_never_wrong_for_more_than_two_seconds(
    camera: Callable[..., Camera], name: str
) -> None:
    it = camera(recording={"pre_event_s": 5, "queue_limit_mib": 4})
    it.run(seconds=8)
    it.press_record_twice()
    pressed_ns = it.loop.now_ns()
    assert dishonest_ns(it, 6 * SECOND_NS, pressed_ns) <= HONEST_NS
    assert it.light() == "recording"

    FAULTS[name](it)
    assert dishonest_ns(it, 15 * SECOND_NS, it.loop.now_ns()) <= HONEST_NS + STEP_NS

    assert it.light() in ("capturing, not stored", "recording"), "never dark while it captures"
    if name != "the disk is too slow":
        assert it.light() == "capturing, not stored"
        assert it.panel.history["beeper"][-1].pattern == "not stored"


def test_a_light_that_ignores_the_lease_is_caught(camera: Callable[..., Camera]) -> None:
    """Negative control: the same measure on a player that never ends a lease."""
    it = camera(recording={"pre_event_s": 5})
    it.run(seconds=8)
    it.panel.panel.front_light._lease_over = lambda: None
    it.press_record_twice()
    it.run(seconds=3)
    stall_everything(it)
    assert dishonest_ns(it, 10 * SECOND_NS, it.loop.now_ns()) > HONEST_NS + STEP_NS


def test_the_light_recovers_with_the_disk(camera: Callable[..., Camera]) -> None:
    it = camera(recording={"pre_event_s": 5})
    it.run(seconds=8)
    it.press_record_twice()
    it.run(seconds=5)
    it.disk.faults.append(Fault(it.disk.count, errno.EIO, FOR_EVER))
    it.run(seconds=6)
    assert it.light() == "capturing, not stored"
    it.disk.faults.clear()
    it.run(seconds=5)
    assert it.light() == "recording"
    said = [line["light"] for line in it.ledger("cue") if "light" in line]
    assert said == ["recording", "capturing, not stored", "recording"]


def test_press_to_light_and_open_within_200_ms(camera: Callable[..., Camera]) -> None:
    it = camera(recording={"pre_event_s": 30})
    it.disk.latency_ns = lambda operation: 10_000_000
    it.run(seconds=40)
    it.press("record", times=2)
    pressed_ns = it.transitions[-1].at_ns
    it.run(pressed_ns + 200_000_000 - it.loop.now_ns())
    assert it.light() == "recording"
    assert [line["t"] - pressed_ns <= 200_000_000 for line in it.ledger("open")] == [True]
