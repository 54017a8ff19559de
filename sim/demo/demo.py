"""`bwv demo`: one simulated shift of the real agent, in virtual time, with real H.264 and AAC."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bwv_device import keys
from bwv_device.custody import s3_policies
from bwv_device.errors import VaultError
from bwv_device.files import writable_folder
from bwv_device.formats import age
from bwv_device.settings import Dock, Sealing, Settings
from bwv_device.verification.conclusion import conclude
from bwv_device.verification.export import Exported
from bwv_device.verification.vault_report import Report, verify
from hal.host import HostEntropy, InUseError, lock_folder
from hal.keystore import SoftwareIdentity
from hal.stills import PyavStills
from hal.stores.directory import DirectoryStore
from sim.demo import report, shift
from sim.demo.custody_weeks import Afterwards, Stores
from sim.media.clip import Clip
from sim.media.scene import Scene
from sim.media.sound import Sound, street, with_beeper
from sim.servers.seaweedfs import SeaweedFS
from sim.world.test_keys import FOUNDED
from sim.world.world import EPOCH_UTC_NS, Media, World

DEVICE = "demo-camera-1"
MARK = "bwv-demo"
BUCKET = "evidence"
MADE = ("vault", "keys", "export", "evidence", "disclosure", "seaweedfs", "seaweedfs.log",
        "report.json", "index.html", MARK)  # fmt: skip


@click.command()
@click.option("--out", default="demo-shift", show_default=True, type=click.Path(path_type=Path))
@click.option("--clip", type=click.Path(path_type=Path), help="A video file instead of the scene.")
@click.option(
    "--recipient-type",
    type=click.Choice(["mlkem768x25519", "X25519"]),
    default="mlkem768x25519",
    show_default=True,
)
@click.option("--s3", is_flag=True, help="Deliver to a real S3 server (SeaweedFS) on loopback.")
def command(out: Path, clip: Path | None, recipient_type: str, s3: bool) -> None:
    """Plays a shift and what becomes of it: three recordings, a power cut in the second, recovery,
    docking, receipts; then 32 days in the evidence store: held, asked for, erased, disclosed.

    Leaves vault, keys, evidence store, playable MP4s, the disclosure, report.json and index.html in
    the folder given by --out.
    """
    console, began = Console(highlight=False), time.monotonic()
    sealing = Sealing(recipient_type="X25519" if recipient_type == "X25519" else "mlkem768x25519")
    dock = Dock(store="evidence", poll_ms=500)
    settings = replace(Settings(), sealing=sealing, dock=dock)
    scene = _scene(settings, clip)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(scene.close)
        _prepare(out)
        world = _world(settings, scene, out / "keys", recipient_type)
        stores, ahead_ns = _s3(cleanup, out, world) if s3 else (_directory(out), 0)
        world.line = stores.camera
        roots = keys.load_certificates(out / "keys" / keys.ROOT)
        afterwards = Afterwards(world, stores, roots, _Signers(out / "keys"), ahead_ns=ahead_ns)
        afterwards.start()
        with _ShiftProgress(console) as advance:
            shift.play(world, advance)
        world.disk.dump(out / "vault")
        with console.status("verifying, opening, decoding every picture"):
            verified = verify(out / "vault", roots)
            identities = keys.load_identities(out / "keys" / keys.IDENTITY)
            exported = _films(afterwards, out, identities)
        with console.status("32 days in the evidence store"):
            root_pem = (out / "keys" / keys.ROOT).read_bytes()
            custody, package = afterwards.play(out, root_pem, identities)
        custody["disclosed"] = [str(path.relative_to(out)) for path in package.films]
        summary = report.write(world, out, verified, exported, custody)
    _show(console, summary, exported, verified, time.monotonic() - began)
    console.print(f"Look at [bold]{out / 'index.html'}[/] in a browser.")
    decoded = all(row["decoded"] == row["pictures"] for row in summary["recordings"])
    good = decoded and not custody["problems"] and (s3 or len(custody["erased"]) == 1)
    raise SystemExit(conclude(verified).value or (0 if good else 1))


def _directory(out: Path) -> Stores:
    (out / "evidence").mkdir()
    store = DirectoryStore(out / "evidence")
    return Stores(*[store] * len(Stores._fields))


def _s3(cleanup: contextlib.ExitStack, out: Path, world: World) -> tuple[Stores, int]:
    """A real server with a key for each role. It locks by its own clock, so that the shift is made
    today: what is due in 31 days by custody's clock, the server then still protects."""
    weed = SeaweedFS(out / "seaweedfs")
    weed.policies = {name: s3_policies.role(BUCKET, name) for name in s3_policies.ROLES}
    weed.policies["camera"] = s3_policies.camera(BUCKET, DEVICE)
    weed.start()
    cleanup.callback(weed.stop)
    weed.make_bucket(BUCKET)
    ahead_ns = time.time_ns() - world.clock.utc().utc_ns
    world.clock.set(ahead_ns, 1_000_000, "ntp")
    return Stores(*[weed.store(BUCKET, name) for name in Stores._fields]), ahead_ns


def _films(afterwards: Afterwards, out: Path, identities: Sequence[age.Identity]) -> list[Exported]:
    """Opened from the store, then laid side by side."""
    (out / "export").mkdir()
    with tempfile.TemporaryDirectory() as folder:
        made = afterwards.films(Path(folder), identities)
        for path in {path for item in made for path in item.path.parent.iterdir()}:
            shutil.copyfile(path, out / "export" / path.name)
    return [item._replace(path=out / "export" / item.path.name) for item in made]


class _Signers:
    """Role keys of the demo, made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, role: str) -> SoftwareIdentity:
        path = self._folder / "roles" / f"{name.replace(' ', '-')}.{role}-key.pem"
        if not path.exists():
            keys.make_role(self._folder, path.parent, name, role, HostEntropy(), FOUNDED)
        return SoftwareIdentity.load(path, path)


def _scene(settings: Settings, clip: Path | None) -> Scene | Clip:
    video = settings.video
    size = (video.width, video.height, video.fps, video.bitrate_kbps * 1000)
    return Clip(clip, *size) if clip else Scene(*size, EPOCH_UTC_NS)


def _prepare(out: Path) -> None:
    """An older demo's folder is replaced; anything else is left alone."""
    writable_folder(out)
    try:
        # Until this process ends: a second demo would remove the files of this one.
        lock_folder(out)
    except InUseError as error:
        raise VaultError(
            f"{out} is in use by another demo (process {error.pid}).", "Name another with --out."
        ) from None
    if any(out.iterdir()):
        if not (out / MARK).exists():
            raise VaultError(
                f"{out} is not the folder of an earlier demo, so it is left alone.",
                "Name another with --out.",
            )
        for name in MADE:
            path = out / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).write_text("Made by 'bwv demo'. The keys in here are for the demo only.\n")


def _world(settings: Settings, scene: Scene | Clip, folder: Path, recipient_type: str) -> World:
    # Before the shift, whose day is always the same.
    keys.make_agency(folder, "demo agency", recipient_type, HostEntropy(), FOUNDED)
    keys.make_device(folder, folder, DEVICE, HostEntropy(), FOUNDED)
    (folder / "README.txt").write_text(
        "Keys of a demonstration. agency-identity.txt opens the footage in ../vault.\n"
        "Never use them for anything else.\n"
    )
    samples = scene.samples if isinstance(scene, Clip) else street
    # The world comes into being with its sound.
    heard = with_beeper(samples, lambda from_ns, to_ns: world.sounding(from_ns, to_ns))  # noqa: PLW0108
    sound = Sound(heard, settings.audio.bitrate_kbps * 1000)
    world = World(
        settings,
        SoftwareIdentity.load(folder / keys.DEVICE_KEY, folder / keys.DEVICE),
        keys.load_recipients(folder / keys.RECIPIENTS),
        media=Media(scene, sound, PyavStills()),
        docked=True,
        entropy=HostEntropy(),
        roots=keys.load_certificates(folder / keys.ROOT),
    )
    return world


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
    for day in summary["custody"]["story"]:
        console.print(f"[dim]day {day['day']:>2}[/]  {day['what']}: {day['detail']}")
