"""Runs the field test of a board, and writes its report: a page with pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import jinja2
import numpy as np

from bwv_device.field_test import capture, hearing, judgement, plots, storage
from bwv_device.field_test.films import FilmPicture, FilmSound, pictures
from bwv_device.field_test.findings import Finding, Grade, judged
from bwv_device.field_test.seeing import flashing, redness
from bwv_device.settings import Settings
from hal.ports import Board, Track

PAGE = "check.html.jinja"


class Test:
    """`out` keeps the film and the plots; None keeps nothing."""

    __test__ = False  # not one of pytest's

    def __init__(self, board: Board, settings: Settings, vault: Path, out: Path | None) -> None:
        self._board, self._settings, self._vault, self._out = board, settings, vault, out

    def run(
        self,
        seconds: float,
        writes: int,
        *,
        mirror: bool,
        tone_hz: int | None,
        progress: Callable[[float], None],
    ) -> list[Finding]:
        board, settings = self._board, self._settings
        seen = capture.observe(board, settings.light, seconds, progress)
        with tempfile.TemporaryDirectory() as scratch:
            folder = self._out or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            film = folder / "check.mp4"
            start_ns = capture.write_film(board, seen, film)
            findings = judgement.camera(seen, board.camera.format)
            findings += self._heard(seen, film, start_ns, tone_hz, folder)
            findings += self._seen(film, start_ns, mirror=mirror, folder=folder)
            findings += self._stored(writes, folder)
        return [*findings, *self._body()]

    def _heard(
        self,
        seen: capture.Observation,
        film: Path,
        start_ns: int | None,
        tone_hz: int | None,
        folder: Path,
    ) -> list[Finding]:
        audio = self._board.microphone.format
        if start_ns is None or not seen.units_of[Track.AUDIO]:
            return judgement.microphone(seen, audio, hearing.SILENCE_DB)
        rate_hz = audio.sample_rate_hz
        heard = np.concatenate(list(FilmSound(film, rate_hz)))
        told = float(tone_hz or self._settings.panel.beeper_hz)
        tone = told or hearing.find_tone(heard, rate_hz)
        beeps = hearing.beeps(heard, rate_hz, tone) if tone else []
        plots.heard(folder / "sound.png", heard, rate_hz, tone, hearing.signals(beeps))
        matched = judgement.match(seen.played, beeps, start_ns)
        level = hearing.rms_dbfs(heard)
        return [
            *judgement.microphone(seen, audio, level),
            *judgement.beeper(matched, tone, beeps),
        ]

    def _seen(
        self, film: Path, start_ns: int | None, *, mirror: bool, folder: Path
    ) -> list[Finding]:
        if start_ns is None:
            return []
        first: FilmPicture | None = None
        times_s, fields = [], []
        for picture in pictures(film):
            first = first or picture
            if not mirror:
                break
            times_s.append(picture.at_s)
            fields.append(redness(picture.image))
        if first is not None:
            cv2.imwrite(str(folder / "picture.jpg"), first.image)
        if not mirror:
            remedy = "Hold a mirror before the camera, and run it again with --mirror."
            what = "seen in the mirror"
            return [Finding("front light", what, Grade.NOT_TESTED, "no --mirror", remedy)]
        return [judgement.light(flashing(times_s, fields), self._settings)]

    def _stored(self, writes: int, folder: Path) -> list[Finding]:
        try:
            test = storage.measure(self._vault, self._settings, writes)
        except OSError as error:
            remedy = "Look at device.vault, whether it is mounted, and who may write there."
            return [Finding("storage", "writing", Grade.BAD, str(error), remedy)]
        plots.latencies(
            folder / "storage.png", test.latencies_ms, self._settings.recording.fragment_ms
        )
        return storage.judge(test, self._settings)

    def _body(self) -> list[Finding]:
        board = self._board
        findings = [judgement.clock(board.clock.utc())]
        try:
            findings += judgement.power(board.power.read(), self._settings)
        except OSError as error:
            remedy = getattr(error, "remedy", "Look at the gauge's driver and wiring.")
            findings.append(Finding("power", "battery", Grade.BAD, str(error), remedy))
        if self._settings.location.enabled:
            fix = board.location.fix()
            measured = "no fix" if fix is None else f"± {fix.error_m} m"
            findings.append(
                judged(
                    "location", "gpsd", measured, good=fix is not None, poor=True,
                    remedy="Go outside for some minutes; look at 'gpsmon'.",
                )
            )  # fmt: skip
        return findings


class Verdict(NamedTuple):
    """What all findings come to."""

    grade: Grade
    words: str


class About(NamedTuple):
    """Which rig was tested, when, and with what."""

    device: str
    board: str
    when: str
    software: str
    verdict: Verdict


def verdict(findings: Sequence[Finding]) -> Verdict:
    bad = sum(found.status is Grade.BAD for found in findings)
    poor = sum(found.status is Grade.POOR for found in findings)
    if bad:
        return Verdict(Grade.BAD, f"Do not take this rig out: {bad} bad")
    if poor:
        return Verdict(Grade.POOR, f"May go out: {poor} could be better")
    return Verdict(Grade.GOOD, "May go out")


def write(out: Path, findings: Sequence[Finding], about: About) -> None:
    """index.html beside the pictures that the test left in `out`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bwv_device", "field_test"), autoescape=True
    )
    there = {path.name for path in out.iterdir()}
    page = environment.get_template(PAGE).render(findings=findings, about=about, there=there)
    (out / "index.html").write_text(page)
