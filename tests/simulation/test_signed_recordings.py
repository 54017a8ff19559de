"""What the camera signed within the pictures, judged through the seal (`bwv verify --identity`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.camera_bench import make_camera
from support.made_vault import MadeVault

from bwv_device.camera.recording.video_signer import SigningChain, VideoSigner, video_vendor
from bwv_device.commands.verify import command
from bwv_device.formats.age_payload import Opener, Seal
from bwv_device.formats.media.h264 import ParameterSets, append_nal
from bwv_device.formats.media.mp4_reader import fragments, runs
from bwv_device.verification.signed_recordings import judge_recordings
from bwv_device.verification.vault_report import survey
from bwv_device.verification.video_signatures import UNSIGNED, Answer, VideoVerdict
from hal.ports import AccessUnit, SigningError, Track
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.test_keys import BenchAgency

ONE, TORN, LAST = "00000001-0001", "00000001-0002", "00000002-0001"


@pytest.fixture
def vault(made_vault: MadeVault, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_vault.path, tmp_path / "vault"))


def judged(vault: Path, agency: BenchAgency) -> dict[str, VideoVerdict]:
    return judge_recordings(survey(vault, [agency.root]), agency.identities, [agency.root])


def test_recordings_are_genuine_across_their_segments(vault: Path, agency: BenchAgency) -> None:
    verdicts = judged(vault, agency)
    assert set(verdicts) == {ONE, TORN, LAST}
    for name in (ONE, LAST):
        assert verdicts[name].answer is Answer.GENUINE, verdicts[name]
        assert verdicts[name].slices
        assert not verdicts[name].unsigned_slices
    torn = verdicts[TORN]
    assert torn.answer is Answer.EXCEPTION
    assert torn.groups
    assert "are not signed" in "".join(torn.exceptions)


def test_another_agency_s_root_is_told(vault: Path, agency: BenchAgency) -> None:
    other = BenchAgency("another")
    verdicts = judge_recordings(survey(vault), agency.identities, [other.root])
    assert {verdict.answer for verdict in verdicts.values()} == {Answer.NOT_GENUINE}


def changed_picture(data: bytearray) -> None:
    """One bit, in the last byte of a picture in the middle."""
    found = list(fragments(bytes(data)))
    moof, _ = found[len(found) // 2]
    (run,) = [run for run in runs(data, moof) if run.track is Track.VIDEO]
    data[run.offset + run.sizes[0] - 1] ^= 0x10


def other_parameter_sets(data: bytearray) -> None:
    at = data.index(b"avcC")
    data[at + 4 + 8 + 6] ^= 0x01


CHANGES: dict[str, tuple[Callable[[bytearray], None], str]] = {
    "one bit of a picture": (changed_picture, "group"),
    "the parameter sets": (other_parameter_sets, "other parameter sets than the ledger names"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_beneath_the_seal_is_told(what: str, vault: Path, agency: BenchAgency) -> None:
    """Anybody can seal to the public key; the ledger tells as well, this needs none."""
    (path,) = (vault / "footage").glob(f"{LAST}-0001.mp4.age")
    with path.open("rb") as file:
        data = bytearray(b"".join(Opener(file, agency.identities).whole_chunks()))
    change, told = CHANGES[what]
    change(data)
    seal = Seal(agency.recipients, SeededEntropy("forger"))
    path.chmod(0o600)
    path.write_bytes(seal.header + seal.nonce + b"".join(seal.feed(bytes(data))) + seal.finish())
    verdicts = judged(vault, agency)
    assert verdicts[LAST].answer is Answer.NOT_GENUINE
    assert told in "".join(verdicts[LAST].problems)
    assert verdicts[ONE].answer is Answer.GENUINE


def test_a_segment_that_does_not_open_is_an_exception(vault: Path, agency: BenchAgency) -> None:
    (path,) = (vault / "footage").glob(f"{ONE}-0001.mp4.age")
    path.write_bytes(b"junk" * 1000)
    verdict = judged(vault, agency)[ONE]
    assert verdict.answer is Answer.EXCEPTION
    assert f"{path.name} was not read to its end" in "".join(verdict.exceptions)


def run(vault: Path, agency: BenchAgency, *more: str, root: bool = True) -> tuple[int, str]:
    folder = vault.parent
    (folder / "identity.txt").write_bytes(agency.files["agency-identity.txt"])
    (folder / "root.pem").write_bytes(agency.files["agency-root.pem"])
    words = [str(vault), "--identity", str(folder / "identity.txt"), *more]
    words += ["--root", str(folder / "root.pem")] if root else []
    result = CliRunner().invoke(command, words)
    return result.exit_code, result.output


def test_the_command_says_what_is_missing(vault: Path, agency: BenchAgency) -> None:
    code, told = run(vault, agency)
    assert code == 26
    assert f"inside {ONE}: " in told
    assert f"signed groups, {Answer.EXCEPTION.value}\n  the last" in told
    code, told = run(vault, agency, "--json")
    assert json.loads(told)["inside"][LAST]["answer"] == Answer.GENUINE.value
    code, told = run(vault, agency, root=False)
    assert code == 2
    assert "--identity needs --root" in told


def test_a_camera_that_does_not_sign_inside_is_no_forgery(
    agency: BenchAgency, tmp_path: Path
) -> None:
    camera = make_camera(agency, recording={"sign_video": False})
    camera.run(seconds=3)
    camera.press_record_twice()
    camera.run(seconds=3)
    camera.hold_record()
    camera.run(seconds=2)
    camera.shut_down()
    camera.disk.dump(tmp_path / "vault")
    (verdict,) = judged(tmp_path / "vault", agency).values()
    assert (verdict.answer, verdict.exceptions) == (Answer.EXCEPTION, [UNSIGNED])
    assert run(tmp_path / "vault", agency)[0] == 26


@pytest.mark.parametrize("after_s", [6.0, 6.7])
def test_a_stall_leaves_nothing_unsigned(
    agency: BenchAgency, tmp_path: Path, after_s: float
) -> None:
    camera = make_camera(agency, recording={"pre_event_s": 0, "segment_s": 10})
    camera.run(seconds=3)
    camera.press_record_twice()
    camera.run(seconds=after_s)
    camera.camera.stalled = camera.microphone.stalled = True
    camera.run(seconds=6)
    camera.camera.stalled = camera.microphone.stalled = False
    camera.run(seconds=8)
    camera.hold_record()
    camera.run(seconds=2)
    camera.shut_down()
    camera.disk.dump(tmp_path / "vault")
    (verdict,) = judged(tmp_path / "vault", agency).values()
    assert verdict.answer is Answer.GENUINE, verdict


def test_a_picture_of_one_byte_ends_no_recording(agency: BenchAgency) -> None:
    sets = ParameterSets(b"\x67\x42\x00\x1e", b"\x68\xce")
    vendor = video_vendor("bench", sets)
    signer = VideoSigner(SigningChain(), agency.device, vendor, 0)
    data = append_nal(b"", [*sets, b"\x65"])
    unit = AccessUnit(Track.VIDEO, 0, 33_000_000, True, data)
    assert signer.take(unit) == unit


class Switched:
    """`hal.ports.Identity` in a token that is there or not."""

    def __init__(self, agency: BenchAgency) -> None:
        self._inner, self.there = agency.device, True
        self.device, self.certificate_pem = self._inner.device, self._inner.certificate_pem

    def sign(self, message: bytes) -> bytes:
        if not self.there:
            raise SigningError("there is no token 'camera'")
        return self._inner.sign(message)


@pytest.mark.parametrize(("away_s", "answer"), [(12, Answer.GENUINE), (60, Answer.EXCEPTION)])
def test_a_token_that_is_drawn_stops_no_recording(
    tmp_path: Path, away_s: int, answer: Answer
) -> None:
    agency = BenchAgency()
    token = Switched(agency)
    agency.device = token  # type: ignore[assignment]
    recording = {"pre_event_s": 2, "segment_s": 10}
    it = make_camera(agency, recording=recording, video={"bitrate_kbps": 200})
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=8)
    token.there = False
    it.run(seconds=away_s)
    token.there = True
    it.run(seconds=15)
    it.hold_record()
    it.run(seconds=5)
    it.shut_down()
    assert it.verify(tmp_path).ok
    (fault,) = it.ledger("fault")
    assert (fault["part"], fault["reason"]) == ("video signature", "there is no token 'camera'")
    (verdict,) = judged(tmp_path / "vault", agency).values()
    assert verdict.answer is answer, verdict
    assert (verdict.unsigned_slices > 0) == (answer is Answer.EXCEPTION)
