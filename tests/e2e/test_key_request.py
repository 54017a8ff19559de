"""A camera makes its key itself: a request goes to the agency, an answer comes back, and then it
records. What was changed on the way, or is somebody else's, is refused."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bwv_device.commands.key_files import key_request
from bwv_device.errors import KeyFileError
from hal.host import HostEntropy


def bwv(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bwv_device", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An agency, a camera's folder, and a stick."""
    assert bwv("keygen", "agency", folder=tmp_path).returncode == 0
    (tmp_path / "stick").mkdir()
    return tmp_path


def asked(place: Path) -> Path:
    done = bwv("request", "--keys", "camera/keys", "--stick", "stick", folder=place)
    assert done.returncode == 0, done.stderr
    (file,) = (place / "stick").glob("bwv-request-*.pem")
    return file


def answered(place: Path, request: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return bwv(
        "provision", "cam-7", "--agency", "agency", "--request", request, *more, folder=place
    )


def test_only_public_things_travel_and_the_camera_records(place: Path) -> None:
    request = asked(place)
    (place / "cam.toml").write_text("[video]\nfps = 10\n")
    done = answered(place, request, "--config", "cam.toml")
    assert done.returncode == 0, done.stderr
    mark = request.stem.removeprefix("bwv-request-")
    assert mark in done.stderr
    for file in (place / "stick").rglob("*"):
        assert file.is_dir() or b"PRIVATE" not in file.read_bytes()
    done = bwv("request", "--keys", "camera/keys", "--stick", "stick", folder=place)
    assert "This is the camera cam-7 now" in done.stdout
    assert (place / "camera" / "config.toml").read_text() == "[video]\nfps = 10\n"
    assert (place / "camera/keys/device-key.pem").stat().st_mode & 0o777 == 0o600
    again = bwv("request", "--keys", "camera/keys", folder=place)
    assert f"has its certificate; its key is {mark}" in again.stdout
    run = bwv("run", "--seconds", 2, "--board", "sim", folder=place / "camera")
    assert run.returncode == 0, run.stderr
    verified = bwv("verify", "camera/vault", "--root", "agency/agency-root.pem", folder=place)
    assert verified.returncode == 0, verified.stdout


def test_without_a_stick_the_request_is_printed(place: Path) -> None:
    done = bwv("request", "--keys", "keys", folder=place)
    asked_for = x509.load_pem_x509_csr(done.stdout.encode())
    assert asked_for.is_signature_valid
    assert bwv("request", "--keys", "keys", folder=place).stdout == done.stdout, "the same key"


def test_a_request_that_was_changed_is_refused(place: Path) -> None:
    request = asked(place)
    raw = x509.load_pem_x509_csr(request.read_bytes()).public_bytes(Encoding.DER)
    broken = bytearray(raw)
    broken[-5] ^= 1
    body = base64.encodebytes(bytes(broken)).decode()
    request.write_text(
        f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    )
    done = answered(place, request)
    assert done.returncode == 5
    assert "its signature does not hold" in done.stderr
    request.write_text("nonsense")
    assert answered(place, request).returncode == 5


def test_an_answer_for_another_camera_or_of_another_agency_is_not_taken(place: Path) -> None:
    key = key_request.own_key(place / "camera/keys", HostEntropy())
    answered(place, asked(place))
    (folder,) = (place / "stick").glob("bwv-answer-*")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = key_request.own_key(place / "other", HostEntropy())
    with pytest.raises(KeyFileError, match="another camera's key"):
        key_request.take(files, place / "other", other)
    with pytest.raises(KeyFileError, match="lacks agency-root"):
        key_request.take({}, place / "camera/keys", key)
    assert key_request.take(files, place / "camera/keys", key) == "cam-7"
    assert bwv("keygen", "agency2", folder=place).returncode == 0
    foreign = dict(files, **{"agency-root.pem": (place / "agency2/agency-root.pem").read_bytes()})
    with pytest.raises(KeyFileError, match="does not lead to the root"):
        key_request.take(foreign, place / "camera/keys", key)
    shutil.rmtree(folder)
    (request,) = (place / "stick").glob("bwv-request-*.pem")
    done = bwv("provision", "cam-7", "--agency", "agency2", "--request", request, folder=place)
    assert done.returncode == 0
    done = bwv("request", "--keys", "camera/keys", "--stick", "stick", folder=place)
    assert done.returncode == 5
    assert "another agency than this camera belongs to" in done.stderr


def test_the_certificate_is_taken_last(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first boot looks no further once it is there: cut off before, it is taken again."""
    key = key_request.own_key(place / "camera/keys", HostEntropy())
    answered(place, asked(place))
    (folder,) = (place / "stick").glob("bwv-answer-*")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    write, left = key_request.write_durably, [2]

    def cut(path: Path, data: bytes) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(path, data)

    monkeypatch.setattr(key_request, "write_durably", cut)
    with pytest.raises(KeyboardInterrupt):
        key_request.take(files, place / "camera/keys", key)
    assert not (place / "camera/keys/device.pem").exists()
    monkeypatch.undo()
    assert key_request.take(files, place / "camera/keys", key) == "cam-7"


def test_a_configuration_that_can_not_be_used_is_not_taken(place: Path) -> None:
    request = asked(place)
    (place / "cam.toml").write_text("[video]\nfps = 10\n")
    answered(place, request, "--config", "cam.toml")
    (folder,) = (place / "stick").glob("bwv-answer-*")
    (folder / "config.toml").write_text("[video]\nfps = 1000\n")
    done = bwv("request", "--keys", "camera/keys", "--stick", "stick", folder=place)
    assert done.returncode == 3
    assert not (place / "camera/keys/device.pem").exists()


def test_the_request_can_be_scanned_from_a_screen(tmp_path: Path) -> None:
    """Another library reads the code as it is printed."""
    import cv2
    import numpy as np

    done = bwv("request", "--keys", "camera/keys", "--qr", folder=tmp_path)
    code = [line for line in done.stderr.splitlines() if set(line) <= set("█▀▄ ") and line]
    light = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    width = max(map(len, code))
    rows = [[light[mark][half] for mark in line.ljust(width)] for line in code for half in (0, 1)]
    modules = np.array(rows, np.uint8) * 255
    scanned = {
        reader.detectAndDecode(np.kron(modules, np.ones((size, size), np.uint8)))[0]
        for size in (5, 6, 8, 10)  # as near as one likes
        for reader in (cv2.QRCodeDetector(), cv2.QRCodeDetectorAruco())
    } - {""}
    assert scanned == {done.stdout}
    assert "BEGIN CERTIFICATE REQUEST" in done.stdout
    plain = bwv("request", "--keys", "camera/keys", folder=tmp_path)
    assert "█" not in plain.stderr
