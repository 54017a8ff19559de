"""What can go wrong in an agency's months, each by itself; `docs/faults.md` has the table."""

from __future__ import annotations

from typing import NamedTuple

CUT_IN_DOCK, CUT_WHILE_RECORDING = "power-cut-in-dock", "power-cut-while-recording"
TAKEN_OUT = "taken-out-early"
DRAWER, LONG_DRAWER = "in-a-drawer", "long-in-a-drawer"
BAD_LINE, STORE_AWAY, REPLICA_AWAY = "bad-line", "store-away", "replica-away"
WORKER_DIES, EXPIRY_SKIPPED, NO_LOCKS = "worker-dies", "expiry-skipped", "store-without-locks"
CLOCK_UNSET, CLOCK_UNSURE = "camera-clock-unset", "camera-clock-unsure"
CUSTODY_STEPS = "custody-clock-steps"
GIVEN_UP, CARD_LOST = "docking-given-up", "card-lost"
SET_BACK, CUSTODY_WRONG = "store-set-back", "custody-clock-wrong"
WITNESS_AWAY, LOST_OBJECT = "witness-away", "store-loses-a-file"


class Trouble(NamedTuple):
    """`swarm`: may be drawn with others."""

    name: str
    what: str
    swarm: bool = True


TROUBLES = (
    Trouble(CUT_IN_DOCK, "the power goes before a disk operation of a docked camera"),
    Trouble(CUT_WHILE_RECORDING, "the power goes within a recording"),
    Trouble(TAKEN_OUT, "a camera is taken out of the dock within its first 20 s there"),
    Trouble(DRAWER, "a camera with footage lies in a drawer for 2 to 20 days"),
    Trouble(BAD_LINE, "requests are lost, corrupted, answered wrongly or not at all, until night"),
    Trouble(STORE_AWAY, "the store does not answer for a docking, a run of deletion, or a person"),
    Trouble(REPLICA_AWAY, "the same of a replica"),
    Trouble(WORKER_DIES, "a process of custody is killed at any operation of its store"),
    Trouble(EXPIRY_SKIPPED, "the service of deletion does not run for 1 to 5 days"),
    Trouble(NO_LOCKS, "the store protects nothing by itself"),
    Trouble(CLOCK_UNSET, "cameras that do not know the time"),
    Trouble(CLOCK_UNSURE, "cameras whose clock is off by up to 20 hours, and say so"),
    Trouble(CUSTODY_STEPS, "custody's clock steps by up to ten minutes, each day"),
    Trouble(LONG_DRAWER, "a camera with footage lies in a drawer for 24 to 50 days"),
    Trouble(
        GIVEN_UP,
        "a camera is taken out between two files of a recording, into a drawer for 30 to 50 days",
    ),
    Trouble(CARD_LOST, "the same, and the card is never seen again"),
    Trouble(WITNESS_AWAY, "the witness does not answer for 1 to 4 nights"),
    Trouble(CUSTODY_WRONG, "custody's clock is 2 to 20 days ahead for a night"),
    Trouble(LOST_OBJECT, "the store loses a file that it had received, for good"),
    Trouble(SET_BACK, "the store is restored from a backup of 1 to 5 days ago", swarm=False),
)
NAMES = tuple(trouble.name for trouble in TROUBLES)
DRAWN = tuple(trouble.name for trouble in TROUBLES if trouble.swarm)
