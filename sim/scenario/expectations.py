"""The expectations of a scenario. Each returns "" if it holds, else what was found instead."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hal.ports import SECOND_NS
from sim.scenario.language import Phrase, phrase
from sim.world.camera_handle import Camera


def _is(found: Any, wanted: Any) -> str:
    return "" if found == wanted else f"it is {found!r}"


def _output(camera: Camera, output: str, words: str) -> str:
    return _is(camera.pattern(output), words)


def _heard(camera: Camera, number: int, words: str, clock: float) -> str:
    sounds = camera.sounds(clock)
    count = sounds.count(words)
    return "" if count == number else f"it was heard {count} times; sounds since then: {sounds}"


def _nothing_heard(camera: Camera, clock: float) -> str:
    return "" if not (sounds := camera.sounds(clock)) else f"heard: {sounds}"


def _line(camera: Camera, word: str, fields: dict[str, str] | None = None) -> str:
    return "" if _matching(camera, word, fields or {}) else _instead(camera, word)


def _lines(camera: Camera, number: int, word: str, fields: dict[str, str] | None = None) -> str:
    count = len(_matching(camera, word, fields or {}))
    return "" if count == number else f"there are {count}: {_instead(camera, word)}"


def _matching(camera: Camera, kind: str, wanted: dict[str, str]) -> list[dict[str, Any]]:
    return [
        line
        for line in camera.vault.ledger(kind)
        if all(_said(line.get(name)) == value for name, value in wanted.items())
    ]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


BULKY = ("certificate", "header", "nonce", "prev", "device_signature", "boot_key", "sha256", "n")


def _instead(camera: Camera, kind: str) -> str:
    lines = camera.vault.ledger(kind)[-5:]
    told = [{k: v for k, v in line.items() if k not in BULKY} for line in lines]
    return f"the last lines of the kind {kind!r}: {told}" if told else f"no {kind!r} line at all"


def _refused(camera: Camera, words: str) -> str:
    reasons = [reason for line in camera.vault.ledger("refused") for reason in line["conditions"]]
    return "" if words in reasons else f"refused so far: {reasons}"


def _gap(camera: Camera, number: int, words: str) -> str:
    gaps = [line for line in camera.vault.ledger("gap") if line["track"] == "video"]
    units = sum(line["units"] for line in gaps if line["reason"] == words)
    near = abs(units - number) <= max(2, number // 20)
    return "" if near else f"{units} pictures; gaps: {[(g['reason'], g['units']) for g in gaps]}"


def _segments(camera: Camera, number: int, word: str) -> str:
    report = camera.vault.verify()
    names = [v.name for v in report.segments if v.status.value == word and ".mp4" in v.name]
    return "" if len(names) == number else f"{len(names)}: {names}"


def _vault(camera: Camera, word: str) -> str:
    report = camera.vault.verify()
    found = "whole" if report.complete else "open" if report.ok else "changed"
    second = camera.vault.second_opinion()
    if found != second:
        return f"the verifiers disagree: {found}, {second}"
    return "" if found == word else f"it is {found}: {[*report.problems, *report.remarks][:3]}"


def _pre_event(camera: Camera, span: float) -> str:
    opened = [line for line in camera.vault.ledger("open") if "pressed_ns" in line]
    if not opened:
        return "there is no recording"
    before_s = (opened[-1]["pressed_ns"] - opened[-1]["first_pts_ns"]) / SECOND_NS
    return "" if span <= before_s <= span + 1.5 else f"it starts {before_s:.3f} s before the press"


def _whole_pictures(camera: Camera) -> str:
    holes = [
        (recording, a, b)
        for recording, numbers in camera.vault.pictures().items()
        for a, b in pairwise(numbers)
        if b != a + 1
    ]
    return "" if not holes else f"holes between (recording, picture, picture): {holes[:5]}"


def _length(camera: Camera, span: float) -> str:
    numbers = list(camera.vault.pictures().values())
    fps = camera.world.media.video.format.fps
    found_s = len(numbers[-1]) / fps if numbers else 0
    return "" if abs(found_s - span) <= 1.5 else f"it has {found_s:.2f} s"


def _lost(camera: Camera, span: float) -> str:
    """What is missing at the end of the newest recording, before the power went."""
    cuts = [h.at_ns for h in camera.world.happenings if h.what == "power cut"]
    numbers = [number for found in camera.vault.pictures().values() for number in found]
    if not cuts or not numbers:
        return "there was no power cut, or there is no recording"
    fps = camera.world.media.video.format.fps
    lost_s = cuts[-1] / SECOND_NS - (max(numbers) + 1) / fps
    return "" if lost_s <= span else f"{lost_s:.3f} s are lost"


def _plaintext(camera: Camera) -> str:
    marker = b"PLAINTEXT-MARKER"
    found = [path for path, data in camera.world.disk.files() if marker in data]
    return "" if not found else f"in clear: {found}"


EXPECTATIONS: list[Phrase] = [
    phrase("state {words}", "the camera's state, or off",
           lambda camera, words: _is(camera.state, words)),
    phrase("{output} {words}", "the pattern it shows now (docs/cues.md)", _output),
    phrase("heard {number} times {words} since {clock}", "what the beeper said", _heard),
    phrase("nothing heard since {clock}", "the beeper was silent", _nothing_heard),
    phrase("{number} {word} lines[ with {fields}]", "so many of that kind in the ledger", _lines),
    phrase("{word} line[ with {fields}]", "at least one of that kind", _line),
    phrase("refused because {words}", "a refusal that names this condition", _refused),
    phrase("gap of about {number} pictures, {words}", "gap lines of that reason, together", _gap),
    phrase("{number} {word} segments", "verdicts of the verifier", _segments),
    phrase("vault {word}", "whole, open or changed, by both verifiers", _vault),
    phrase("recording starts {span} before the press", "or up to a group of pictures earlier",
           _pre_event),
    phrase("pictures without a hole", "in every recording", _whole_pictures),
    phrase("last recording has about {span}", "of pictures", _length),
    phrase("at most {span} lost", "before the last power cut", _lost),
    phrase("no plaintext", "nothing in clear in any file", _plaintext),
]  # fmt: skip
