"""Checks battery, storage and wall clock at intervals, and reports what gets worse."""

from __future__ import annotations

from collections.abc import Callable

from bwv_device.camera.health import free_space
from bwv_device.camera.health.battery_bands import Band, BatteryBands
from bwv_device.camera.health.wall_clock import WallClockWatch
from bwv_device.camera.indicators import patterns
from bwv_device.settings import Settings, seconds
from hal.ports import Board, Pattern, PowerReading

# Hysteresis, so that a board near the limit does not flap.
COOL_K = 5
EMPTY, FULL = "battery empty", "storage full"


class HealthCheck:
    """`alarm` sounds a pattern; `spent` is called when battery or storage are used up."""

    def __init__(
        self,
        board: Board,
        settings: Settings,
        note: Callable[..., None],
        alarm: Callable[[Pattern], None],
        spent: Callable[[str], None],
    ) -> None:
        self._board, self._settings = board, settings
        self._note, self._alarm_with, self._spent = note, alarm, spent
        self._battery = BatteryBands(settings.alarms)
        self._wallclock = WallClockWatch(board.clock, note)
        self._alarmed_ns: dict[str, int] = {}
        self._unreadable: set[str] = set()
        self._undervoltage = self._hot = False
        self.room = free_space.Room.ENOUGH
        self.power: PowerReading | None = None
        self.left_s: int | None = None

    @property
    def band(self) -> Band:
        return self._battery.band

    def look(self, now_ns: int) -> None:
        """Checks everything once. A gauge that can't be read is a fault line; it must not end a
        recording."""
        self._wallclock.look()
        for part, check in (("battery", self._power), ("storage", self._storage)):
            try:
                check(now_ns)
                self._unreadable.discard(part)
            except OSError as error:
                self._forget(part)
                if part not in self._unreadable:
                    self._unreadable.add(part)
                    self._note("fault", part=part, reason=str(error))

    def _forget(self, part: str) -> None:
        """Forgets a value that can't be read any more."""
        if part == "battery":
            self.power = None
        else:
            self.left_s = None

    def _power(self, now_ns: int) -> None:
        reading = self._board.power.read()
        self.power = reading
        self._temperature(reading.temperature_c)
        worse = self._battery.feed(reading)
        if worse or reading.undervoltage != self._undervoltage:
            self._undervoltage = reading.undervoltage
            band = self.band.name.lower()
            self._note(
                "power", percent=reading.percent, band=band, undervoltage=reading.undervoltage
            )
        if self.band is Band.EMPTY:
            self._spent(EMPTY)
        elif self.band > Band.NORMAL and not reading.charging:
            self._alarm("battery", patterns.BATTERY, now_ns, at_once=worse)

    def _temperature(self, celsius: int | None) -> None:
        """Above the limit the board slows itself down, and pictures may be lost."""
        limit_c = self._settings.alarms.hot_c
        if celsius is None or (celsius >= limit_c) == self._hot:
            return
        if self._hot and celsius > limit_c - COOL_K:
            return
        self._hot = celsius >= limit_c
        reason = f"hot: {celsius} C" if self._hot else "hot no longer"
        self._note("fault", part="board", reason=reason)

    def _storage(self, now_ns: int) -> None:
        disk = self._board.disk
        left_s = free_space.seconds_left(self._settings, disk.free_bytes(), disk.free_files())
        self.left_s = left_s
        room = free_space.room(self._settings, left_s)
        worse, self.room = room > self.room, room
        if worse:
            self._note("storage", minutes_left=left_s // 60, room=room.name.lower())
        if room is free_space.Room.FULL:
            self._spent(FULL)
        if room > free_space.Room.ENOUGH:
            self._alarm("storage", patterns.STORAGE, now_ns, at_once=worse)

    def _alarm(self, name: str, pattern: Pattern, now_ns: int, *, at_once: bool) -> None:
        """Alarms at once if it got worse, otherwise at intervals."""
        last_ns = self._alarmed_ns.get(name)
        due = last_ns is None or now_ns - last_ns >= seconds(self._settings.alarms.repeat_s)
        if at_once or due:
            self._alarmed_ns[name] = now_ns
            self._alarm_with(pattern)
