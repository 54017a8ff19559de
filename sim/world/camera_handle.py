"""A camera as a person sees it: buttons, lights, sounds, and the files it leaves. Used by tests of
other projects (`sim.pytest_plugin`) and by scenarios.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bwv_device.config import check
from bwv_device.formats.ledger_lines import parse_line
from bwv_device.formats.media.mp4_film import read_film
from bwv_device.settings import Settings
from bwv_device.verification.export import Exported, export
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import Report, survey, verify
from hal.ports import SECOND_NS, Level, Track
from hal.simulated.capture import StubVideo
from hal.simulated.disk import Bytes, Names, PowerCut, Tear
from hal.simulated.panel import Shown
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

# What is further apart is another sound.
SILENCE_NS = 700_000_000
# Half of what was not synced survives; names are there.
TEAR = Tear(Bytes.PART, Names.WITH)


class Camera:
    """One camera in a world. Every movement takes the time that a hand takes."""

    def __init__(self, world: World, agency: BenchAgency) -> None:
        self.world, self.agency = world, agency
        self.vault = VaultView(world, agency)

    # --- power --------------------------------------------------------------------------------

    def boot(self) -> None:
        self.world.boot()

    def power_cut(self, tear: Tear = TEAR) -> None:
        """The power goes now."""
        self.world.power_cut(tear)

    def power_cut_in_next(self, verb: str, tear: Tear = TEAR, within_s: float = 10) -> None:
        """The power goes within the next operation of the disk of this kind: create, append, sync
        or rename. Raises `AssertionError` where there is none in time."""
        self.world.disk.cut_in_next(verb)
        try:
            self.world.run(seconds=within_s)
        except PowerCut:
            self.world.power_cut(tear)
            return
        raise AssertionError(f"there was no {verb} within {within_s} s")

    def kill(self) -> None:
        """The process ends, the kernel does not."""
        self.world.happened("the agent is killed")
        self.world.vanish()

    def switch_off(self) -> None:
        """In order: returns when the last ledger line is on the disk."""
        self.world.shut_down()

    # --- hands --------------------------------------------------------------------------------

    def press(self, button: str = "record", times: int = 1) -> None:
        """`button` is "record" or "marker"."""
        self.world.happened(f"{button} pressed, times {times}")
        self.world.press(button, times=times)

    def press_twice(self) -> None:
        """Starts a recording."""
        self.press("record", 2)

    def hold(self, button: str = "record", seconds: float | None = None) -> None:
        """Held as long as it takes to stop a recording, or to flag one; or for `seconds`."""
        held_ms = round((self.needed_s(button) if seconds is None else seconds) * 1000)
        self.world.happened(f"{button} held for {held_ms / 1000:g} s")
        self.world.press(button, held_ms=held_ms)

    def needed_s(self, button: str) -> float:
        """How long it has to be held: to stop a recording, or to flag one."""
        buttons = self.world.settings.buttons
        needed_ms = buttons.stop_hold_ms if button == "record" else buttons.flag_hold_ms
        return (needed_ms + 100) / 1000

    def dock(self) -> None:
        self.world.put_in_dock(True)

    def undock(self) -> None:
        self.world.put_in_dock(False)

    # --- eyes and ears ------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """As it publishes it; "off" without power."""
        return self.world.agent.state.value if self.world.agent else "off"

    def shown(self, output: str) -> list[Shown]:
        """All that "front light", "status light", "beeper" or "vibration" ever showed."""
        return self.world.shown_so_far(output)

    def pattern(self, output: str) -> str:
        """The name of the pattern that it shows now."""
        history = self.shown(output)
        return history[-1].pattern if history else "dark"

    @property
    def front_light(self) -> str:
        return self.pattern("front light")

    @property
    def status_light(self) -> str:
        return self.pattern("status light")

    def sounds(self, since_s: float = 0) -> list[str]:
        """Names of what the beeper said since then, in order. One pattern is one sound."""
        names: list[str] = []
        last_ns = -SECOND_NS
        for item in self.shown("beeper"):
            if item.level is not Level.ON or item.at_ns < since_s * SECOND_NS:
                continue
            if item.at_ns - last_ns > SILENCE_NS or names[-1] != item.pattern:
                names.append(item.pattern)
            last_ns = item.at_ns
        return names


def make_camera(
    agency: BenchAgency,
    *,
    seed: str = "0",
    boot: bool = True,
    docked: bool = False,
    settings: Settings | None = None,
    **sections: dict[str, Any],
) -> Camera:
    """A camera in a world of its own; `sections` change settings: recording={"post_event_s": 5}.
    Raises `ConfigError` for settings that the agent would refuse."""
    table = (settings or Settings()).as_dict()
    for name, values in sections.items():
        table[name] = {**table.get(name, {}), **values}
    checked = check(table, "of this camera")
    media = stub_media(checked.video.bitrate_kbps * 1000, checked.video.fps)
    world = World(
        checked,
        agency.device,
        agency.recipients,
        media=media,
        seed=seed,
        docked=docked,
        roots=[agency.root],
    )
    camera = Camera(world, agency)
    if boot:
        camera.boot()
    return camera


class VaultView:
    """The camera's storage, looked at by somebody with the agency's keys."""

    def __init__(self, world: World, agency: BenchAgency) -> None:
        self._world, self._agency = world, agency

    def verify(self) -> Report:
        """What `bwv verify` says now."""
        with tempfile.TemporaryDirectory() as folder:
            self._world.disk.dump(Path(folder))
            return verify(Path(folder), [self._agency.root])

    def second_opinion(self) -> str:
        """What the second verifier says: whole, open or changed."""
        with tempfile.TemporaryDirectory() as folder:
            self._world.disk.dump(Path(folder))
            return str(Judge(Path(folder), [self._agency.root]).judge())

    def ledger(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The fields of its lines, of one kind or all."""
        found = []
        for path, data in self._world.disk.files():
            if path.startswith("ledger/"):
                for raw in data.splitlines():
                    try:
                        found.append(parse_line(raw).fields)
                    except ValueError:
                        break  # a torn tail
        return [line for line in found if kind in (None, line["kind"])]

    def export(self, folder: Path) -> list[Exported]:
        """Playable files under `folder`, one a recording."""
        self._world.disk.dump(folder / "vault")
        surveyed = survey(folder / "vault", [self._agency.root])
        return export(surveyed, self._agency.identities, folder / "out").films

    def pictures(self) -> dict[str, list[int]]:
        """For each recording the numbers of its pictures, in order (stub media only)."""
        found: dict[str, list[int]] = {}
        with tempfile.TemporaryDirectory() as name:
            for film in self.export(Path(name)):
                found.setdefault(film.recording, []).extend(
                    StubVideo.number_of(unit.data)
                    for unit in read_film(film.path.read_bytes())
                    if unit.track is Track.VIDEO
                )
        return found
