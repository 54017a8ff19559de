"""Faults of the card: errors, a full card, slowness, lying syncs, decay."""

from __future__ import annotations

import errno
from collections.abc import Callable

from hal.ports import SECOND_NS
from hal.simulated.disk import Fault, Operation, PowerCut
from sim.faults.strike import Strike, Struck, over
from sim.random_streams import Draws
from sim.world.world import World

# Longer than any shift: only the calm at its end repairs it.
FOR_GOOD_NS = 100 * 3600 * SECOND_NS


def disk_error(error: int, *, short: bool = False) -> Callable[[Strike], Struck]:
    """One of the next operations fails, and perhaps some after it."""

    def strike(on: Strike) -> Struck:
        disk, draws = on.world.disk, on.draws
        times = draws.pick((1, 1, 2, 3, 10))
        fault = Fault(disk.count + draws.below(40), error, times, short)
        disk.faults.append(fault)

        def repair() -> None:
            if fault in disk.faults:
                disk.faults.remove(fault)

        return draws.spread(5, 30) * SECOND_NS, repair

    return strike


def read_only(strike: Strike) -> Struck:
    """The kernel remounts the card read-only, for some time."""
    return strike.draws.spread(1, 120) * SECOND_NS, _refuses(strike, lambda operation: errno.EROFS)


def read_only_for_good(strike: Strike) -> Struck:
    """The same, and nobody mounts it anew: it lasts for the rest of the shift."""
    return FOR_GOOD_NS, _refuses(strike, lambda operation: errno.EROFS)


def files_refused(strike: Strike) -> Struck:
    """No new footage file: quota, a damaged folder, names used up. What exists can be written. For
    a while, or for the rest of the shift."""
    error = strike.draws.pick((errno.EDQUOT, errno.ENOSPC, errno.EUCLEAN))
    lasts_ns = strike.draws.pick((5, 60, 600)) * SECOND_NS

    def refuse(operation: Operation) -> int:
        return error if operation.verb == "create" and _is_footage(operation) else 0

    return strike.draws.pick((lasts_ns, lasts_ns, FOR_GOOD_NS)), _refuses(strike, refuse)


def folder_damaged(strike: Strike) -> Struck:
    """Names in one folder, of footage or of ledgers, can't be changed; bytes can be written."""
    footage = strike.draws.chance(500)

    def refuse(operation: Operation) -> int:
        renames = operation.verb in ("create", "rename", "remove")
        return errno.EUCLEAN if renames and _is_footage(operation) is footage else 0

    return strike.draws.spread(5, 600) * SECOND_NS, _refuses(strike, refuse)


def inodes_used_up(strike: Strike) -> Struck:
    """Something else takes nearly all files that there may be, and gives them back."""
    disk = strike.world.disk
    disk.file_limit = len(disk.lengths()) + strike.draws.pick((0, 1, 5, 33))
    return strike.draws.spread(10, 300) * SECOND_NS, lambda: setattr(disk, "file_limit", None)


def _is_footage(operation: Operation) -> bool:
    return operation.path.startswith("footage/")


def _refuses(strike: Strike, rule: Callable[[Operation], int]) -> Callable[[], None]:
    """The disk refuses by this rule, until what is returned is called."""
    disk = strike.world.disk
    disk.refusals.append(rule)

    def repair() -> None:
        disk.refusals.remove(rule)

    return repair


def slow_sync(strike: Strike) -> Struck:
    """Some syncs take up to ten seconds, as on a card that cleans up."""
    disk, draws = strike.world.disk, strike.draws
    longest_ms = draws.spread(50, 10_000)
    before = disk.latency_ns

    def latency_ns(operation: Operation) -> int:
        slow = operation.verb == "sync" and draws.chance(300)
        return draws.between(1, longest_ms) * 1_000_000 if slow else before(operation)

    disk.latency_ns = latency_ns
    return draws.spread(2, 100) * SECOND_NS, lambda: setattr(disk, "latency_ns", before)


def full(strike: Strike) -> Struck:
    """Something else fills the card, and goes away."""
    disk, before = strike.world.disk, strike.world.disk.capacity_bytes
    reserve = strike.world.settings.storage.reserve_mib << 20
    room = strike.draws.pick((0, 1000, 300_000, reserve, reserve + 3_000_000))
    disk.capacity_bytes = before - disk.free_bytes() + room
    return strike.draws.spread(10, 90) * SECOND_NS, lambda: setattr(disk, "capacity_bytes", before)


def lying_sync(strike: Strike) -> Struck:
    """The card says that it stored, and did not; the power goes before it does."""
    disk = strike.world.disk
    disk.lies = True

    def repair() -> None:
        disk.lies = False
        if strike.world.agent:
            raise PowerCut

    return strike.draws.spread(2, 30) * SECOND_NS, repair


def erased_block(strike: Strike) -> Struck | None:
    """A block that was synced reads as zeros."""
    disk, draws = strike.world.disk, strike.draws
    lengths = disk.durable_lengths()
    files = [path for path in sorted(lengths) if lengths[path] > 1]
    if not files:
        return None
    path = draws.pick(files)
    length = min(draws.spread(512, 128 << 10), lengths[path])
    disk.erase(path, draws.below(lengths[path] - length + 1), length)
    return 0, over


def slow_card(world: World, draws: Draws) -> None:
    """From now on every operation takes its time."""
    base_ns = {verb: draws.spread(100_000, 20_000_000) for verb in ("append", "sync", "create")}
    jitter = draws.stream("jitter")

    def latency_ns(operation: Operation) -> int:
        longest_ns = base_ns.get(operation.verb, 1_000_000)
        return jitter.between(longest_ns // 10, longest_ns)

    world.disk.latency_ns = latency_ns
