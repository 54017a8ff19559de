"""Trace digests of five seeds: a tripwire. A change of behaviour changes them, and is looked at:

make golden      writes tests/simulation/golden.toml anew and prints what changed in meaning; the
                 commit says why

They prove nothing: what must be so is judged by the oracle, and caught in `tests/planted`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sim.shifts.drawn_shift import PlayedShift, Shift, play

GOLDEN = Path(__file__).with_name("golden.toml")
SEEDS = (1, 2, 3, 5, 8)
DURATION_S = 600
# They change with everything before them, and say nothing of their line.
PLACE = ("n", "prev", "device_signature", "boot_key", "certificate")

Meaning = Mapping[str, str]


class Golden(NamedTuple):
    digest: str
    meaning: Meaning


def made(seed: int) -> Golden:
    played = play(Shift(seed, DURATION_S))
    return Golden(played.digest, dict(sorted(_meaning(played).items())))


def kept() -> dict[str, Golden]:
    table = tomllib.loads(GOLDEN.read_text())
    return {seed: Golden(row["digest"], row["meaning"]) for seed, row in table.items()}


def changes(before: Meaning, after: Meaning) -> list[str]:
    """What changed, a sentence each."""
    return [
        f"{what}: {before.get(what, 'none')} before, {after.get(what, 'none')} now"
        for what in sorted({*before, *after})
        if before.get(what) != after.get(what)
    ]


def _meaning(played: PlayedShift) -> dict[str, str]:
    """How many lines of each kind the ledger has, and a digest of what they say; how often each
    transition came; how often each light and sound began."""
    lines: dict[str, list[str]] = {}
    for fields in _ledger(played):
        kind = str(fields.pop("kind"))
        said = {name: value for name, value in fields.items() if name not in PLACE}
        lines.setdefault(kind, []).append(json.dumps(said, sort_keys=True))
    found = {f"ledger: {kind}": _told(said) for kind, said in lines.items()}
    world = played.world
    moved = Counter(f"{t.before.value} to {t.after.value}" for t in world.transitions)
    found |= {f"state: {move}": str(count) for move, count in moved.items()}
    for output in ("front light", "status light", "beeper", "vibration"):
        shown = Counter(item.pattern for item in world.shown_so_far(output))
        found |= {f"{output}: {pattern}": str(count) for pattern, count in shown.items()}
    return found


def _told(said: list[str]) -> str:
    content = hashlib.sha256("\n".join(said).encode()).hexdigest()
    return f"{len(said)} lines, {content[:8]}"


def _ledger(played: PlayedShift) -> Iterator[dict[str, object]]:
    for path, data in played.world.disk.files():
        if path.startswith("ledger/"):
            for raw in data.splitlines():
                try:
                    yield json.loads(raw.partition(b"\t")[0])
                except ValueError:
                    break  # a torn end


def main() -> None:
    before = kept()
    text = "# Ten-minute swarm shifts by seed; make golden writes them.\n"
    for seed in SEEDS:
        golden = made(seed)
        was = before.get(str(seed), Golden("", {}))
        for change in changes(was.meaning, golden.meaning):
            print(f"seed {seed}: {change}")
        if golden.meaning == was.meaning and golden.digest != was.digest:
            print(f"seed {seed}: other bytes that mean the same: a format changed")
        text += f'\n[{seed}]\ndigest = "{golden.digest}"\n[{seed}.meaning]\n'
        text += "".join(f'"{what}" = "{how}"\n' for what, how in golden.meaning.items())
    GOLDEN.write_text(text)


if __name__ == "__main__":
    main()
