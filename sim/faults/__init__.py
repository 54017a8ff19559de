"""All faults by name: what is promised, how each strikes, how it ends."""

from sim.faults.capture import prepare_microphone
from sim.faults.schedule import Faults, swarm
from sim.faults.strike import AgentKilled, Kind, Promise
from sim.faults.table import BY_NAME, DRIFT, KINDS, LATE, LATENCY, RECOVERY, TORN, UNSET

__all__ = [
    "BY_NAME", "DRIFT", "KINDS", "LATE", "LATENCY", "RECOVERY", "TORN", "UNSET", "AgentKilled",
    "Faults", "Kind", "Promise", "prepare_microphone", "swarm",
]  # fmt: skip
