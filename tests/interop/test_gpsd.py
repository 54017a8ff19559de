"""Places from a real gpsd, fed by its own gpsfake with a receiver's sentences."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.host import HostClock
from hal.ports import Fix
from hal.rpi.location import GpsdLocation

WAIT_S = 30.0


def sentence(body: str) -> str:
    """NMEA 0183: the checksum is the exclusive or of everything between $ and *."""
    checksum = 0
    for character in body:
        checksum ^= ord(character)
    return f"${body}*{checksum:02X}\r\n"


def receiver(quality: int) -> str:
    """Half a minute in London; quality 0 is a receiver that sees no satellites."""
    text, valid = "", "A" if quality else "V"
    for second in range(30):
        at = f"1015{second:02d}.00"
        place = "5130.4331,N,00007.6552,W" if quality else ",,,"
        text += sentence(f"GPGGA,{at},{place},{quality},08,0.9,45.0,M,47.0,M,,")
        dimensions = 3 if quality else 1
        text += sentence(f"GPGSA,A,{dimensions},04,05,09,12,24,25,29,31,,,,,1.6,0.9,1.3")
        text += sentence(f"GPRMC,{at},{valid},{place},000.5,054.7,231126,,,A")
    return text


@pytest.fixture(params=[1, 0], ids=["fix", "no fix"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Quality and port."""
    gpsfake = shutil.which("gpsfake")
    if gpsfake is None:
        pytest.fail("run 'sh scripts/install-tools' first: gpsfake is missing")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "receiver.nmea").write_text(receiver(request.param))
    process = subprocess.Popen(
        [gpsfake, "-q", "-c", "0.05", "-P", str(port), "-S", str(tmp_path / "receiver.nmea")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    yield request.param, port
    process.terminate()
    process.wait(WAIT_S)


def test_the_place_is_that_of_the_receiver(daemon: tuple[int, int]) -> None:
    quality, port = daemon
    location = GpsdLocation("127.0.0.1", port, HostClock(), again_s=0.2)
    fix: Fix | None = None
    for _ in range(100 if quality else 20):
        fix = location.fix()
        if fix is not None:
            break
        threading.Event().wait(0.1)
    if not quality:
        assert fix is None
        return
    assert fix is not None
    assert fix[:2] == (515072183, -1275867)
    assert 0 < fix.error_m < 100


def test_a_daemon_that_is_not_there_is_no_place() -> None:
    assert GpsdLocation("127.0.0.1", 9, HostClock()).fix() is None
