"""Cameras and microphones: what every backend owes its sink."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from bwv_device.formats.media.h264 import split_keyframe
from hal.ports import SECOND_NS, AccessUnit, CaptureLoss, Impairment, Opened, Stuck, Track
from hal.simulated.capture import SimulatedCamera, SimulatedMicrophone, StubAudio, StubVideo
from sim.world.virtual_loop import VirtualLoop

BATCH_NS = SECOND_NS // 4


class Sink:
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.batches: list[tuple[int, list[AccessUnit]]] = []
        self.losses: list[CaptureLoss] = []
        self.impairments: list[Impairment] = []

    def units(self, batch: Sequence[AccessUnit]) -> None:
        self.batches.append((self._loop.now_ns(), list(batch)))

    def lost(self, loss: CaptureLoss) -> None:
        self.losses.append(loss)

    def impaired(self, impairment: Impairment) -> None:
        self.impairments.append(impairment)

    def opened(self, opened: Opened) -> None:
        raise AssertionError(opened)

    def stuck(self, stuck: Stuck) -> None:
        raise AssertionError(stuck)

    @property
    def all(self) -> list[AccessUnit]:
        return [unit for _, batch in self.batches for unit in batch]


@pytest.fixture(params=["camera", "microphone"])
def device(request: pytest.FixtureRequest) -> tuple[VirtualLoop, object, Track]:
    loop = VirtualLoop(3_300_000_000)
    if request.param == "camera":
        return loop, SimulatedCamera(loop, StubVideo(), BATCH_NS), Track.VIDEO
    return loop, SimulatedMicrophone(loop, StubAudio(), BATCH_NS), Track.AUDIO


def test_units_follow_each_other_without_holes(device: tuple) -> None:
    loop, it, track = device
    sink = Sink(loop)
    it.start(sink)
    loop.run_until(9 * SECOND_NS)
    assert {unit.track for unit in sink.all} == {track}
    assert all(b.pts_ns == a.end_ns for a, b in pairwise(sink.all))


def test_units_come_in_batches_soon_after_their_capture(device: tuple) -> None:
    loop, it, _ = device
    sink = Sink(loop)
    it.start(sink)
    loop.run_until(9 * SECOND_NS)
    for at_ns, batch in sink.batches:
        assert batch[-1].end_ns <= at_ns
        assert at_ns - batch[0].pts_ns <= 2 * BATCH_NS
    assert len(sink.batches) <= 4 * 6


def test_nothing_comes_after_stop_and_it_starts_again(device: tuple) -> None:
    loop, it, _ = device
    sink = Sink(loop)
    it.start(sink)
    loop.run_until(6 * SECOND_NS)
    it.stop()
    count = len(sink.all)
    loop.run_until(8 * SECOND_NS)
    assert len(sink.all) == count
    it.start(sink)
    loop.run_until(11 * SECOND_NS)
    again = sink.all[count:]
    assert again[0].pts_ns >= 8 * SECOND_NS
    assert all(b.pts_ns == a.end_ns for a, b in pairwise(again))


def test_losses_are_told(device: tuple) -> None:
    loop, it, track = device
    sink = Sink(loop)
    it.start(sink)
    it.lose(CaptureLoss(track, 3, "overflow"))
    assert sink.losses == [CaptureLoss(track, 3, "overflow")]


def test_a_camera_starts_with_a_keyframe_that_carries_its_parameter_sets() -> None:
    loop = VirtualLoop(3_300_000_000)
    it, sink = SimulatedCamera(loop, StubVideo(), BATCH_NS), Sink(loop)
    it.start(sink)
    loop.run_until(7 * SECOND_NS)
    keys = [unit for unit in sink.all if unit.keyframe]
    assert sink.all[0].keyframe
    assert [b.pts_ns - a.pts_ns for a, b in pairwise(keys)] == [SECOND_NS] * (len(keys) - 1)
    assert all(split_keyframe(unit.data)[0] for unit in keys)
