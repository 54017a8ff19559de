"""`bwv demo`: one simulated shift of the real agent, in virtual time, with real H.264 and AAC."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bwv_device import keys
from bwv_device.commands.verify import exit_code
from bwv_device.errors import VaultError
from bwv_device.evidence.export import Exported, export
from bwv_device.evidence.verify import Report, verify
from bwv_device.settings import Sealing, Settings
from hal.host import HostEntropy
from hal.keystore import SoftwareIdentity
from hal.stills import PyavStills
from sim import report, shift
from sim.clip import Clip
from sim.scene import Scene
from sim.sound import Sound, street
from sim.world import EPOCH_UTC_NS, Media, World

DEVICE = "demo-camera-1"
MARK = "bwv-demo"
MADE = ("vault", "keys", "export", "report.json", "index.html", MARK)


@click.command()
@click.option("--out", default="demo-shift", show_default=True, type=click.Path(path_type=Path))
@click.option("--clip", type=click.Path(path_type=Path), help="A video file instead of the scene.")
@click.option(
    "--recipient-type",
    type=click.Choice(["mlkem768x25519", "X25519"]),
    default="mlkem768x25519",
    show_default=True,
)
def command(out: Path, clip: Path | None, recipient_type: str) -> None:
    """Plays a shift: two recordings, a power cut in the second, recovery, docking.

    Leaves vault, keys, playable MP4s, report.json and index.html in the folder given by --out.
    """
    console, began = Console(highlight=False), time.monotonic()
    sealing = Sealing(recipient_type="X25519" if recipient_type == "X25519" else "mlkem768x25519")
    settings = replace(Settings(), sealing=sealing)
    scene = _scene(settings, clip)
    try:
        _prepare(out)
        world = _world(settings, scene, out / "keys", recipient_type)
        with _ShiftProgress(console) as advance:
            shift.play(world, advance)
    finally:
        scene.close()
    world.disk.dump(out / "vault")
    with console.status("verifying, exporting, decoding every picture"):
        verified = verify(out / "vault", keys.load_certificates(out / "keys" / keys.ROOT))
        identities = keys.load_identities(out / "keys" / keys.IDENTITY)
        exported = export(out / "vault", verified, identities, out / "export")
        summary = report.write(world, out, verified, exported)
    _show(console, summary, exported, verified, time.monotonic() - began)
    console.print(f"Look at [bold]{out / 'index.html'}[/] in a browser.")
    decoded = all(row["decoded"] == row["pictures"] for row in summary["recordings"])
    raise SystemExit(exit_code(verified) or (0 if decoded else 1))


def _scene(settings: Settings, clip: Path | None) -> Scene | Clip:
    video = settings.video
    size = (video.width, video.height, video.fps, video.bitrate_kbps * 1000)
    return Clip(clip, *size) if clip else Scene(*size, EPOCH_UTC_NS)


def _prepare(out: Path) -> None:
    """An older demo's folder is replaced; anything else is left alone."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).exists():
            raise VaultError(
                f"{out} is no folder of an earlier demo, so it is left alone.",
                "Name another with --out.",
            )
        for name in MADE:
            path = out / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).write_text("Made by 'bwv demo'. The keys in here are for the demo only.\n")


def _world(settings: Settings, scene: Scene | Clip, folder: Path, recipient_type: str) -> World:
    now = datetime.datetime.now(datetime.UTC)
    keys.make_agency(folder, "demo agency", recipient_type, HostEntropy(), now)
    keys.make_device(folder, folder, DEVICE, HostEntropy(), now)
    (folder / "README.txt").write_text(
        "Keys of a demonstration. agency-identity.txt opens the footage in ../vault.\n"
        "Never use them for anything else.\n"
    )
    sound = Sound(
        scene.samples if isinstance(scene, Clip) else street, settings.audio.bitrate_kbps * 1000
    )
    return World(
        settings,
        SoftwareIdentity.load(folder / keys.DEVICE_KEY, folder / keys.DEVICE),
        keys.load_recipients(folder / keys.RECIPIENTS),
        media=Media(scene, sound, PyavStills()),
        docked=True,
        entropy=HostEntropy(),
    )


class _ShiftProgress:
    """A bar over the seconds of the shift."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("shift"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.0f} of {task.total} s"),
            TimeRemainingColumn(),
            console=console,
        )

    def __enter__(self) -> Callable[[float], None]:
        self._bar.start()
        task = self._bar.add_task("shift", total=shift.LENGTH_S)
        return lambda seconds: self._bar.update(task, completed=seconds)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _show(
    console: Console,
    summary: dict[str, Any],
    exported: list[Exported],
    verified: Report,
    took_s: float,
) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("recording", "length", "before the press", "pictures", "decoded", "verdict"):
        table.add_column(name, justify="left" if name in ("recording", "verdict") else "right")
    for film in summary["recordings"]:
        table.add_row(
            film["name"],
            f"{film['duration_s']:.1f} s",
            f"{film['pre_event_s']:.1f} s",
            str(film["pictures"]),
            str(film["decoded"]),
            film["statuses"],
        )
    console.print(table)
    word = "[green]verified[/]" if verified.complete else "[red]not verified[/]"
    console.print(
        f"{summary['shift_s']:.0f} s of shift in {took_s:.0f} s; {verified.lines} ledger lines of "
        f"{verified.boots} boots: {word}"
    )
    for problem in verified.problems:
        console.print(f"[red]{problem}[/]")
