"""How long recording can go on: free bytes divided by the rate at which sealed files grow, or
fewer where names for files run out before."""

from __future__ import annotations

import enum

from bwv_device.formats.age_payload import CHUNK, TAG
from bwv_device.settings import MIB, Settings

# Container, ledger and signatures on top of the encoder's bits.
OVERHEAD_PERMILLE = 40
LEDGER_BYTES_PER_FRAGMENT = 600
# A group of pictures a second: certificates, and a digest for each of its pictures.
STATEMENT_BYTES = 3200
SOME_CHUNKS_FILLED_UP = CHUNK // 6
# For ledger files, stills, and segments that are cut off: what must go on when no more is begun.
RESERVE_FILES = 32


class Room(enum.IntEnum):
    ENOUGH = 0
    LOW = 1
    CRITICAL = 2
    FULL = 3


def growth_bytes_per_s(settings: Settings) -> int:
    """Bytes a second while recording, padding counted: below about a megabit a second every
    fragment is filled up to a whole chunk, a little above it some are."""
    bits = (settings.video.bitrate_kbps + settings.audio.bitrate_kbps) * 1000
    media = bits // 8 * (1000 + OVERHEAD_PERMILLE) // 1000 + SOME_CHUNKS_FILLED_UP
    if settings.recording.sign_video:
        media += STATEMENT_BYTES
    fragments = 1000 / settings.recording.fragment_ms
    padded = int(fragments * (CHUNK + TAG))
    return max(media, padded) + int(fragments * LEDGER_BYTES_PER_FRAGMENT)


def seconds_left(settings: Settings, free_bytes: int, free_files: int | None = None) -> int:
    """Seconds of recording until only the reserve is left. `free_files` is None without limit."""
    usable = max(0, free_bytes - settings.storage.reserve_mib * MIB)
    left_s = usable // growth_bytes_per_s(settings)
    if free_files is None:
        return left_s
    return min(left_s, max(0, free_files - RESERVE_FILES) * settings.recording.segment_s)


def room(settings: Settings, left_s: int) -> Room:
    """Full is when the reserve would be touched before the next two looks."""
    alarms = settings.alarms
    if left_s < 2 * settings.storage.check_s:
        return Room.FULL
    limits_min = (alarms.storage_low_min, alarms.storage_critical_min)
    return Room(sum(left_s < 60 * limit for limit in limits_min))
