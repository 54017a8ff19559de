"""The acts of a scenario: what people, machines and faults do."""

from __future__ import annotations

import errno
from collections.abc import Callable

from bwv_device.settings import MIB
from hal.ports import SECOND_NS
from hal.simulated.disk import Fault, Operation
from sim.scenario.language import Phrase, phrase
from sim.world.camera_handle import Camera

FOR_EVER = 1 << 60


def _later(camera: Camera, span: float, callback: Callable[[], None]) -> None:
    loop = camera.world.loop
    loop.call_at(loop.now_ns() + round(span * SECOND_NS), callback)


def _stalls(device: str) -> Callable[[Camera, float], None]:
    def stall(camera: Camera, span: float) -> None:
        part = getattr(camera.world, device)
        part.stalled = True
        camera.world.happened(f"the {device} delivers nothing for {span:g} s")
        _later(camera, span, lambda: setattr(part, "stalled", False))

    return stall


PINS = {
    "front light": ("front_light",),
    "status light": ("status_green", "status_red"),
    "beeper": ("beeper",),
    "vibration": ("vibration",),
}


def _output_fails(camera: Camera, output: str, span: float) -> None:
    panel = camera.world.panel
    assert panel
    camera.world.happened(f"the {output} can't be driven for {span:g} s")
    for pin in PINS[output]:
        panel.break_output(pin)

    def repair() -> None:
        for pin in PINS[output]:
            panel.repair_output(pin)

    _later(camera, span, repair)


def _disk_fails(camera: Camera, error: str, span: float | None = None) -> None:
    disk, code = camera.world.disk, getattr(errno, error)
    camera.world.happened(f"the disk fails with {error}")
    fault = Fault(disk.count, code, 1 if span is None else FOR_EVER)
    disk.faults.append(fault)

    def repair() -> None:
        if fault in disk.faults:
            disk.faults.remove(fault)

    if span is not None:
        _later(camera, span, repair)


def _room_left(camera: Camera, number: int) -> None:
    disk = camera.world.disk
    camera.world.happened(f"{number} MiB are left on the disk")
    disk.capacity_bytes += number * MIB - disk.free_bytes()


def _syncs_take(camera: Camera, each: float, span: float) -> None:
    disk, before = camera.world.disk, camera.world.disk.latency_ns

    def latency_ns(operation: Operation) -> int:
        return round(each * SECOND_NS) if operation.verb == "sync" else 0

    disk.latency_ns = latency_ns
    camera.world.happened(f"each sync takes {each:g} s, for {span:g} s")
    _later(camera, span, lambda: setattr(disk, "latency_ns", before))


def _battery(camera: Camera, number: int) -> None:
    camera.world.happened(f"the battery is at {number} %")
    camera.world.power.set(number)


def _undervoltage(camera: Camera, span: float) -> None:
    power = camera.world.power
    power.undervoltage = True
    _later(camera, span, lambda: setattr(power, "undervoltage", False))


def _clock_unset(camera: Camera) -> None:
    camera.world.happened("nobody has set the clock")
    camera.world.clock.unset()


def _clock_steps(camera: Camera, span: float) -> None:
    camera.world.happened(f"the clock steps by {span:g} s")
    camera.world.clock.step(round(span * SECOND_NS))


def _clock_set(camera: Camera, span: float) -> None:
    camera.world.happened("the time service sets the clock")
    camera.world.clock.set(0, round(span * SECOND_NS), "ntp")


def _no_network(camera: Camera, span: float) -> None:
    mqtt, uplink = camera.world.broker, camera.world.uplink
    mqtt.reachable, uplink.broken = False, "the network is unreachable"
    camera.world.happened(f"there is no network for {span:g} s")

    def back() -> None:
        mqtt.reachable, uplink.broken = True, ""

    _later(camera, span, back)


ACTS: list[Phrase] = [
    phrase("boot", "switches the camera on", Camera.boot),
    phrase("switch off", "in order", Camera.switch_off),
    phrase("power cut within the next {verb}", "in the middle of a disk operation",
           lambda camera, verb: camera.power_cut_in_next(verb)),
    phrase("power cut", "the power goes now; half of what was not synced survives",
           Camera.power_cut),
    phrase("kill the agent", "the process ends, the kernel lives on", Camera.kill),
    phrase("press {button} {times}", "as a hand does",
           lambda camera, button, times: camera.press(button, times)),
    phrase("hold {button}[ for {span}]", "long enough to stop, or to flag; or so long",
           lambda camera, button, span=None: camera.hold(button, span)),
    phrase("dock", "into the dock", Camera.dock),
    phrase("undock", "out of the dock", Camera.undock),
    phrase("camera stalls for {span}", "no pictures, and no error", _stalls("camera")),
    phrase("microphone is unplugged for {span}", "no sound", _stalls("microphone")),
    phrase("{output} fails for {span}", "can't be driven", _output_fails),
    phrase("disk fails with {error}[ for {span}]", "the next operation, or all for so long",
           _disk_fails),
    phrase("disk has {number} MiB left", "something else filled it", _room_left),
    phrase("syncs take {span:each} for {span}", "a card that cleans up", _syncs_take),
    phrase("battery is at {number} percent", "without a charger", _battery),
    phrase("undervoltage for {span}", "the board gets too little", _undervoltage),
    phrase("clock is not set", "it runs from 1970 on and knows nothing", _clock_unset),
    phrase("clock steps by {span}", "somebody sets it wrong", _clock_steps),
    phrase("clock is set to within {span}", "by a time service", _clock_set),
    phrase("no network for {span}", "neither telemetry nor store", _no_network),
]  # fmt: skip
