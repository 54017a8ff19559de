"""Upload against its peers, a day of one borough, and finding among 100,000 recordings."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.goal import Line, at_least, at_most, plain
from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.search import Wanted, find
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import DOCKING
from bwv_device.formats.ledger_lines import START
from bwv_device.formats.upload_body import BytesBody, FilePart
from bwv_device.keys import CA, CA_KEY, DEVICE, DEVICE_KEY, device_files
from hal.host import HostClock, HostDisk
from hal.keystore import SoftwareIdentity
from hal.ports import SECOND_NS
from hal.simulated.power_dock_and_place import SeededEntropy
from hal.stores.directory import DirectoryStore
from sim.custody.drawn_ledger import drawn_docking
from sim.servers.seaweedfs import SeaweedFS
from sim.world.custody_workers import founded, session
from sim.world.test_keys import FOUNDED, BenchAgency

# One borough's day: 400 cameras, two hours each, in segments of a minute.
CAMERAS, SEGMENTS, SEGMENT_BYTES = 400, 120, 64 << 10
FILES, FILE_BYTES, PAIRS = 24, 8 << 20, 5
RECORDINGS = 100_000
BUCKET = "upload"


# --- upload -----------------------------------------------------------------------------------


def upload() -> Iterator[Line]:
    """Files from disk to SeaweedFS on loopback: ours against boto3's upload_file and rclone, in
    turns, with checksums on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "files")
        folder.mkdir()
        for number in range(FILES):
            (folder / f"{number:03d}").write_bytes(os.urandom(FILE_BYTES))
        weed = SeaweedFS(Path(name, "weed"), volume_mb=512)
        weed.start()
        weed.make_bucket(BUCKET)
        try:
            peers: dict[str, list[float]] = {"ours": [], "boto3 upload_file": [], "rclone copy": []}
            for turn in range(PAIRS):
                for how, took in peers.items():
                    prefix = f"{turn}-{how.split(' ', maxsplit=1)[0]}"
                    took.append(_upload(how, weed, prefix, folder))
            memory_mb = _memory_of_upload(weed, folder)
        finally:
            weed.kill()
    megabytes = FILES * FILE_BYTES / 1e6
    speeds = {how: megabytes / statistics.median(took) for how, took in peers.items()}
    for how, speed in speeds.items():
        yield plain(f"upload, {how}, {FILES} files of 8 MiB", f"{speed:.0f} MB/s")
    fastest = max(speed for how, speed in speeds.items() if how != "ours")
    ratio = speeds["ours"] / fastest
    yield Line("upload, ours to the faster peer", f"{ratio:.2f} ×", "≥ 0.9 ×", reached=ratio >= 0.9)
    yield at_most("upload, resident memory of the process", memory_mb, 100, " MB")


def _upload(how: str, weed: SeaweedFS, prefix: str, folder: Path) -> float:
    began = time.monotonic()
    if how == "ours":
        store, disk = weed.store(BUCKET), HostDisk(folder)
        for path in sorted(folder.glob("[0-9]*")):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            store.create(f"{prefix}/{path.name}", FilePart(disk, path.name, 0, FILE_BYTES, digest))
    elif how.startswith("boto3"):
        client = weed.administrator()
        for path in sorted(folder.glob("[0-9]*")):
            extra = {"ChecksumAlgorithm": "SHA256"}
            client.upload_file(str(path), BUCKET, f"{prefix}/{path.name}", ExtraArgs=extra)
    else:
        place = weed.place(BUCKET)
        remote = {
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_ENDPOINT": place.endpoint,
            "RCLONE_S3_ACCESS_KEY_ID": place.access_key,
            "RCLONE_S3_SECRET_ACCESS_KEY": place.secret_key,
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
            "RCLONE_CONFIG": "/dev/null",
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        command = ["rclone", "copy", "--transfers", "1", str(folder), f":s3:{BUCKET}/{prefix}"]
        subprocess.run(command, check=True, capture_output=True, env={**clean, **remote})
    return time.monotonic() - began


def _memory_of_upload(weed: SeaweedFS, folder: Path) -> float:
    program = (
        "import sys\n"
        "from hal.host import HostDisk\n"
        "from bwv_device.formats.upload_body import FilePart\n"
        "from hal.stores.s3 import S3Place, S3Store\n"
        "from pathlib import Path\n"
        "import hashlib\n"
        "store = S3Store(S3Place(*sys.argv[2:6])); disk = HostDisk(Path(sys.argv[1]))\n"
        "for path in sorted(Path(sys.argv[1]).glob('[0-9]*')):\n"
        "    digest = hashlib.file_digest(path.open('rb'), 'sha256').hexdigest()\n"
        "    store.create(path.name, FilePart(disk, path.name, 0, path.stat().st_size, digest))\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(status.partition('VmHWM:')[2].split()[0])\n"
    )
    place = weed.place(BUCKET)[:4]
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), *place],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(done.stdout) / 1000


# --- a borough's day ----------------------------------------------------------------------------


def borough(cameras: int = CAMERAS) -> Iterator[Line]:
    """Every camera of a borough delivers two hours; two workers take them in."""
    agency = BenchAgency()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "store")
        root.mkdir()
        began = time.monotonic()
        store = founded(DirectoryStore(root))
        for number in range(cameras):
            _deliver(agency, store, number)
        delivered_s = time.monotonic() - began
        began = time.monotonic()
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            worked = pool.starmap(_work, [(str(root), n) for n in range(2)])
        took_s = time.monotonic() - began
        receipts = sum(1 for _ in (root / "outbox").glob("*/receipts/*/*"))
        shutil.rmtree(root)
    files, gigabytes = cameras * SEGMENTS, cameras * SEGMENTS * SEGMENT_BYTES / 1e9
    cpu_s = sum(row["cpu_s"] for row in worked)
    yield plain(
        f"delivered by {cameras} cameras ({files:,} files of 64 KiB)", f"{delivered_s:.0f} s"
    )
    yield plain("taken in and receipted by two workers", f"{took_s:.0f} s")
    yield at_least("receipts", receipts, files)
    yield plain("CPU a segment", f"{cpu_s / files * 1000:.2f} ms")
    yield plain("memory of a worker, at most", f"{max(r['mb'] for r in worked):.0f} MB")
    hash_s = _hash_seconds_per_gb()
    real_gb = cameras * 2 * 3600 * 4e6 / 8 / 1e9
    yield plain(
        f"extrapolated: {real_gb:,.0f} GB of 4 Mbit/s need, beyond that, for SHA-256 on one core",
        f"{(real_gb - gigabytes) * hash_s / 60:.0f} min",
    )


def _hash_seconds_per_gb() -> float:
    data = bytes(64 << 20)
    began = time.process_time()
    hashlib.sha256(data).hexdigest()
    return (time.process_time() - began) / (len(data) / 1e9)


def _deliver(agency: BenchAgency, store: DirectoryStore, number: int) -> None:
    """What a docked camera creates, without the camera: a ledger, a docking, its files."""
    entropy = SeededEntropy(f"borough {number}")
    device = f"cam-{number:04d}"
    issuer = {name: agency.files[name] for name in (CA, CA_KEY)}
    files = device_files(issuer, device, entropy, FOUNDED)
    identity = SoftwareIdentity(files[DEVICE_KEY], files[DEVICE])
    ledger = Ledger(identity, entropy.token(48), 1, START)
    utc_ns = HostClock().utc().utc_ns
    time_ = {"utc_ns": utc_ns - 4 * 3600 * SECOND_NS, "error_ns": SECOND_NS, "source": "ntp"}
    text = ledger.boot_line(0, {"cause": "start", "time": time_})
    wanted, bodies = [], []
    for index in range(SEGMENTS):
        data = entropy.token(SEGMENT_BYTES)
        name = f"00000001-{index // 10 + 1:04d}-{index % 10 + 1:04d}.mp4.age"
        digest, begins_ns = hashlib.sha256(data).hexdigest(), (index + 1) * 60 * SECOND_NS
        opened = {"segment": name, "recording": name[:13], "index": index % 10 + 1, "header": "",
                  "nonce": data[:16].hex(), "first_pts_ns": begins_ns, "officer": f"PC {number}",
                  "trigger": "start",
                  "time": {**time_, "utc_ns": time_["utc_ns"] + begins_ns}}  # fmt: skip
        sealed = {"segment": name, "length": len(data), "sha256": digest, "chunks": 1,
                  "plaintext_length": len(data), "plaintext_sha256": digest,
                  "end_pts_ns": begins_ns + 60 * SECOND_NS}  # fmt: skip
        text += ledger.line("open", begins_ns, opened)
        text += ledger.line("seal", begins_ns + 60 * SECOND_NS, sealed)
        wanted.append({"segment": name, "length": len(data), "sha256": digest})
        bodies.append((f"footage/{device}/{name}/{digest}", data))
    nonce = entropy.token(16).hex()
    text += ledger.line("dock", 4 * 3600 * SECOND_NS, {"docked": True, "nonce": nonce})
    anchor = {"number": ledger.head.number, "digest": ledger.head.digest}
    said = statement.make(identity, DOCKING, {
        "device": device, "boot": 1, "nonce": nonce, "anchor": anchor, "t": 4 * 3600 * SECOND_NS,
        "battery": 50, "time": {**time_, "utc_ns": utc_ns},
        "ledgers": [{"boot": 1, "length": len(text)}], "files": wanted,
    })  # fmt: skip
    store.create(f"ledgers/{device}/{nonce}/{1:08d}-{0:012d}", BytesBody(text))
    for key, data in bodies:
        store.create(key, BytesBody(data))
    store.create(f"dockings/{device}/{nonce}", BytesBody(said))


def _work(root: str, number: int) -> dict[str, float]:
    agency = BenchAgency()
    desk = session(agency, DirectoryStore(Path(root)), HostClock(), f"intake {number}", "intake")
    worker = Intake(desk, [agency.root], f"worker-{number}")
    while worker.once().dockings or next(Path(root, "dockings").glob("*/*"), None):
        pass
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "mb": _peak_mb()}


def _peak_mb() -> float:
    """Of this program alone: getrusage counts what stood there before it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


# --- finding ----------------------------------------------------------------------------------


def catalogue() -> Iterator[Line]:
    """The index over 100,000 recordings: built from the store's ledger, then asked."""
    agency = BenchAgency()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "store")
        root.mkdir()
        store = founded(DirectoryStore(root))
        desk = session(agency, store, HostClock(), "intake", "intake")
        for camera in range(RECORDINGS // 250):
            docking, intake = drawn_docking(camera, 250)
            desk.append(lambda docking=docking: ("docking", docking))  # type: ignore[misc]
            desk.append(lambda intake=intake: ("intake", intake))  # type: ignore[misc]
        began = time.monotonic()
        desk.index.rebuild()
        rebuilt_s = time.monotonic() - began
        asked = {
            "one camera": Wanted(device="cam-00007"),
            "one officer in an hour": Wanted(10**18, 10**18 + 3600 * SECOND_NS, officer="PC 7"),
            "everything in a day": Wanted(10**18, 10**18 + 86_400 * SECOND_NS),
            "what has a marker": Wanted(marker="informed"),
            "what is not held": Wanted(held=False),
        }
        worst = 0.0
        for what, wanted in asked.items():
            began = time.monotonic()
            found = find(desk, wanted)
            took_s = time.monotonic() - began
            worst = max(worst, took_s)
            yield plain(f"find {what} ({len(found)} shown)", f"{took_s * 1000:.0f} ms")
    yield plain("index built anew from the store", f"{rebuilt_s:.1f} s")
    yield at_most("the slowest of these questions", worst, 2, " s")
    yield at_least("recordings", RECORDINGS, RECORDINGS)


def main() -> None:
    """`python -m benchmarks.custody [CAMERAS]`: these alone."""
    cameras = int(sys.argv[1]) if len(sys.argv) > 1 else CAMERAS
    for line in (*upload(), *borough(cameras), *catalogue()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
