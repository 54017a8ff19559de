"""All faults by name: what is promised, how each strikes, how it ends."""

from sim.faults.capture import JITTER, jittery, prepare_capture
from sim.faults.power import clock_unset, cut_in_recovery
from sim.faults.schedule import Faults, swarm
from sim.faults.storage import slow_card
from sim.faults.strike import AgentKilled, Kind, Promise
from sim.faults.table import BY_NAME, KINDS, LATENCY, RECOVERY, TORN, UNSET

__all__ = [
    "BY_NAME", "JITTER", "KINDS", "LATENCY", "RECOVERY", "TORN", "UNSET", "AgentKilled",
    "Faults", "Kind", "Promise", "clock_unset", "cut_in_recovery", "jittery", "prepare_capture",
    "slow_card", "swarm",
]  # fmt: skip
