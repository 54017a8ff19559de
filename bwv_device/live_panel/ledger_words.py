"""Lines of the ledger in words, for people who never saw one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bwv_device.camera.control.start_conditions import FAILURES
from hal.ports import SECOND_NS

Fields = Mapping[str, Any]


def words(kind: str, fields: Fields) -> str:
    """A sentence for a line of that kind; an unknown kind is named as it is."""
    tell = SENTENCES.get(kind)
    return tell(fields) if tell else f"{kind}: " + ", ".join(f"{k} {v}" for k, v in fields.items())


def _open(line: Fields) -> str:
    if "trigger" not in line:
        return f"File {line['segment']} begins. Only the agency can open it."
    pre_event = line.get("pre_event")
    held_s = pre_event["achieved_ms"] / 1000 if pre_event else 0
    before = f" It includes the {held_s:.1f} s before." if held_s else ""
    return f"Recording {line['recording']} begins ({line['trigger']}).{before}"


def _sync(line: Fields) -> str:
    return f"The first {_bytes(line['length'])} of {line['segment']} would survive a power cut."


def _seal(line: Fields) -> str:
    return (
        f"File {line['segment']} is finished: {_bytes(line['length'])}, "
        f"{line['video_units']} pictures."
    )


def _close(line: Fields) -> str:
    length_s = line["duration_ms"] / 1000
    return f"Recording {line['recording']} ends after {length_s:.1f} s: {line['reason']}."


def _state(line: Fields) -> str:
    why = f", {line['reason']}" if line.get("reason") else ""
    return f"The camera is {line['to']} now, was {line['from']} ({line['event']}{why})."


def _cue(line: Fields) -> str:
    if "failed" in line:
        return f"The {line['failed']} can't be driven: {line.get('reason', '')}."
    shown = {"light": "front light", "status": "status light", "sound": "beeper"}
    told = [f"{shown.get(name, name)}: {value}" for name, value in line.items()]
    return f"Signals: {'; '.join(told)}."


def _marker(line: Fields) -> str:
    if line["marker"] == "informed":
        return "The officer marks that those present were told."
    return f"The officer marks this moment of {line['recording']}."


def _refused(line: Fields) -> str:
    why = "; ".join(FAILURES.get(c, f"not met: {c}") for c in line["conditions"])
    return f"Refused: {line['event']} ({why})."


def _gap(line: Fields) -> str:
    seconds = (line["to_ns"] - line["from_ns"]) / SECOND_NS
    return f"{seconds:.1f} s of {line['track']} are missing: {line['reason']}."


def _time(line: Fields) -> str:
    reading = line["time"]
    if reading["source"] == "none":
        return "The camera does not know the time."
    error_s = reading["error_ns"] / SECOND_NS
    return f"The clock is right to within {error_s:.2f} s ({reading['source']})."


def _dock(line: Fields) -> str:
    return "The camera is in its dock." if line["docked"] else "The camera sends what was flagged."


def _switch(what: str) -> Callable[[Fields], str]:
    return lambda line: f"{what} {'on' if line.get('on') else 'off'}."


SENTENCES: dict[str, Callable[[Fields], str]] = {
    "boot": lambda line: f"Boot {line['boot']}, after: {line['cause']}.",
    "recovery": lambda line: f"Recovery looked through the storage: {line['segments']} files.",
    "recovered": lambda line: f"{line['segment']} is kept as found: {_bytes(line['length'])}.",
    "open": _open,
    "sync": _sync,
    "seal": _seal,
    "close": _close,
    "state": _state,
    "cue": _cue,
    "marker": _marker,
    "flag": lambda line: f"Recording {line['recording']} is flagged as important.",
    "still": lambda line: f"A still of {line['recording']}: {_bytes(line['length'])}, sealed.",
    "mute": _switch("Mute"),
    "covert": _switch("Covert mode"),
    "public-informed": lambda line: "The camera told those present that it records.",
    "refused": _refused,
    "gap": _gap,
    "update": lambda line: f"Release {line['release']}: {line['step']}. {line['reason']}",
    "capture": lambda line: f"The {line['part']} is open: {', '.join(line['opened'])}.",
    "fault": lambda line: f"Fault of the {line['part']}: {line.get('reason', '')}.",
    "storage": lambda line: f"Room for {line['minutes_left']} minutes is left ({line['room']}).",
    "time": _time,
    "dock": _dock,
    "greeting": lambda line: "The evidence store greets the camera, and tells it the time.",
    "assignment": lambda line: "The agency assigns an officer and settings.",
    "officer": lambda line: "The officer who was assigned before still is.",
    "receipt": lambda line: f"The evidence store signed for {line.get('segment', 'a file')}.",
    "refusal": lambda line: f"The evidence store refuses {line.get('segment', 'a file')}.",
    "wipe": lambda line: f"{line['segment']} is removed here: the evidence store has it.",
    "delivery": lambda line: f"Delivery: {line['outcome']}.",
    "command": lambda line: f"A signed command came: {line.get('command', '')}.",
    "answer": lambda line: f"The command was answered: {line.get('outcome', '')}.",
    "stop": lambda line: "Switched off, in order.",
}  # fmt: skip


def _bytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 100_000 else f"{count / 1000:.1f} kB"
