"""Writes docs/faults.md and docs/scenarios.md from the tables that the simulator runs on:

python -m sim.docs.faults_and_scenarios docs
"""

from __future__ import annotations

import sys
from pathlib import Path

from sim.commands.scenario import shipped_files
from sim.custody.troubles import TROUBLES
from sim.faults import KINDS, Promise
from sim.scenario.acts import ACTS
from sim.scenario.expectations import EXPECTATIONS
from sim.scenario.language import Phrase
from sim.scenario.play import load

FAULTS = """\
# Faults

What the simulated world can do to a camera, each by the name that `--faults` takes. The swarm draws
from the seed which of them are in a shift.
`python -m sim.docs.faults_and_scenarios docs` makes this page.

## Survived: every promise holds

{survived}

The loss bound (1.2 s at the defaults) counts from the power cut, or from the beginning of the
disk's trouble where the disk could not take anything: while it can't, the light does not say
"recording".
If an earlier reading was right and the wall clock then steps, the error of each later reading is
large enough to contain the step.
Nothing on the camera can detect a clock whose first reading after a boot is wrong, or a step within
the error that it states.

## Detected: something may be lost, and the verifiers say so

{detected}

## Outside

Not simulated, and not promised:

- memory that flips bits, and a processor that computes wrongly;
- a card that returns to an older state as a whole: only a ledger head that left the camera shows
  it;
- a kernel that drops pages after a failed sync and later reports them as written. The camera starts
  a new segment, and what it attested before stays true.

Every point of a docking is cut in `sim/sweeps/docking_cuts.py`.

## An agency's months

What can go wrong in `bwv-sim months`, by the name that `--troubles` takes. The swarm draws from the
seed which of the first are there; every promise holds.

{troubles}

These are known to break a promise, and are not in the swarm:

{known}
"""

SCENARIOS = """\
# Scenarios

A scenario is a TOML file with sentences. `bwv-sim scenario FILE.toml` plays it; an expectation that
fails is explained with what happened around it.
`python -m sim.docs.faults_and_scenarios docs` makes this page.

```toml
title = "A camera that delivers nothing is noticed"
docked = false                    # where the camera is at the start
card_mib = 1024                   # the size of its storage; without it there is no end of it
steps = [
  "at 00:00 boot",
  "at 00:10 press record twice",
  "at 00:45 camera stalls for 8 s",
  "at 00:49 expect front light capturing, not stored",
  "at 01:00 power cut",
  "at 01:10 boot",
  "finally expect vault whole",   # after switching off in order
]
[settings.recording]              # sections as in config.toml
pre_event_s = 30
```

Times are `mm:ss` or `h:mm:ss`, with a fraction where wanted, and do not go back. Spans are `8 s`,
`250 ms`, `2 min`, `1 h`, `10 years`. Square brackets hold what may be left out.

## at mm:ss …

{acts}

## at mm:ss expect …, finally expect …

{expectations}

Buttons: `record`, `marker`. Times: `once`, `twice`, `three times`. Outputs: `front light`, `status
light`, `beeper`, `vibration`; their patterns are in docs/cues.md. Fields of a ledger line:
`… line with name = value and name = value` (docs/format.md, 3.5).

## Shipped (`sim/scenario/shipped/`, `bwv-sim scenario --all`)

{shipped}
"""


def write(folder: Path) -> None:
    (folder / "faults.md").write_text(faults())
    (folder / "scenarios.md").write_text(scenarios())


def faults() -> str:
    rows = {
        promise: "\n".join(
            ["| name | what happens |", "|---|---|"]
            + [f"| `{kind.name}` | {kind.what} |" for kind in KINDS if kind.promise is promise]
        )
        for promise in Promise
    }
    return FAULTS.format(
        survived=rows[Promise.SURVIVED],
        detected=rows[Promise.DETECTED],
        troubles=_troubles(drawn=True),
        known=_troubles(drawn=False),
    )


def _troubles(*, drawn: bool) -> str:
    rows = [f"| `{t.name}` | {t.what} |" for t in TROUBLES if t.swarm is drawn]
    return "\n".join(["| name | what happens |", "|---|---|", *rows])


def scenarios() -> str:
    shipped = [f"- `{path.name}`: {load(path).title}" for path in shipped_files()]
    return SCENARIOS.format(
        acts=_phrases(ACTS), expectations=_phrases(EXPECTATIONS), shipped="\n".join(shipped)
    )


def _phrases(known: list[Phrase]) -> str:
    rows = [f"| `{item.form}` | {item.meaning} |" for item in known]
    return "\n".join(["| sentence | meaning |", "|---|---|", *rows])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
