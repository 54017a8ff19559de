"""How a camera starts that was not switched off for weeks: 60 hours of recording in one boot.

The ledger is written by the vault itself, with real signatures; syncs are left out, and segments
hold a few bytes: neither is read at a start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.goal import Line, at_most, plain
from bwv_device.camera.vault.recovery import boot_vault
from bwv_device.camera.vault.vault import Receipt, Vault
from bwv_device.formats.signature import KEY_ENTROPY
from bwv_device.formats.vault_layout import SegmentName
from hal.host import HostDisk
from sim.world.test_keys import BenchAgency

MEMORY = Path("/dev/shm")
HALF_SECONDS_A_SEGMENT = 120
SURVEY = """
import json, sys, time
from pathlib import Path
from bwv_device.camera.vault.recovery import survey
from hal.host import HostDisk
disk, certificate = HostDisk(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()
def peak_kib():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
before, began = peak_kib(), time.process_time()
found = survey(disk, certificate)
took = time.process_time() - began
print(json.dumps([took, (peak_kib() - before) / 1024, len(found.open_segments)]))
"""
SEAL = {"chunks": 1, "plaintext_length": 1, "plaintext_sha256": "0" * 64, "video_units": 1800,
        "audio_units": 2800, "first_pts_ns": 0, "end_pts_ns": 1}  # fmt: skip


class Unsynced(HostDisk):
    def sync(self, path: str) -> None:
        return


def run() -> Iterator[Line]:
    """60 hours: 30 days of a recording of two hours each."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        root, certificate = Path(folder, "vault"), Path(folder, "device.pem")
        root.mkdir()
        agency = BenchAgency()
        certificate.write_bytes(agency.device.certificate_pem)
        vault = _boot(root, agency)
        for day in range(30):
            _record(vault, day + 1, hours=2, last_closes=day < 29)
        size = (root / "ledger/00000001.ledger").stat().st_size
        yield plain("60 hours in one boot: lines", f"{vault.anchor.number:,}")
        yield plain("their ledger file", f"{size / 1e6:.0f} MB")
        took_s, grown_mib, still_open = _survey(root, certificate)
        assert still_open == 1
        yield at_most("what was open is found: CPU", took_s, 1.0, " s")
        yield at_most("memory over what the process had", grown_mib, 40, " MiB")
    yield from _removals()


def _boot(root: Path, agency: BenchAgency) -> Vault:
    about = {"software": "bench", "config_sha256": ""}
    entropy = os.urandom(KEY_ENTROPY)
    return boot_vault(Unsynced(root), agency.device, entropy, 0, about, "power cut")[0]


def _record(vault: Vault, number: int, hours: int, *, last_closes: bool) -> None:
    recording, segments = f"00000001-{number:04d}", hours * 60
    for index in range(1, segments + 1):
        name, t_ns = str(SegmentName(1, number, index)), index * 60 * 10**9
        head = {"recording": recording, "header": "h" * 1700, "nonce": "0" * 32,
                "first_pts_ns": 0, "index": index}  # fmt: skip
        vault.open(name, b"h" * 1716, t_ns, head)
        for half in range(HALF_SECONDS_A_SEGMENT):
            vault.append(name, [b"y" * 64], t_ns, {"chunks": half, "video_until_ns": half})
        if index < segments or last_closes:
            vault.seal(name, [b"x"], t_ns, SEAL)
    if last_closes:
        last = str(SegmentName(1, number, segments))
        vault.close(recording, last, 0, {"reason": "officer", "duration_ms": 7_200_000})


def _survey(root: Path, certificate: Path) -> tuple[float, float, int]:
    command = [sys.executable, "-c", SURVEY, str(root), str(certificate)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    took_s, grown_mib, still_open = json.loads(done.stdout)
    return took_s, grown_mib, still_open


def _removals() -> Iterator[Line]:
    """Removing 200 files that were delivered, from a card that holds 1,000 and 10,000."""
    each = {count: _removed_s(count) for count in (1_000, 10_000)}
    yield plain("removing a delivered file, of 1,000", f"{1000 * each[1_000]:.2f} ms")
    yield at_most("of 10,000, against that", each[10_000] / each[1_000], 1.5, " x")


def _removed_s(count: int) -> float:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        root = Path(folder, "vault")
        root.mkdir()
        vault = _boot(root, BenchAgency())
        (root / "footage").mkdir(exist_ok=True)
        names = [str(SegmentName(1, 1 + n // 9000, 1 + n % 9000)) for n in range(count)]
        for name in names:
            (root / "footage" / name).write_bytes(b"q")
        sha256 = "8e35c2cd3bf6641bdb0e2050b76932cbb2e6034a0ddacc1d9bea82a6ba57f7cf"
        began = time.process_time()
        for name in names[:200]:
            vault.wipe(Receipt(name, 1, sha256, "x"), 0)
        return (time.process_time() - began) / 200
