"""One parser under atheris: `python -m benchmarks.fuzz_target NAME [libFuzzer options]`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fuzz"))
with atheris.instrument_imports(include=["bwv_device", "sim", "hal", "tomllib", "targets"]):
    from targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
