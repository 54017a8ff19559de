"""No frame of plaintext touches storage, and what the camera stores opens nothing."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.camera_bench import Camera

from bwv_device import keys
from bwv_device.errors import SealedFileError
from bwv_device.formats import age
from bwv_device.formats.age_payload import CHUNK, NONCE, TAG, Opener
from hal.simulated.disk import SimulatedDisk
from hal.simulated.power_dock_and_place import MARKER
from sim.world.test_keys import BenchAgency


class RememberingDisk(SimulatedDisk):
    """Keeps every byte ever written, also of what is removed or renamed later."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = bytearray()

    def append(self, path: str, *blocks: bytes) -> None:
        self.raw += b"".join(blocks)
        super().append(path, *blocks)


def recorded(camera: Callable[..., Camera], disk: SimulatedDisk) -> Camera:
    it = camera(disk=disk, recording={"pre_event_audio": True}, video={"bitrate_kbps": 500})
    it.run(seconds=10)
    it.press_record_twice()
    it.run(seconds=5)
    it.press_marker(times=2)
    it.run(seconds=5)
    it.hold_record()
    it.run(seconds=1)
    it.shut_down()
    return it


def test_the_marker_of_every_unit_is_never_on_the_disk(camera: Callable[..., Camera]) -> None:
    disk = RememberingDisk()
    it = recorded(camera, disk)
    assert MARKER in it.media.video.gop(3)[4]  # the detector has something to find
    assert MARKER in it.media.audio.frame(5)
    assert len(disk.raw) > 500_000
    assert MARKER not in disk.raw


def test_nothing_reaches_storage_before_the_press(camera: Callable[..., Camera]) -> None:
    it = camera()
    it.run(seconds=1)
    before = {path for path, _ in it.disk.files()}
    it.run(seconds=120)
    assert {path for path, _ in it.disk.files()} == before
    assert not any(path.startswith("footage/") for path in before)
    assert {line["kind"] for line in it.ledger()} == {"boot", "recovery", "state"}


def test_no_secret_of_the_camera_opens_footage(
    camera: Callable[..., Camera], agency: BenchAgency
) -> None:
    it = recorded(camera, SimulatedDisk())
    key = load_pem_private_key(agency.files[keys.DEVICE_KEY], None)
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    identities = [age.X25519Identity(scalar), age.HybridIdentity(scalar)]
    sealed = [data for path, data in it.disk.files() if path.endswith(".age")]
    assert sealed
    for data in sealed:
        with pytest.raises(SealedFileError):
            Opener(io.BytesIO(data), identities)
        for secret in (scalar[:16], scalar[16:]):
            assert not opens_with_file_key(data, secret)
    assert list(Opener(io.BytesIO(sealed[0]), agency.identities).chunks())


def opens_with_file_key(data: bytes, file_key: bytes) -> bool:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    start = len(age.parse_header(data).raw)
    nonce, chunk = data[start : start + NONCE], data[start + NONCE :][: CHUNK + TAG]
    cipher = ChaCha20Poly1305(age.payload_key(file_key, nonce))
    for last in (b"\x00", b"\x01"):
        try:
            cipher.decrypt(bytes(11) + last, chunk, None)
        except InvalidTag:
            continue
        return True
    return False


def test_pre_event_sound_stays_out_where_policy_says_so(
    camera: Callable[..., Camera], agency: BenchAgency
) -> None:
    it = camera(recording={"pre_event_s": 10})
    it.run(seconds=20)
    it.press_record_twice()
    it.run(seconds=5)
    it.hold_record()
    it.run(seconds=1)
    opened = it.ledger("open")[0]
    assert opened["pre_event"]["audio"] == "not captured by policy"
    pressed, first = opened["pressed_ns"], opened["first_pts_ns"]
    assert pressed - first >= 10_000_000_000
    sounds = [numbered for numbered in sound_times(it, agency) if numbered + first < pressed]
    assert sounds == []


def sound_times(it: Camera, agency: BenchAgency) -> list[int]:
    from bwv_device.formats.media.mp4_reader import fragments, units
    from hal.ports import Track

    data = next(data for path, data in it.disk.files() if path.endswith(".mp4.age"))
    plain = b"".join(Opener(io.BytesIO(data), agency.identities).chunks())
    found = [u for moof, mdat in fragments(plain) for u in units(plain, moof, mdat, 48_000)]
    times = [unit.pts_ns for unit in found if unit.track is Track.AUDIO]
    assert times, "there must be sound after the press"
    return times
