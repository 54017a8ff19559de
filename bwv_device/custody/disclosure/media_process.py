"""Starts a process that opens one film, and waits for what it makes.

It begins with an empty environment, is given no key, and gives up what it does not need
(`confinement`): libav reads what a camera, or whoever has its key, made.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device.custody.disclosure.confinement import Limits
from bwv_device.custody.disclosure.redaction_plan import Redaction, parse_redaction
from bwv_device.errors import ClipError, CustodyError

MODULE = "bwv_device.custody.disclosure.media_child"
# Covering 1080p takes 400 MB and about 2 s of processor time a second of film on a slow machine.
MEMORY, PROCESSOR_S, PROCESSOR_S_PER_S = 2 << 30, 120, 30
OUTPUT, OUTPUT_PER_BYTE = 256 << 20, 4
# Of silence: it tells where it is twice a second.
SILENCE_S = 300
LINE_LIMIT = 64 << 20
# What an interpreter needs to find its modules, and nothing that names a key.
ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL")
REMEDY = "Look at where it is from; the recording itself is kept, and its segments can be exported."

Advance = Callable[[float], None]


class Cut(NamedTuple):
    """An excerpt. It begins at a keyframe, a little before the time asked for."""

    from_s: float
    to_s: float
    pictures: int


class MediaProcess:
    """What can be done with one film of so many seconds; what is made passes through `work`. Raises
    `ClipError` where it can't be opened within the limits."""

    def __init__(
        self, film: Path, duration_s: float, work: Path, limits: Limits | None = None
    ) -> None:
        self._film, self._work = film, work
        self._limits = limits or Limits(
            MEMORY,
            PROCESSOR_S + round(PROCESSOR_S_PER_S * duration_s),
            OUTPUT + OUTPUT_PER_BYTE * film.stat().st_size,
        )
        # Whether the kernel kept the last one from everything else.
        self.confined = False

    def cut(self, from_s: float, to_s: float, out: Path) -> Cut:
        return Cut(*self._run("cut", out, {"from_s": from_s, "to_s": to_s}))

    def propose(self, advance: Advance = lambda at_s: None) -> Redaction:
        return parse_redaction(self._run("propose", None, {}, advance))

    def contact_sheet(self, redaction: Redaction, out: Path) -> int:
        return int(self._run("sheet", out, redaction.as_dict()))

    def redact(self, redaction: Redaction, out: Path, advance: Advance = lambda at_s: None) -> int:
        return int(self._run("redact", out, redaction.as_dict(), advance))

    def _run(
        self,
        act: str,
        out: Path | None,
        arguments: dict[str, Any],
        advance: Advance = lambda at_s: None,
    ) -> Any:
        with tempfile.TemporaryDirectory(dir=self._work) as name:
            made = Path(name) / (out.name if out else "nothing")
            words = [act, str(self._film), str(made), json.dumps(self._limits)]
            answer = self._answer([*words, json.dumps(arguments)], advance)
            if out is not None and made.exists():
                shutil.move(made, out)
        return answer

    def _answer(self, words: list[str], advance: Advance) -> Any:
        with _child(words) as process:
            for told in _lines(process, self._film):
                if "confined" in told:
                    self.confined = told["confined"] is True
                elif "at_s" in told:
                    advance(float(told["at_s"]))
                elif "answer" in told:
                    return told["answer"]
                elif "error" in told:
                    message, remedy = told["error"]
                    raise CustodyError(f"{self._film.name}: {message}", str(remedy))
            raise self._ended(process.wait())

    def _ended(self, code: int) -> ClipError:
        why = f"its decoder ended with {code}"
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            why = f"it takes more than {self._limits.processor_s} s of processor time or the memory"
        elif code < 0:
            why = f"its decoder was ended by {signal.Signals(-code).name}"
        return ClipError(f"{self._film.name} can't be opened: {why}.", REMEDY)


@contextmanager
def _child(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {key: os.environ[key] for key in ENVIRONMENT if key in os.environ}
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", MODULE, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _lines(process: subprocess.Popen[bytes], film: Path) -> Iterator[dict[str, Any]]:
    """What it says, as it says it."""
    assert process.stdout is not None
    number, waiting = process.stdout.fileno(), b""
    while select.select([number], [], [], SILENCE_S)[0]:
        received = os.read(number, 1 << 16)
        waiting += received
        *lines, waiting = waiting.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if isinstance(told, dict):
                yield told
        if not received:
            return
        if len(waiting) > LINE_LIMIT:
            break
    raise ClipError(f"{film.name} can't be opened: its decoder says nothing any more.", REMEDY)
