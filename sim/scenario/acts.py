"""The acts of a scenario: what people, machines and faults do."""

from __future__ import annotations

import errno
from collections.abc import Callable

from bwv_device.settings import MIB
from hal.ports import SECOND_NS
from hal.simulated.disk import Fault, Operation
from sim.scenario.language import Phrase, phrase
from sim.scenario.stage import Stage

FOR_EVER = 1 << 60


def _later(camera: Stage, span: float, callback: Callable[[], None]) -> None:
    loop = camera.world.loop
    loop.call_at(loop.now_ns() + round(span * SECOND_NS), callback)


def _stalls(device: str) -> Callable[[Stage, float], None]:
    def stall(camera: Stage, span: float) -> None:
        part = getattr(camera.world, device)
        part.stalled = True
        camera.world.happened(f"the {device} delivers nothing for {span:g} s")
        _later(camera, span, lambda: setattr(part, "stalled", False))

    return stall


def _device(device: str, *, stalled: bool) -> Callable[[Stage], None]:
    def switch(camera: Stage) -> None:
        part = getattr(camera.world, device)
        assert part
        part.stalled = stalled
        camera.world.happened(f"the {device} delivers {'nothing' if stalled else 'again'}")

    return switch


PINS = {
    "front light": ("front_light",),
    "status light": ("status_green", "status_red"),
    "beeper": ("beeper",),
    "vibration": ("vibration",),
}


def _output_fails(camera: Stage, output: str, span: float) -> None:
    panel = camera.world.panel
    assert panel
    camera.world.happened(f"the {output} can't be driven for {span:g} s")
    for pin in PINS[output]:
        panel.break_output(pin)

    def repair() -> None:
        for pin in PINS[output]:
            panel.repair_output(pin)

    _later(camera, span, repair)


def _output(camera: Stage, output: str, *, works: bool) -> None:
    panel = camera.world.panel
    assert panel
    camera.world.happened(f"the {output} {'works again' if works else 'can not be driven'}")
    for pin in PINS[output]:
        (panel.repair_output if works else panel.break_output)(pin)


def _disk_fails(camera: Stage, error: str, span: float | None = None) -> None:
    disk, code = camera.world.disk, getattr(errno, error)
    camera.world.happened(f"the disk fails with {error}")
    fault = Fault(disk.count, code, 1 if span is None else FOR_EVER)
    disk.faults.append(fault)

    def repair() -> None:
        if fault in disk.faults:
            disk.faults.remove(fault)

    if span is not None:
        _later(camera, span, repair)


def _room_left(camera: Stage, number: int) -> None:
    disk = camera.world.disk
    camera.world.happened(f"{number} MiB are left on the disk")
    disk.capacity_bytes += number * MIB - disk.free_bytes()


def _syncs_take(camera: Stage, each: float, span: float) -> None:
    disk, before = camera.world.disk, camera.world.disk.latency_ns

    def latency_ns(operation: Operation) -> int:
        return round(each * SECOND_NS) if operation.verb == "sync" else 0

    disk.latency_ns = latency_ns
    camera.world.happened(f"each sync takes {each:g} s, for {span:g} s")
    _later(camera, span, lambda: setattr(disk, "latency_ns", before))


def _disk_refuses(camera: Stage, error: str) -> None:
    code = getattr(errno, error)
    camera.world.happened(f"every operation of the disk fails with {error}")
    camera.world.disk.refuse = lambda operation: code


def _disk_works(camera: Stage) -> None:
    disk = camera.world.disk
    camera.world.happened("the disk works, is fast, and has room")
    disk.refuse = lambda operation: 0
    disk.latency_ns = lambda operation: 0
    disk.faults.clear()
    disk.capacity_bytes = max(disk.capacity_bytes, camera.room_bytes)


def _battery(camera: Stage, number: int) -> None:
    camera.world.happened(f"the battery is at {number} %")
    camera.world.power.set(number)


def _undervoltage(camera: Stage, span: float) -> None:
    power = camera.world.power
    power.undervoltage = True
    _later(camera, span, lambda: setattr(power, "undervoltage", False))


def _undervolted(camera: Stage, *, low: bool) -> None:
    camera.world.happened("undervoltage" if low else "the voltage is right again")
    camera.world.power.undervoltage = low


def _temperature(camera: Stage, number: int) -> None:
    camera.world.happened(f"the board is at {number} degrees")
    camera.world.power.board_c = number


def _clock_unset(camera: Stage) -> None:
    camera.world.happened("nobody has set the clock")
    camera.world.clock.unset()


def _clock_steps(camera: Stage, span: float) -> None:
    camera.world.happened(f"the clock steps by {span:g} s")
    camera.world.clock.step(round(span * SECOND_NS))


def _clock_set(camera: Stage, span: float) -> None:
    camera.world.happened("the time service sets the clock")
    camera.world.clock.set(0, round(span * SECOND_NS), "ntp")


def _no_network(camera: Stage, span: float) -> None:
    mqtt, uplink = camera.world.broker, camera.world.uplink
    mqtt.reachable, uplink.broken = False, "the network is unreachable"
    camera.world.happened(f"there is no network for {span:g} s")

    def back() -> None:
        mqtt.reachable, uplink.broken = True, ""

    _later(camera, span, back)


def _network(camera: Stage, *, there: bool) -> None:
    camera.world.happened("the network is back" if there else "there is no network")
    camera.world.broker.reachable = there
    camera.world.uplink.broken = "" if there else "the network is unreachable"
    if not there:
        camera.world.broker.cut()


ACTS: list[Phrase] = [
    phrase("boot", "switches the camera on", Stage.boot),
    phrase("switch off", "in order", Stage.switch_off),
    phrase("switch off begins", "in order; the world goes on meanwhile",
           Stage.begin_to_switch_off),
    phrase("power cut within the next {verb}", "in the middle of a disk operation",
           lambda camera, verb: camera.power_cut_in_next(verb)),
    phrase("power cut", "the power goes now; half of what was not synced survives",
           Stage.power_cut),
    phrase("kill the agent", "the process ends, the kernel lives on", Stage.kill),
    phrase("press {button} {times}", "as a hand does",
           lambda camera, button, times: camera.press(button, times)),
    phrase("hold {button}[ for {span}]", "long enough to stop, or to flag; or so long",
           lambda camera, button, span=None: camera.hold(button, span)),
    phrase("{button} goes down", "a finger's edge", lambda camera, button:
           camera.move(button, pressed=True)),
    phrase("{button} comes up", "and its other one", lambda camera, button:
           camera.move(button, pressed=False)),
    phrase("dock", "into the dock", Stage.dock),
    phrase("undock", "out of the dock", Stage.undock),
    phrase("camera stalls for {span}", "no pictures, and no error", _stalls("camera")),
    phrase("microphone is unplugged for {span}", "no sound", _stalls("microphone")),
    phrase("camera stalls", "until it delivers again", _device("camera", stalled=True)),
    phrase("camera delivers again", "pictures come", _device("camera", stalled=False)),
    phrase("microphone is unplugged", "until it is plugged in",
           _device("microphone", stalled=True)),
    phrase("microphone is plugged in", "sound comes", _device("microphone", stalled=False)),
    phrase("{output} fails", "until it is repaired",
           lambda camera, output: _output(camera, output, works=False)),
    phrase("{output} is repaired", "can be driven again",
           lambda camera, output: _output(camera, output, works=True)),
    phrase("{output} fails for {span}", "can't be driven", _output_fails),
    phrase("disk fails with {error}[ for {span}]", "the next operation, or all for so long",
           _disk_fails),
    phrase("disk refuses everything with {error}", "until it works again", _disk_refuses),
    phrase("disk works again", "is fast, and has room again", _disk_works),
    phrase("disk has {number} MiB left", "something else filled it", _room_left),
    phrase("syncs take {span:each} for {span}", "a card that cleans up", _syncs_take),
    phrase("battery is at {number} percent", "without a charger", _battery),
    phrase("undervoltage", "until it is over", lambda camera: _undervolted(camera, low=True)),
    phrase("undervoltage is over", "", lambda camera: _undervolted(camera, low=False)),
    phrase("board is at {number} degrees", "its temperature", _temperature),
    phrase("undervoltage for {span}", "the board gets too little", _undervoltage),
    phrase("clock is not set", "it runs from 1970 on and knows nothing", _clock_unset),
    phrase("clock steps by {span}", "somebody sets it wrong", _clock_steps),
    phrase("clock is set to within {span}", "by a time service", _clock_set),
    phrase("no network", "until it is back", lambda camera: _network(camera, there=False)),
    phrase("network is back", "", lambda camera: _network(camera, there=True)),
    phrase("fault {fault}[ for {span}]", "strikes now, as it does in drawn shifts (faults.md)",
           lambda camera, fault, span=None: camera.strike(fault, span)),
    phrase("fault {fault} is over", "whatever it had drawn",
           lambda camera, fault: camera.end_fault(fault)),
    phrase("no network for {span}", "neither telemetry nor store", _no_network),
]  # fmt: skip
