"""Turns observations into findings. Pure functions; all limits and remedies stand here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bwv_device.field_test.capture import Observation, PlayedPattern
from bwv_device.field_test.findings import Finding, Grade, judged
from bwv_device.field_test.hearing import Beep
from bwv_device.field_test.seeing import Flashing
from bwv_device.settings import Settings
from hal.ports import SECOND_NS, AudioFormat, Level, PowerReading, Track, UtcReading, VideoFormat

# A beep counts as that of a pattern when it is heard so long after it was played.
EARLIEST_S, LATEST_S = -0.1, 0.4


def camera(seen: Observation, video: VideoFormat) -> list[Finding]:
    took_s = seen.start_up_s(Track.VIDEO)
    if took_s is None:
        reasons = [loss.reason for loss in seen.losses if loss.track is Track.VIDEO]
        reason = reasons[-1] if reasons else "no picture came"
        remedy = "Look at the ribbon cable and at 'rpicam-hello --list-cameras'."
        return [Finding("camera", "pictures", Grade.BAD, reason, remedy)]
    fps, missing = seen.fps(), seen.missing(Track.VIDEO)
    count = len(seen.units_of[Track.VIDEO])
    dropped = sum(loss.units for loss in seen.losses if loss.track is Track.VIDEO) + missing
    bitrate = seen.bitrate_bps()
    found = [
        Finding("camera", "encoder", Grade.GOOD, f"{video.encoder}, {video.width}x{video.height}"),
        judged(
            "camera", "first picture", f"{took_s:.1f} s", good=took_s < 10, poor=True,
            remedy="Starting takes long: look at the processor's load and the card.",
        ),
        judged(
            "camera", "frame rate", f"{fps:.2f} of {video.fps}",
            good=abs(fps / video.fps - 1) < 0.02,
            poor=abs(fps / video.fps - 1) < 0.1,
            remedy="The sensor has no mode so fast, or the encoder is too slow: lower video.fps or "
            "the size.",
        ),
        judged(
            "camera", "pictures lost", f"{dropped} of {count + dropped}", good=dropped == 0,
            poor=dropped <= count / 100,
            remedy="The processor or the encoder can't keep up: lower the size or video.fps.",
        ),
        judged(
            "camera", "bitrate", f"{bitrate / 1000:.0f} of {video.bitrate_bps / 1000:.0f} kbit/s",
            good=bitrate < 1.3 * video.bitrate_bps, poor=True,
            remedy="The encoder does not keep to its bitrate: cards fill earlier than predicted.",
        ),
    ]  # fmt: skip
    for impairment in seen.impairments:
        if impairment.present:
            part = "camera" if impairment.track is Track.VIDEO else "microphone"
            remedy = "Clear the lens." if part == "camera" else "Look at the microphone's plug."
            found.append(Finding(part, "view" if part == "camera" else "sound", Grade.BAD,
                                 impairment.what, remedy))  # fmt: skip
    return found


def microphone(seen: Observation, audio: AudioFormat, level_dbfs: float) -> list[Finding]:
    took_s = seen.start_up_s(Track.AUDIO)
    if took_s is None:
        losses = [loss.reason for loss in seen.losses if loss.track is Track.AUDIO]
        remedy = "See 'arecord -l', and microphone.device in config.toml."
        measured = losses[-1] if losses else "no sound came"
        return [Finding("microphone", "sound", Grade.BAD, measured, remedy)]
    units = seen.units_of[Track.AUDIO]
    lost = sum(loss.units for loss in seen.losses if loss.track is Track.AUDIO)
    ppm = drift_ppm(seen, audio)
    return [
        judged(
            "microphone", "first sound", f"{took_s:.1f} s", good=took_s < 10, poor=True,
            remedy="Starting takes long: look at the processor's load.",
        ),
        judged(
            "microphone", "level", f"{level_dbfs:.0f} dBFS", good=-65 < level_dbfs < -6, poor=True,
            remedy="Set the gain of the card with alsamixer, and store it with 'alsactl store'.",
        ),
        judged(
            "microphone", "sound lost", f"{lost} of {len(units) + lost} frames", good=lost == 0,
            poor=lost <= len(units) / 100,
            remedy="Put the microphone on a USB port of its own, or take one for I2S.",
        ),
        judged(
            "microphone", "sample clock", f"{ppm:+.0f} ppm", good=abs(ppm) < 500, poor=True,
            remedy="No crystal is that far off: the machine is overloaded. The recorder corrects "
            "what it measures.",
        ),
    ]  # fmt: skip


def drift_ppm(seen: Observation, audio: AudioFormat) -> float:
    """How much faster than nominal sound comes, by the times of its frames."""
    units = seen.units_of[Track.AUDIO]
    if len(units) < 2:
        return 0.0
    passed_ns = units[-1].pts_ns - units[0].pts_ns
    nominal_ns = sum(unit.duration_ns for unit in units[:-1])
    return (nominal_ns / passed_ns - 1) * 1e6 if passed_ns else 0.0


class HeardBeeps(NamedTuple):
    """A pattern that was played, and the beeps that were heard of it."""

    pattern: str
    wanted: int
    heard: int
    late_ms: float | None


def match(
    played: Sequence[PlayedPattern], beeps: Sequence[Beep], start_ns: int
) -> list[HeardBeeps]:
    """Beep by beep, in order: each ON step of a pattern should be heard soon after it began."""
    matched, waiting = [], sorted(beep.at_s for beep in beeps)
    for item in played:
        due_s, late_ms = (item.at_ns - start_ns) / SECOND_NS, []
        wanted = 0
        for step in item.pattern.steps:
            if step.level is not Level.OFF:
                wanted += 1
                waiting = [at_s for at_s in waiting if at_s > due_s + EARLIEST_S]
                if waiting and waiting[0] < due_s + LATEST_S:
                    late_ms.append((waiting.pop(0) - due_s) * 1000)
            due_s += step.duration_ns / SECOND_NS
        late = sum(late_ms) / len(late_ms) if late_ms else None
        matched.append(HeardBeeps(item.pattern.name, wanted, len(late_ms), late))
    return matched


def beeper(heard: Sequence[HeardBeeps], tone_hz: float, beeps: Sequence[Beep]) -> list[Finding]:
    wanted, count = sum(h.wanted for h in heard), sum(h.heard for h in heard)
    late_ms = [h.late_ms for h in heard if h.late_ms is not None]
    level = max((beep.level_dbfs for beep in beeps), default=-120.0)
    measured = f"{count} of {wanted} beeps"
    if count:
        measured += f" at {tone_hz:.0f} Hz, {level:.0f} dBFS"
    found = [
        judged(
            "beeper", "heard by the microphone", measured, good=count == wanted,
            poor=count > wanted // 2,
            remedy="Look at the beeper's wiring (pins.beeper) and polarity; a passive one needs "
            "panel.beeper_hz. Is the room very loud?",
        )
    ]  # fmt: skip
    if late_ms:
        late = sum(late_ms) / len(late_ms)
        found.append(
            judged(
                "beeper", "heard after it was driven", f"{late:.0f} ms", good=abs(late) <= 100,
                poor=True,
                remedy="Sound and pictures would not fit: add this to microphone.latency_ms.",
            )
        )  # fmt: skip
    return found


def light(seen: Flashing | None, settings: Settings) -> Finding:
    on_ms, off_ms = settings.light.recording_on_ms, settings.light.recording_off_ms
    if seen is None:
        return Finding(
            "front light", "seen in the mirror", Grade.BAD, "no flashing red light",
            "Hold a mirror so that the camera sees its light; look at pins.front_light and the "
            "wiring.",
        )  # fmt: skip
    frame_ms = 1000 / settings.video.fps
    right = max(abs(seen.on_s * 1000 - on_ms), abs(seen.off_s * 1000 - off_ms)) <= 1.5 * frame_ms
    return judged(
        "front light", "seen in the mirror",
        f"{seen.on_s * 1000:.0f} ms on, {seen.off_s * 1000:.0f} ms off, {seen.flashes} flashes",
        good=right, remedy=f"It should be {on_ms} ms on, {off_ms} ms off: look at the load.",
    )  # fmt: skip


def power(reading: PowerReading, settings: Settings) -> list[Finding]:
    charging = ", charging" if reading.charging else ""
    minutes = "" if reading.minutes_left is None else f", {reading.minutes_left} min left"
    found = [
        judged(
            "power", "battery", f"{reading.percent} %{charging}{minutes}",
            good=reading.percent > settings.alarms.battery_low_percent or reading.charging,
            remedy="Charge it.",
        ),
        judged(
            "power", "supply", "undervoltage" if reading.undervoltage else "enough",
            good=not reading.undervoltage,
            remedy="Take a stronger supply, and a shorter, thicker cable.",
        ),
    ]  # fmt: skip
    if reading.temperature_c is not None:
        limit_c = settings.alarms.hot_c
        found.append(
            judged(
                "board", "temperature", f"{reading.temperature_c} °C",
                good=reading.temperature_c < limit_c - 5, poor=reading.temperature_c < limit_c,
                remedy="Give it a heat sink or air: at the limit it slows down and loses pictures.",
            )
        )  # fmt: skip
    return found


def clock(reading: UtcReading) -> Finding:
    known = reading.source != "none"
    measured = f"{reading.source}, ± {reading.error_ns / SECOND_NS:.1f} s" if known else "not set"
    return judged(
        "clock", "wall clock", measured, good=known, poor=True,
        remedy="Wait for the network's time, dock the camera, or fit a clock with a battery. It "
        "records all the same, and says that it does not know the time.",
    )  # fmt: skip
