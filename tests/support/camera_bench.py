"""A camera on the bench, as tests speak of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from bwv_device.formats.ledger_lines import parse_line
from bwv_device.settings import Settings
from bwv_device.verification.export import Exported, export
from bwv_device.verification.vault_report import Report, survey, verify
from hal.ports import SECOND_NS
from hal.simulated.disk import SimulatedDisk
from sim.world.test_keys import BenchAgency
from sim.world.world import Media, World, stub_media


class Camera(World):
    """A world with what tests ask of it."""

    agency: BenchAgency

    def ledger(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The lines on the disk, of one kind or all."""
        lines = [
            parse_line(raw).fields
            for path, data in self.disk.files()
            if path.startswith("ledger/")
            for raw in data.splitlines()
        ]
        return [line for line in lines if kind in (None, line["kind"])]

    def state(self) -> str:
        assert self.agent is not None
        return self.agent.state.value

    def light(self, at_s: float | None = None) -> str:
        """The pattern on the front light, now or then."""
        history = self.panel.history["front light"] if self.panel else self.shown["front light"]
        at_ns = self.loop.now_ns() if at_s is None else round(at_s * SECOND_NS)
        shown = [item.pattern for item in history if item.at_ns <= at_ns]
        return shown[-1] if shown else "dark"

    def sounds(self) -> list[str]:
        """Names of one-time sounds, in order."""
        assert self.panel is not None
        names: list[str] = []
        last_ns = -SECOND_NS
        for item in self.panel.history["beeper"]:
            if item.level.value == "on":
                if item.at_ns - last_ns > SECOND_NS // 2 or names[-1] != item.pattern:
                    names.append(item.pattern)
                last_ns = item.at_ns
        return names

    def verify(self, folder: Path) -> Report:
        """Dumps the disk into `folder`/vault and judges it."""
        self.disk.dump(folder / "vault")
        return verify(folder / "vault", [self.agency.root])

    def export(self, folder: Path) -> list[Exported]:
        return self.judged(folder)[1]

    def judged(self, folder: Path) -> tuple[Report, list[Exported]]:
        """Both at once."""
        self.disk.dump(folder / "vault")
        surveyed = survey(folder / "vault", [self.agency.root])
        report, films, _ = export(surveyed, self.agency.identities, folder / "out")
        return report, films


def make_camera(
    agency: BenchAgency,
    *,
    settings: Settings | None = None,
    media: Media | None = None,
    boot: bool = True,
    seed: str = "0",
    docked: bool = False,
    disk: SimulatedDisk | None = None,
    **sections: dict[str, Any],
) -> Camera:
    """`sections` change settings: recording={"post_event_s": 5}."""
    settings = settings or Settings()
    for name, values in sections.items():
        settings = replace(settings, **{name: replace(getattr(settings, name), **values)})
    camera = Camera(
        settings,
        agency.device,
        agency.recipients,
        media=media or stub_media(),
        seed=seed,
        docked=docked,
        disk=disk or SimulatedDisk(),
        roots=[agency.root],
    )
    camera.agency = agency
    if boot:
        camera.boot()
    return camera


def digest(disk: SimulatedDisk) -> str:
    """One digest over every file of a disk."""
    total = hashlib.sha256()
    for path, data in disk.files():
        total.update(f"{path} {len(data)} ".encode() + data)
    return total.hexdigest()
