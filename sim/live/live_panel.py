"""A simulated camera in the terminal: keys are buttons and faults, the screen shows lights and
sounds.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bwv_device.formats.ledger_lines import parse_line
from bwv_device.settings import Settings, milliseconds
from hal.ports import SECOND_NS, Level
from sim.shifts.drawn_shift import bench_agency
from sim.world.camera_handle import TEAR, Camera
from sim.world.world import World, stub_media

TAIL_LINES, TAIL_BYTES = 8, 6000
RATES = (1, 2, 5, 10, 60)
COLOURS = {
    Level.OFF: "grey23",
    Level.ON: "bold red",
    Level.GREEN: "bold green",
    Level.RED: "bold red",
    Level.AMBER: "bold yellow",
}
OMITTED = (
    "n", "t", "kind", "prev", "header", "nonce", "certificate", "boot_key", "device_signature",
    "sha256", "plaintext_sha256", "config_sha256",
)  # fmt: skip


class LivePanel:
    """The world behind the screen. `press_key` and `advance` move it; `screen` draws it."""

    def __init__(self, settings: Settings, rate: int = 1) -> None:
        agency = bench_agency()
        media = stub_media(settings.video.bitrate_kbps * 1000, settings.video.fps)
        self.world = World(settings, agency.device, agency.recipients, media=media)
        self.camera = Camera(self.world, agency)
        self.rate, self.paused, self.over = rate, False, False
        self.said = "switched on"
        self.keys: dict[str, tuple[str, Callable[[], None]]] = {
            "r": ("record twice", lambda: self._touch("record", 2, 100)),
            "s": ("hold record", lambda: self._touch("record", 1, self._stop_ms)),
            "m": ("marker", lambda: self._touch("marker", 1, 100)),
            "p": ("marker twice: still", lambda: self._touch("marker", 2, 100)),
            "f": ("hold marker: flag", lambda: self._touch("marker", 1, self._flag_ms)),
            "d": ("dock, undock", self._dock),
            "c": ("power cut", self._cut),
            "b": ("boot", self._boot),
            "t": ("camera stalls, goes on", self._stall),
            "l": ("light breaks, is repaired", self._break_light),
            "k": ("clock steps by an hour", lambda: self.world.clock.step(3600 * SECOND_NS)),
            "+": ("faster", lambda: self._faster(1)),
            "-": ("slower", lambda: self._faster(-1)),
            " ": ("pause", self._pause),
            "q": ("quit", self._quit),
        }
        self._light_broken = False
        self.world.boot()

    def advance(self, elapsed_ns: int) -> None:
        """So much real time went by."""
        if not self.paused:
            self.world.run(elapsed_ns * self.rate)
        if self.world.stopped():
            self.world.switched_off()
            self.said = "it has stopped in order; b boots it"

    def press_key(self, key: str) -> None:
        if key not in self.keys:
            self.said = f"{key!r} does nothing"
            return
        name, act = self.keys[key]
        self.said = name
        act()

    def screen(self) -> RenderableType:
        return Group(
            Panel(self._status(), title="bwv-sim live"),
            Panel(self._ledger(), title="ledger"),
            Panel(self._help(), title="keys"),
        )

    # --- what the keys do ---------------------------------------------------------------------

    @property
    def _stop_ms(self) -> int:
        return self.world.settings.buttons.stop_hold_ms + 100

    @property
    def _flag_ms(self) -> int:
        return self.world.settings.buttons.flag_hold_ms + 100

    def _touch(self, button: str, times: int, held_ms: int) -> None:
        loop = self.world.loop
        for number in range(times):
            down_ns = loop.now_ns() + milliseconds(250 * number)
            loop.call_at(down_ns, lambda: self.world.touch(button, pressed=True))
            up_ns = down_ns + milliseconds(held_ms)
            loop.call_at(up_ns, lambda: self.world.touch(button, pressed=False))

    def _dock(self) -> None:
        docked = not self.world.dock.docked()
        self.said = "into the dock" if docked else "out of the dock"
        self.world.put_in_dock(docked)

    def _cut(self) -> None:
        if self.world.agent:
            self.camera.power_cut(TEAR)
            self.said = "power cut; b boots it"

    def _boot(self) -> None:
        if self.world.agent is None:
            self.world.boot()

    def _stall(self) -> None:
        if self.world.agent and self.world.camera:
            self.world.camera.stalled = not self.world.camera.stalled
            self.said = "camera stalls" if self.world.camera.stalled else "camera delivers again"

    def _break_light(self) -> None:
        if self.world.panel is None:
            return
        self._light_broken = not self._light_broken
        if self._light_broken:
            self.world.panel.break_output("front_light")
        else:
            self.world.panel.repair_output("front_light")
        self.said = "front light broken" if self._light_broken else "front light repaired"

    def _faster(self, step: int) -> None:
        at = RATES.index(self.rate) if self.rate in RATES else 0
        self.rate = RATES[max(0, min(len(RATES) - 1, at + step))]

    def _pause(self) -> None:
        self.paused = not self.paused

    def _quit(self) -> None:
        self.over = True

    # --- what is to be seen -------------------------------------------------------------------

    def _status(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        power, disk = self.world.power, self.world.disk
        seconds = self.world.loop.now_ns() // SECOND_NS
        time = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}  × {self.rate}"
        table.add_row("time", time + ("  paused" if self.paused else ""))
        table.add_row("state", Text(self.camera.state, style="bold"))
        for output in ("front light", "status light", "beeper", "vibration"):
            table.add_row(output, self._lamp(output))
        table.add_row("battery", f"{power.percent()} %{' charging' if power.charging else ''}")
        table.add_row("storage", f"{disk.free_bytes() >> 20} MiB free")
        table.add_row("", Text(self.said, style="italic"))
        return table

    def _lamp(self, output: str) -> Text:
        history = self.camera.shown(output)
        level = history[-1].level if history else Level.OFF
        sign = "♪" if output == "beeper" else "●"
        pattern = history[-1].pattern if history else "dark"
        return Text.assemble((sign, COLOURS[level]), f"  {pattern}")

    def _ledger(self) -> RenderableType:
        rows = Table.grid(padding=(0, 2))
        for line in self._tail():
            told = ", ".join(f"{k}={v}" for k, v in line.items() if k not in OMITTED)
            text = Text(told[:160], overflow="ellipsis", no_wrap=True)
            rows.add_row(str(line["n"]), str(line["kind"]), text)
        return rows

    def _tail(self) -> list[dict[str, object]]:
        disk = self.world.disk
        newest = disk.names("ledger")[-1:]
        if not newest:
            return []
        path = f"ledger/{newest[0]}"
        data = disk.read(path, max(0, disk.size(path) - TAIL_BYTES))
        lines = []
        for raw in data.splitlines()[-TAIL_LINES:]:
            try:
                fields = parse_line(raw).fields
            except ValueError:
                continue  # the first may be cut off, the last torn
            lines.append(fields)
        return lines

    def _help(self) -> RenderableType:
        names = {" ": "space"}
        return Columns(
            [f"[b]{names.get(key, key)}[/b] {name}" for key, (name, _) in self.keys.items()]
        )
