"""The table of all faults; `docs/faults.md` is generated from it."""

from __future__ import annotations

import errno

from sim.faults import capture, network, panel, power, storage
from sim.faults.strike import Kind, Promise

TORN, RECOVERY, UNSET = "torn-writes", "cut-in-recovery", "clock-unset"
LATENCY = "slow-card"

KINDS: tuple[Kind, ...] = (
    Kind("power-cut", "the power goes, at any moment", 400, power.cut_now),
    Kind(
        "power-cut-at-disk",
        "the power goes before or within a disk operation",
        300,
        power.cut_at_disk,
    ),
    Kind(RECOVERY, "it goes once, twice or three times more during recovery", 0, None),
    Kind(
        TORN, "any legal part of what was not synced survives a cut, of bytes and of names", 0, None
    ),
    Kind("agent-killed", "the process ends; page cache and hardware live on", 900, power.kill),
    Kind("battery-dies", "an old cell says 30 % and is empty", 1500, power.battery_dies),
    Kind("battery-low", "a few percent are left, all at once", 1500, power.battery_low),
    Kind("undervoltage", "the board gets too little for a while", 600, power.undervoltage),
    Kind("gauge-unreadable", "the battery can't be read", 900, power.gauge_unreadable),
    Kind(
        "io-error", "EIO at any operation, once or some times", 400, storage.disk_error(errno.EIO)
    ),
    Kind("no-space", "ENOSPC at any operation", 600, storage.disk_error(errno.ENOSPC)),
    Kind(
        "short-write", "a part is written, then EIO", 500, storage.disk_error(errno.EIO, short=True)
    ),
    Kind("read-only", "EROFS for seconds", 900, storage.read_only),
    Kind(
        "read-only-for-good",
        "the card can't be written any more, till the end of the shift",
        6000,
        storage.read_only_for_good,
    ),
    Kind("files-refused", "no footage file can be created", 2000, storage.files_refused),
    Kind("folder-damaged", "names in one folder can't be changed", 2000, storage.folder_damaged),
    Kind("inodes-used-up", "files run out before bytes do", 1500, storage.inodes_used_up),
    Kind("slow-sync", "syncs that take up to 10 s", 400, storage.slow_sync),
    Kind(LATENCY, "every operation takes its time", 0, None),
    Kind("storage-full", "the card is full, and has room again later", 900, storage.full),
    Kind("camera-stall", "no pictures, and no error", 400, capture.camera_stalls),
    Kind(
        "camera-stops-late",
        "it goes on after stop, and blocks the next start",
        600,
        capture.camera_stops_late,
    ),
    Kind(
        "wrong-times",
        "duplicate, backward and future timestamps",
        300,
        capture.disturbed(capture.wrong_times),
    ),
    Kind(
        "missing-keyframe", "a keyframe is left out", 400, capture.disturbed(capture.no_keyframe, 8)
    ),
    Kind(
        "parameter-sets-only",
        "a unit without a picture",
        500,
        capture.disturbed(capture.parameter_sets_only),
    ),
    Kind("dropped-pictures", "pictures are left out", 400, capture.disturbed(capture.dropped)),
    Kind("malformed-units", "units that are cut off", 500, capture.disturbed(capture.malformed)),
    Kind(capture.DELAY, "each picture comes up to 150 ms after it was taken", 0, None),
    Kind(capture.JITTER, "pictures are taken up to 12 ms beside their rhythm", 0, None),
    Kind(capture.DRIFT, "its samples come up to 200 ppm too fast or too slow", 0, None),
    Kind(capture.LATE, "it starts seconds after the camera", 0, None),
    Kind("microphone-unplugged", "no sound for a while", 500, capture.microphone_unplugged),
    Kind("microphone-overflow", "the driver lost sound", 400, capture.microphone_overflows),
    Kind(
        "light-fails",
        "front or status light can't be driven",
        900,
        panel.output_fails("front_light", "status_green", "status_red"),
    ),
    Kind(
        "beeper-fails",
        "beeper or vibration can't be driven",
        900,
        panel.output_fails("beeper", "vibration"),
    ),
    Kind("button-bounce", "contacts chatter", 600, panel.button_bounces),
    Kind("button-stuck", "a button stays down", 900, panel.button_stuck),
    Kind(UNSET, "no battery behind the clock: boots at 1970 or at an old date", 0, None),
    Kind(
        "clock-step",
        "the wall clock jumps by half a second up to ten years",
        400,
        panel.clock_steps,
    ),
    Kind("broker-refuses", "bad credentials", 900, network.broker(network.refuses)),
    Kind("broker-deaf", "it never answers a connection", 900, network.broker(network.deaf)),
    Kind("broker-full", "quota exceeded", 900, network.broker(network.full)),
    Kind("broker-slow", "20 s for every packet", 900, network.broker(network.slow)),
    Kind(
        "broker-loses-acks",
        "messages arrive, their acknowledgements do not",
        900,
        network.broker(network.loses_acknowledgements),
    ),
    Kind("broker-doubles", "commands come twice", 600, network.broker(network.doubles)),
    Kind("broker-flaps", "the line breaks again and again", 600, network.flaps),
    Kind(
        "session-taken-over",
        "somebody with the same client id; the old will comes late",
        900,
        network.taken_over,
    ),
    Kind(
        "commands-forged",
        "whoever owns the broker replays, mutates, forges, floods",
        200,
        network.commands_forged,
    ),
    Kind(
        "lying-sync",
        "the card says stored, is not, and the power goes",
        900,
        storage.lying_sync,
        Promise.DETECTED,
    ),
    Kind(
        "erased-block",
        "512 B to 128 KiB that were synced read as zeros",
        1500,
        storage.erased_block,
        Promise.DETECTED,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}
