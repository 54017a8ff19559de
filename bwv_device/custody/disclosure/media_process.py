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
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bwv_device.custody.disclosure.confinement import Limits
from bwv_device.custody.disclosure.redaction_plan import Redaction, parse_redaction
from bwv_device.errors import BwvError, ClipError, CustodyError, MissingPartError
from bwv_device.verification.video_signatures import VideoVerdict

MODULE = "bwv_device.custody.disclosure.media_child"
# Covering 1080p takes 400 MB and about 2 s of processor time a second of film on a slow machine.
MEMORY, PROCESSOR_S, PROCESSOR_S_PER_S = 2 << 30, 120, 30
OUTPUT, OUTPUT_PER_BYTE = 256 << 20, 4
# Of silence: it tells where it is twice a second. And how much longer than its processor time it
# may take in all.
SILENCE_S, SLOWEST, ENDS_WITHIN_S = 300, 4, 30
LINE_LIMIT = 64 << 20
# What an interpreter needs to find its modules, and nothing that names a key.
ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL")
REMEDY = "Look at where it is from; the recording itself is kept, and its segments can be exported."

Advance = Callable[[float], None]
Answer = TypeVar("Answer")
ERRORS: dict[str, type[BwvError]] = {
    kind.__name__: kind for kind in (ClipError, CustodyError, MissingPartError)
}


class Cut(NamedTuple):
    """An excerpt. It begins at a keyframe, a little before the time asked for."""

    from_s: float
    to_s: float
    pictures: int


class Covered(NamedTuple):
    """What a redacted copy covers, as it was rendered: its pictures, in how many each box covered
    something, and how many seconds of each span were muted."""

    pictures: int
    boxes: list[int]
    muted_s: list[float]


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
        return self._run("cut", out, {"from_s": from_s, "to_s": to_s}, _as_cut)

    def propose(self, advance: Advance = lambda at_s: None) -> Redaction:
        return self._run("propose", None, {}, parse_redaction, advance)

    def contact_sheet(self, redaction: Redaction, out: Path) -> int:
        return self._run("sheet", out, redaction.as_dict(), int)

    def redact(
        self, redaction: Redaction, out: Path, advance: Advance = lambda at_s: None
    ) -> Covered:
        return self._run("redact", out, redaction.as_dict(), _as_covered, advance)

    def signatures(self, roots_pem: str, advance: Advance = lambda at_s: None) -> VideoVerdict:
        return self._run("signatures", None, {"roots": roots_pem}, VideoVerdict.of, advance)

    def _run(
        self,
        act: str,
        out: Path | None,
        arguments: dict[str, Any],
        as_type: Callable[[Any], Answer],
        advance: Advance = lambda at_s: None,
    ) -> Answer:
        with tempfile.TemporaryDirectory(dir=self._work) as name:
            made = Path(name) / (out.name if out else "nothing")
            words = [act, str(self._film), str(made), json.dumps(self._limits)]
            try:
                answer = as_type(self._answer([*words, json.dumps(arguments)], advance))
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
                raise ClipError(
                    f"{self._film.name} can't be opened: its decoder says what it never should.",
                    REMEDY,
                ) from error
            # It is over, with all that it started. What it left may be anything.
            if out is not None and made.exists() and stat.S_ISREG(made.lstat().st_mode):
                made.chmod(0o600)
                shutil.move(made, out)
            elif act in ("cut", "redact"):
                raise ClipError(
                    f"{self._film.name} can't be opened: its decoder made nothing.", REMEDY
                )
        return answer

    def _answer(self, words: list[str], advance: Advance) -> Any:
        with _child(words) as process:
            for told in self._lines(process):
                if "confined" in told:
                    self.confined = told["confined"] is True
                elif "at_s" in told:
                    advance(float(told["at_s"]))
                elif "answer" in told:
                    return told["answer"]
                elif "error" in told:
                    name, message, remedy = map(str, told["error"])
                    kind = ERRORS.get(name, ClipError)
                    raise kind(f"{self._film.name}: {message}", remedy)
            try:
                code = process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                raise self._silent() from None
            raise self._ended(code)

    def _lines(self, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
        """What it says, as it says it."""
        assert process.stdout is not None
        number, waiting = process.stdout.fileno(), b""
        end_s = time.monotonic() + SILENCE_S + SLOWEST * self._limits.processor_s
        while time.monotonic() < end_s and select.select([number], [], [], SILENCE_S)[0]:
            received = os.read(number, 1 << 16)
            waiting += received
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                told = json.loads(line, parse_constant=_refuse)
                if not isinstance(told, dict):
                    raise ValueError("not a table")
                yield told
            if not received:
                return
            if len(waiting) > LINE_LIMIT:
                break
        raise self._silent()

    def _silent(self) -> ClipError:
        name = self._film.name
        return ClipError(f"{name} can't be opened: its decoder does not come to an end.", REMEDY)

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
    path = [part for part in environment.get("PYTHONPATH", "").split(":") if part.startswith("/")]
    environment["PYTHONPATH"] = ":".join(path)
    # Libraries that start threads when they are loaded would start them before it is confined.
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", MODULE, *words],  # -P: nothing out of the current folder
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _as_cut(said: Any) -> Cut:
    from_s, to_s, pictures = said
    return Cut(float(from_s), float(to_s), int(pictures))


def _as_covered(said: Any) -> Covered:
    return Covered(
        int(said["pictures"]), [int(n) for n in said["boxes"]], [float(s) for s in said["muted_s"]]
    )


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not a number")
