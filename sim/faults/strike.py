"""What a fault is: a name, a promise, and how it strikes."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from sim.random_streams import Draws
from sim.world.observations import Witness
from sim.world.officer import Officer
from sim.world.world import World


class Promise(enum.Enum):
    """What the product promises under a fault."""

    SURVIVED = "survived"  # every promise holds
    DETECTED = "detected"  # something may be lost; the verifiers must say so


class Strike(NamedTuple):
    """What a fault may touch when it strikes."""

    world: World
    officer: Officer
    witness: Witness
    draws: Draws


Repair = Callable[[], None]
Struck = tuple[int, Repair]  # how long it lasts in nanoseconds, and what ends it


class Kind(NamedTuple):
    """A fault. `strike` is None where it is no event but a way in which other things happen."""

    name: str
    what: str
    mean_s: int
    strike: Callable[[Strike], Struck | None] | None
    promise: Promise = Promise.SURVIVED


class AgentKilled(BaseException):
    """The process ends at once; the kernel and its page cache live on."""


def over() -> None:
    """Nothing to put right."""
