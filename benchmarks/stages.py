"""The stages of a campaign, cut into slices that run by themselves."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks import floods, fuzz, planted, planted_by_test, soak, syscalls
from benchmarks.ext4 import cuts as ext4
from benchmarks.mutants import covering, progress, verdicts
from benchmarks.mutants.modules import DRAWN, MODULES, SEED
from bwv_device.custody.holdings import completeness
from sim.commands.fleet import said
from sim.custody import months
from sim.fleet import load_test
from sim.fleet.camera_process import Orders
from sim.shifts.drawn_shift import Shift, play
from sim.sweeps import (
    bit_flips,
    custody_forgeries,
    drawn_updates,
    foreign_witness,
    key_desk_cuts,
    power_cuts,
    s3_kills,
)
from sim.sweeps import docking_cuts as dockings
from sim.sweeps.broker_outages import outage
from sim.sweeps.package_mutations import PackageMutations
from sim.sweeps.signed_mutations import SignedMutations
from sim.sweeps.video_mutations import VideoMutations
from sim.sweeps.wanting_store import wanting_store
from sim.world.test_keys import BenchAgency

BITRATES = (300_000, 1_000_000, 4_000_000, 8_000_000)
BOUND_MS = 1200
SHIFT_S = 1800
MEMORY = Path("/dev/shm")  # a file system in memory, where there is one
PATCHES = tuple(path.stem for path in sorted(planted.PATCHES.glob("*.patch")))

EXPLAINED = """\
**Power cuts**: a point is a disk operation of a short life (two recordings, a still, a marker) and
what the cut leaves of what was not synced. Of "all alike" every point is tried: bytes none, part,
all or zeros; names with or without. "Drawn" gives every file and every name a fate of its own, of
all that are legal. After each cut the camera boots, recovers, stops; the vault must verify,
everything acknowledged must be there, every picture must be the camera's, and none missing in the
middle. **ext4**: the same life on a real ext4 with journal; each write is logged, and any prefix of
the log replayed, with what followed the last flush whole, in a random subset, or torn. **Signed
mutations**: a vault by somebody who has every key: fields, lines, receipts, certificates and
signers are changed, and signed anew. Both verifiers judge it and must agree, on the vault and on
each file; nothing that no camera signed may be whole. **Packages**: what was disclosed is changed
by a stranger, or by an officer who signs it anew, up to four changes one on top of the other; the
command, `verify.py` and the page must give one answer, and nothing a stranger changed is genuine.
**Dockings**: a camera with footage is docked; the power is cut at a disk operation, within one, at
a request, or before its answer, or a worker of custody is killed; under slice 0 over an honest
line, else over one that loses, delays, corrupts, lies, refuses. In the end all is delivered,
nothing was removed that the store did not hold with a receipt, and both verifiers find the vault
whole. **Updates**: releases that are good, blind, unsigned or unseen, over lines that lose, with
power cuts anywhere; a whole system that the agency released starts, no bad one is kept, and the
vault verifies. **Killed**: dockings over a real SeaweedFS that is killed at drawn requests, and
workers with it; nothing is lost, and nothing recorded twice. **System calls**: the kernel's answer
to one call, or four in a row, is an error. **Shifts**: drawn by `bwv-sim` with the swarm of faults,
half an hour each, and judged by the oracle. **Months**: three months of an agency's custody
(`bwv-sim months`), its troubles drawn from the seed, judged from the world. **Planted**: each bug
is a patch in `tests/planted`, applied to a copy of the source; the swarm, or months of custody,
must catch it. The seed named is the first, counted from 0, that does: so many shifts, or times
three months, it took. **Planted, for a test**: bugs of custody and of borders, in
`tests/planted_by_test`; the test that a patch names must fail with it and pass without.
**Mutants**: of the 600 that `benchmarks/mutants` draws (docs/mutants.md); what the tests noticed
once they must notice again. **Losses**: a store of drawn objects loses some, cuts some, swaps some,
and its listing lies; `completeness` must name exactly those. **Fuzzed**: inputs to each parser.
**Soak**: `benchmarks/soak.py`. **Outages**: a drawn shift without a broker for hours; recording is
judged by the oracle, the outbox held to its limits, everything drained in order after the return.
**Fleet**: whole agents with TLS connections of their own at a real mosquitto, which restarts, and
their process, which is killed; lost is what was acknowledged and never heard by a subscriber, or a
hole in the numbers of events. **Floods**: `bwv run` records at a real mosquitto on two loaded
cores, and 5, 50, 500 hostile messages of 16 KiB a second come for it; no picture may be lost, the
red light may not change, each command of the right signer must be answered within 10 s.
"""


@dataclass
class Took:
    """What slices came to."""

    stage: str
    done: int = 0
    failures: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0

    def add(self, other: Took) -> None:
        self.done += other.done
        self.failures += other.failures
        self.counts = dict(Counter(self.counts) + Counter(other.counts))
        for name, value in other.most.items():
            self.most[name] = max(self.most.get(name, 0), value)
        self.notes += other.notes
        self.seconds += other.seconds

    def line(self) -> str:
        counts = ", ".join(f"{name} {number}" for name, number in sorted(self.counts.items()))
        most = "".join(f", {name} {value}" for name, value in self.most.items())
        text = f"{self.stage}: {self.done}, {len(self.failures)} failures{most}"
        text += f" ({counts})" if counts else ""
        text += f"; {self.seconds:.0f} s on one core"
        return "\n".join([text, *(f"  - {note}" for note in sorted(self.notes))])


class Slice(NamedTuple):
    name: str
    work: Callable[..., Took]
    arguments: tuple[Any, ...]


class Stage(NamedTuple):
    """`jobs` is 0 for as many processes as there are cores. `aside`: it mostly waits, and runs
    beside all others."""

    name: str
    slices: Sequence[Slice]
    jobs: int = 0
    aside: bool = False


def timed(work: Callable[..., Took]) -> Callable[..., Took]:
    @wraps(work)
    def measured(*arguments: Any) -> Took:
        began = time.monotonic()
        took = work(*arguments)
        took.seconds = time.monotonic() - began
        return took

    return measured


def _by_test() -> Stage:
    names = sorted(path.stem for path in planted_by_test.PATCHES.glob("*.patch"))
    return Stage("planted, for a test", [Slice(f"planted {n}", by_test, (n,)) for n in names])


def _a_quarter(names: Sequence[str]) -> Sequence[str]:
    """Another one for each commit, so that all have their turn."""
    return names[_commit_number() % 4 :: 4]


def _commit_number() -> int:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return int(done.stdout[:8], 16)


def _some_mutants(count: int, each: int) -> Stage:
    """Others for each commit."""
    parts = [(_commit_number() + at, each) for at in range(count // each)]
    return Stage("mutants", [Slice(f"mutants {n}", mutants, p) for n, p in enumerate(parts)])


def sampled() -> list[Stage]:
    """A few minutes on two cores."""
    return [
        _power_cuts("power cuts, all alike", 8, 200),
        _drawn_cuts(8, 25),
        _dockings(8, 35),
        _updates(50, 10),
        _key_desk(52, 26),
        Stage("killed", [Slice(f"killed {n}", killed, (n, 2)) for n in range(2)]),
        Stage("ext4", [Slice(f"ext4 {n}", ext4_cuts, (n, 32)) for n in range(2)]),
        Stage("system calls", [Slice(f"calls {n}", system_calls, (n, 2, 14)) for n in range(2)]),
        _shifts(50, 5),
        _months(4, 60),
        Stage("planted", [Slice(f"planted {p}", planted_bug, (p, 0)) for p in _a_quarter(PATCHES)]),
        _by_test(),
        _some_mutants(10, 5),
        Stage("bit flips", [Slice(f"flips {n}", flips, (n, 8, 12_000)) for n in range(8)]),
        Stage("signed mutations", [Slice(f"mutated {n}", mutated, (n, 1000)) for n in range(2)]),
        Stage("signed films", [Slice(f"films {n}", films, (n, 500)) for n in range(2)]),
        Stage("packages", [Slice("packages 0", packages, (0, 150))]),
        Stage("forgeries", [Slice(f"forged {n}", forged, (n, 50)) for n in range(2)]),
        Stage("foreign witness", [Slice("litewitness", foreign_witnessed, ())]),
        Stage("losses", [Slice("losses 0", lost_objects, (0, 100_000))]),
        Stage("fuzzed", [Slice(f"fuzzed {n}", fuzzed, (n, 5)) for n in fuzz.TARGET_NAMES]),
        Stage("soak", [Slice("soak", soaked, (6.0,))]),
        Stage("outages", [Slice(f"outage {n}", outages, (n, 1.0)) for n in range(2)]),
        Stage("fleet", [Slice("fleet 100", fleet, (100, 120.0, 40.0, 80.0))], aside=True),
    ]


def full(scale: float) -> list[Stage]:
    """Hours. 100,000 simulated cuts, 3,000 on ext4, 5,000 shifts, every bit of a small vault, 30
    minutes a parser, 72 h; each bug in how many of 60 seeds. With `scale` a part of it, never less
    than a quarter of an hour's worth."""

    def some(count: float, least: int = 1) -> int:
        return max(least, round(count * scale))

    alike = 0 if scale >= 0.1 else some(10_752, 4000)
    seeds = 0 if scale < 0.1 else some(60, 10)
    return [
        _power_cuts("power cuts, all alike", 16, alike),
        _drawn_cuts(some(900, 20), 100),
        _dockings(some(10, 1), 0 if scale >= 0.1 else 300),
        _updates(some(2000, 100), 50),
        _key_desk(some(1000, 104), 52),
        Stage("killed", [Slice(f"killed {n}", killed, (n, some(25, 3))) for n in range(2)]),
        Stage("ext4", [Slice(f"ext4 {n}", ext4_cuts, (n, 60)) for n in range(some(50, 4))]),
        Stage("system calls", [Slice(f"calls {n}", system_calls, (n, 14, 140)) for n in range(14)]),
        _shifts(some(5000, 200), 10),
        _months(some(200, 20), 92),
        Stage("planted", [Slice(f"planted {p}", planted_bug, (p, seeds)) for p in PATCHES]),
        _by_test(),
        _some_mutants(DRAWN, 20),
        Stage("bit flips", [Slice(f"flips {n}", flips, (n, 200, 0)) for n in range(some(200, 2))]),
        Stage(
            "signed films",
            [Slice(f"films {n}", films, (n, 1000)) for n in range(some(20, 2))],
        ),
        Stage(
            "signed mutations",
            [Slice(f"mutated {n}", mutated, (n, 2000)) for n in range(some(50, 2))],
        ),
        Stage(
            "fuzzed",
            [Slice(f"fuzzed {n}", fuzzed, (n, some(1800, 20))) for n in fuzz.TARGET_NAMES],
        ),
        Stage(
            "packages",
            [Slice(f"packages {n}", packages, (n, 500)) for n in range(some(8, 1))],
        ),
        Stage("forgeries", [Slice(f"forged {n}", forged, (n, 125)) for n in range(4)]),
        Stage("foreign witness", [Slice("litewitness", foreign_witnessed, ())]),
        Stage("losses", [Slice("losses 1", lost_objects, (1, 1_000_000))]),
        Stage("soak", [Slice("soak", soaked, (72.0,))]),
        Stage("floods", [Slice(f"flood {n}", flooded, (n, 60.0)) for n in floods.RATES], jobs=1),
        Stage("outages", [Slice(f"outage {n}", outages, (n, 12.0)) for n in range(some(20, 2))]),
        Stage(
            "fleet",
            [
                Slice("fleet 1000", fleet, (1000, 600.0, 300.0, None)),
                Slice("fleet 1000, killed", fleet, (1000, 300.0, 100.0, 200.0)),
            ],
            jobs=1,
        ),
    ]


def _power_cuts(name: str, slices: int, count: int) -> Stage:
    parts = [
        Slice(f"{name} {bitrate} {n}", cut_slice, (name, bitrate, n, slices, count))
        for bitrate in BITRATES
        for n in range(slices)
    ]
    return Stage(name, parts)


def _drawn_cuts(slices: int, each: int) -> Stage:
    parts = [
        Slice(f"drawn {n}", drawn_cuts, (BITRATES[n % len(BITRATES)], n * each, each))
        for n in range(slices)
    ]
    return Stage("power cuts, drawn", parts)


def _dockings(slices: int, each: int) -> Stage:
    """Points of a docking, an honest line first. `each` 0 takes every point."""
    parts = [Slice(f"dockings {n}", docking_cuts, (n, each)) for n in range(slices)]
    return Stage("dockings", parts)


@timed
def killed(seed: int, count: int) -> Took:
    with TemporaryDirectory() as folder:
        outcome = s3_kills.Kills(Path(folder), seed).run(count)
    counts = {"server kills": outcome.server_kills, "worker kills": outcome.worker_kills}
    counts["files"] = outcome.files
    return Took("killed", outcome.dockings, outcome.failures, counts)


@timed
def docking_cuts(faults: int, each: int) -> Took:
    """Every point (or so many of them) under one drawn line; 0 is honest."""
    sweep = dockings.DockingSweep()
    points = list(sweep.points([faults]))
    # In strides of a prime: an even one would always meet the same kind of point.
    chosen = [points[n * 7919 % len(points)] for n in range(each)] if each else points
    outcome = sweep.run(chosen)
    counts = {**outcome.by_kind, "files removed": outcome.removals}
    return Took("dockings", outcome.points, outcome.failures, counts)


def _updates(count: int, each: int) -> Stage:
    firsts = range(0, count, each)
    return Stage("updates", [Slice(f"updates {n}", drawn, (n, each)) for n in firsts])


@timed
def drawn(first: int, count: int) -> Took:
    outcome = drawn_updates.run(range(first, first + count))
    return Took("updates", outcome.seeds, outcome.failures, dict(outcome.counts))


def _key_desk(count: int, each: int) -> Stage:
    firsts = range(0, count, each)
    return Stage("key desk", [Slice(f"key desk {n}", looked, (n, each)) for n in firsts])


@timed
def films(first: int, count: int) -> Took:
    """Changes of a signed film, before two verifiers."""
    outcome = VideoMutations().run(range(first * count, (first + 1) * count))
    return Took("films", outcome.films, outcome.failures, dict(outcome.answers))


@timed
def packages(first: int, count: int) -> Took:
    """Changes of a disclosure package, before three verifiers."""
    outcome = PackageMutations().run(range(first * count, (first + 1) * count))
    return Took("packages", outcome.packages, outcome.failures, dict(outcome.answers))


@timed
def looked(first: int, count: int) -> Took:
    """Power cuts between the line and the key."""
    outcome = key_desk_cuts.KeyDeskSweep().run(range(first, first + count))
    return Took("key desk cuts", outcome.cuts, outcome.failures, dict(outcome.counts))


def _shifts(count: int, each: int) -> Stage:
    firsts = range(0, count, each)
    parts = [Slice(f"shifts {n}", shifts, (n, min(each, count - n))) for n in firsts]
    return Stage("shifts", parts)


def _months(count: int, days: int) -> Stage:
    return Stage("months", [Slice(f"months {n}", custody_months, (n, days)) for n in range(count)])


# --- the work of one slice ----------------------------------------------------------------------


@timed
def cut_slice(name: str, bitrate: int, number: int, of: int, count: int) -> Took:
    sweep = power_cuts.Sweep(bitrate)
    points = list(sweep.points())
    chosen = power_cuts.sample(points, count) if count else points
    return _cuts(name, sweep.run(chosen[number::of]))


@timed
def drawn_cuts(bitrate: int, first: int, count: int) -> Took:
    sweep = power_cuts.Sweep(bitrate)
    return _cuts("power cuts, drawn", sweep.run(sweep.drawn_points(range(first, first + count))))


def _cuts(name: str, outcome: power_cuts.PowerCutOutcome) -> Took:
    failures = list(outcome.failures)
    if outcome.worst_loss_ms > BOUND_MS:
        failures.append(f"{outcome.worst_loss_ms} ms are lost, the bound is {BOUND_MS} ms")
    most = {"worst loss in ms": outcome.worst_loss_ms}
    return Took(name, outcome.points, failures, dict(outcome.by_verb), most)


@timed
def ext4_cuts(seed: int, count: int) -> Took:
    outcome = ext4.run(count, seed)
    took = Took("ext4", outcome.cuts, list(outcome.failures))
    if seed == 0:
        for name, wishes in ext4.PLANTED.items():
            control = ext4.run(80, seed, **wishes)
            took.notes.append(f"planted, {name}: {len(control.failures)} failures, as they must")
            if not control.failures:
                took.failures.append(f"planted, {name}: not caught")
    return took


@timed
def system_calls(number: int, of: int, count: int) -> Took:
    injections = syscalls.injections(count)[number::of]
    answered, failures = syscalls.run(injections)
    return Took("system calls", answered, failures, {"lives": len(injections)})


@timed
def shifts(first: int, count: int) -> Took:
    took = Took("shifts")
    counts: Counter[str] = Counter()
    for seed in range(first, first + count):
        played = play(Shift(seed, SHIFT_S))
        took.done += 1
        took.failures += [f"seed {seed}: {finding}" for finding in played.findings]
        counts["power cuts"] += played.counts["power cuts"]
        counts["recordings"] += played.counts["recordings"]
        counts["strikes"] += sum(played.strikes.values())
    took.counts = dict(counts)
    return took


@timed
def custody_months(seed: int, days: int) -> Took:
    played = months.play(months.Months(seed, days))
    failures = [f"seed {seed}: {finding}" for finding in played.findings]
    counts = {**played.counts, "strikes": sum(played.strikes.values())}
    return Took("months", 1, failures, counts)


@timed
def planted_bug(name: str, seeds: int) -> Took:
    patch = planted.PATCHES / f"{name}.patch"
    control = planted.plant_hinted(patch) if seeds == 0 else planted.plant_until(patch, seeds)
    failures = [] if control.caught else [f"{name} was not caught"]
    return Took("planted", 1, failures, notes=[str(control)])


@timed
def by_test(name: str) -> Took:
    found = planted_by_test.plant(planted_by_test.PATCHES / f"{name}.patch")
    failures = [f"planted {found.problem}"] if found.problem else []
    return Took("planted, for a test", 1, failures, notes=[f"{name}: {found.title}; {found.test}"])


@timed
def mutants(first: int, count: int) -> Took:
    """Of those that were noticed before, so many, apart from each other."""
    known = progress.noticed(verdicts.drawn(MODULES, SEED, DRAWN))
    step = max(1, len(known) // count)
    chosen = known[first % step :: step][:count]
    judged = list(verdicts.judge(chosen, covering.read(), 1))
    failures = [f"survived: {v.mutant}" for v in judged if v.word == verdicts.SURVIVED]
    return Took("mutants", len(judged), failures, dict(Counter(v.word for v in judged)))


@timed
def flips(number: int, of: int, count: int) -> Took:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name, "vault")
        root = bit_flips.small_vault(folder)
        chosen: Iterable[bit_flips.Flip] = islice(bit_flips.every(folder), number, None, of)
        if count:
            chosen = bit_flips.sampled(folder, count // of, seed=number)
        outcome = bit_flips.run(folder, root, chosen)
        return Took("bit flips", outcome.tried, [f"unnoticed: {f}" for f in outcome.unnoticed])


@timed
def mutated(number: int, count: int) -> Took:
    """The same numbers are the same vaults, whatever slices they come in."""
    suite, words = SignedMutations(), Counter[str]()
    failures = []
    for at in range(number * count, (number + 1) * count):
        result = suite.run(at)
        words[result.first] += 1
        if result.failure:
            failures.append(f"mutation {at}: {result.failure}"[:500])
    suite.close()
    return Took("signed mutations", count, failures, dict(words))


@timed
def forged(number: int, count: int) -> Took:
    """Other pasts of custody, each audited with a witness."""
    drawn = custody_forgeries.forgeries(number + 1, count)
    failures = [f"forgery of seed {number + 1}: {f.what}" for f in drawn if not f.found]
    return Took("forgeries", count, failures, {"found": sum(bool(f.found) for f in drawn)})


@timed
def foreign_witnessed() -> Took:
    """litewitness; where it is not to be had today, that is printed."""
    tools = Path(os.environ.get("BWV_TOOLS", ".cache/tools")) / "bin"
    if not foreign_witness.is_there(tools):
        return Took("foreign witness", 0, [], {"not to be had": 1})
    with TemporaryDirectory() as folder:
        failures = foreign_witness.failures(tools, Path(folder))
    return Took("foreign witness", 1, failures, {"litewitness": 1})


@timed
def lost_objects(seed: int, count: int) -> Took:
    """A store of so many objects that lost some: exactly those are named."""
    wanting = wanting_store(BenchAgency(), seed, count // 250, 250)
    found = completeness.examine(wanting.desk)
    named = {(one.device, one.segment): one.why.partition(" (")[0] for one in found.lost}
    wrong = [f"{key} {named.get(key)}" for key in named.keys() ^ wanting.lost.keys()]
    wrong += [f"{key}: {why}" for key, why in wanting.lost.items() if named.get(key, why) != why]
    if found.counts.get("left_out") != len(wanting.left_out):
        wrong.append(f"a listing left out {len(wanting.left_out)}, and {found.counts} is told")
    return Took("losses", count, wrong, {"lost and named": len(wanting.lost)})


@timed
def fuzzed(name: str, seconds: int) -> Took:
    result = fuzz.fuzz(name, seconds, keep=False)
    failures = [f"{name}: {result.failure}"] if result.failure else []
    note = f"{name}: {result.runs} inputs in {seconds} s, {result.peak_mib} MiB"
    return Took("fuzzed", result.runs, failures, notes=[note])


@timed
def outages(seed: int, hours: float) -> Took:
    came = outage(seed, hours)
    failures = [f"outage {seed}: {failure}" for failure in came.failures]
    counts = {"hours": round(hours), "events": came.events, "recordings": came.recordings}
    most = {
        "rows in an outbox": came.most.rows,
        "KiB in an outbox": came.most.size_bytes >> 10,
        "messages in a second": came.busiest_per_s,
        "s until drained": came.drained_s,
    }
    return Took("outages", 1, failures, counts, most)


@timed
def fleet(devices: int, seconds: float, restart_at_s: float, kill_at_s: float | None) -> Took:
    kept = kill_at_s is not None
    done = load_test.drill(
        lambda folder: Orders(devices, 10, 1.0, kept, folder),
        lambda text: None,
        seconds=seconds,
        restart_at_s=restart_at_s,
        kill_at_s=kill_at_s,
    )
    failures = [] if done.ok else [f"fleet: {done}"]
    if not kept and done.p99_ms > 1000:
        failures.append(f"fleet: p99 {done.p99_ms:.0f} ms, the goal is 1000 ms")
    counts = {"messages": done.arrivals, "lost": done.lost, "restarts": done.restarts}
    counts |= {"kills": done.kills, "recordings": done.recordings}
    return Took("fleet", devices, failures, counts, notes=said(done).splitlines())


@timed
def flooded(rate: int, seconds: float) -> Took:
    done = floods.run(rate, seconds)
    problems = [f"flood of {rate}: {problem}" for problem in done.problems]
    if done.gaps:
        problems.append(f"flood of {rate}: {done.gaps} gaps in the recording")
    return Took("floods", 1, problems, done.counts, notes=[str(done)])


@timed
def soaked(hours: float) -> Took:
    result = soak.soak(hours)
    return Took("soak", 1, [] if result.ok else [str(result)], notes=[str(result)])
