"""Hours without a broker, in a drawn shift, judged by the oracle: recording untouched, the outbox
within its limits, everything drained in order after the return."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hal.ports import SECOND_NS, OutboxFill
from sim.shifts.drawn_shift import Shift, Simulation

BEFORE_S, AFTER_S = 60, 900
LOOK_S = 60


@dataclass
class Outage:
    """What came of it. `busiest_per_s`: messages of the camera in the worst second after."""

    hours: float
    failures: list[str] = field(default_factory=list)
    most: OutboxFill = field(default=OutboxFill(0, 0, 0))
    events: int = 0
    drained_s: int = 0
    busiest_per_s: int = 0
    recordings: int = 0


def outage(seed: int, hours: float) -> Outage:
    """No other faults: what is lost is telemetry's."""
    came = Outage(hours)
    outage_s = round(hours * 3600)
    shift = Shift(seed, BEFORE_S + outage_s + AFTER_S, ())
    simulation = Simulation(shift, lambda at_ns, text: None)
    world = simulation.world
    simulation.start()
    simulation.go_on(BEFORE_S * SECOND_NS)
    world.broker.refuses = "the broker is away"
    world.broker.cut()
    for _ in range(outage_s // LOOK_S):
        simulation.go_on(LOOK_S * SECOND_NS)
        came.most = max(came.most, world.waiting.fill())
    back_ns = world.loop.now_ns()
    before = len(world.broker.messages)
    world.broker.refuses = ""
    for second in range(AFTER_S):
        simulation.go_on(SECOND_NS)
        if not came.drained_s and world.waiting.fill().rows <= 2 and world.broker.messages[before:]:
            came.drained_s = second + 1
    played = simulation.finish()
    limits = world.settings.mqtt
    sent = [m for m in world.broker.messages if m.at_ns >= back_ns]
    seconds = Counter(m.at_ns // SECOND_NS for m in sent)
    came.events = sum(m.topic.endswith("/event") for m in sent)
    came.busiest_per_s = max(seconds.values(), default=0)
    came.recordings = played.counts["recordings"]
    came.failures += [str(finding) for finding in played.findings]
    if came.most.rows > limits.outbox_messages or came.most.size_bytes > limits.outbox_kib << 10:
        came.failures.append(f"the outbox grew beyond its limits: {came.most}")
    if came.most.dropped:
        came.failures.append(f"{came.most.dropped} messages were dropped")
    if not came.drained_s:
        came.failures.append(f"not drained in {AFTER_S} s: {world.waiting.fill()}")
    # What may be saved up is one window, and each connection begins with a greeting.
    if came.busiest_per_s > limits.drain_per_s + 20:
        came.failures.append(f"{came.busiest_per_s} messages in one second")
    return came
