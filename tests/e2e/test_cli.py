"""The `bwv` command as a user meets it: the installed entry point, real files, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest
from support.made_vault import MadeVault
from support.warm_bwv import bwv

import bwv_device
import bwv_device.verification.second_verifier
from bwv_device import keys
from bwv_device.errors import BwvError
from sim.world.test_keys import BenchAgency

BWV = Path(sys.executable).with_name("bwv")


def started_bwv(
    *words: object, cwd: Path | None = None, text_in: str = ""
) -> subprocess.CompletedProcess[str]:
    """As a user starts it."""
    return subprocess.run(
        [str(BWV), *map(str, words)],
        capture_output=True, text=True, check=False, cwd=cwd, input=text_in,
    )  # fmt: skip


@pytest.fixture
def vault(made_vault: MadeVault, tmp_path: Path) -> Path:
    shutil.copytree(made_vault.path, tmp_path / "vault")
    return tmp_path / "vault"


@pytest.fixture
def agency_keys(agency: BenchAgency, tmp_path: Path) -> Path:
    folder = tmp_path / "agency"
    folder.mkdir()
    for name, content in agency.files.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_wheel_is_what_is_tested() -> None:
    assert "site-packages" in bwv_device.__file__


def test_help_lists_every_command_and_exit_code() -> None:
    said = started_bwv("--help").stdout
    for word in (
        "config",
        "custody",
        "demo",
        "export",
        "keygen",
        "ledger",
        "provision",
        "run",
        "verify",
    ):
        assert word in said
    assert "docs/commands.md" in said
    table = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    codes = {c.exit_code for c in [BwvError, *BwvError.__subclasses__()]} - {1}
    assert all(f"| {code} |" in table for code in codes)
    for command in ("demo", "export", "keygen", "ledger", "provision", "run", "verify"):
        assert bwv(command, "--help").returncode == 0


def test_tab_completion_knows_the_commands() -> None:
    done = subprocess.run(
        [str(BWV)],
        env={"_BWV_COMPLETE": "bash_complete", "COMP_WORDS": "bwv ve", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "verify" in done.stdout


class Said:
    """The lines that a running process prints, as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: list[str] = []
        self._came = threading.Condition()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def has(self, words: str) -> bool:
        return any(words in line for line in self._lines)

    def wait(self, words: str, timeout_s: float = 20) -> None:
        with self._came:
            assert self._came.wait_for(lambda: self.has(words), timeout_s), self._lines

    def pause(self) -> None:
        """Until something is printed, or a second and a half."""
        with self._came:
            self._came.wait(1.5)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._came:
                self._lines.append(line)
                self._came.notify_all()


def test_keys_camera_recording_verification_export(tmp_path: Path) -> None:
    """The whole way in real time: keygen, provision, run with presses, verify, export, ledger."""
    assert bwv("keygen", "agency", cwd=tmp_path).returncode == 0
    done = bwv("provision", "cam-7", "--agency", "agency", "--out", "keys", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "keys" / keys.IDENTITY).exists(), "no secret of the agency on the camera"
    (tmp_path / "small.toml").write_text(
        "[video]\nwidth = 320\nheight = 240\nbitrate_kbps = 400\n[recording]\npre_event_s = 1\n"
    )
    camera = subprocess.Popen(
        [str(BWV), "run", "--config", "small.toml", "--seconds", "12"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = Said(camera.stdout)
    said.wait("starting → ready")
    while not said.has("ready → recording"):  # refused until the encoder delivers
        camera.stdin.write("record\n")
        camera.stdin.flush()
        said.pause()
    camera.stdin.close()
    camera.wait(timeout=60)
    said.wait("recording → stopped")
    assert camera.returncode == 0

    root = tmp_path / "keys" / keys.ROOT
    done = bwv("verify", "vault", "--root", root, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Verified" in done.stdout
    identity = tmp_path / "agency" / keys.IDENTITY
    done = bwv("export", "vault", "--identity", identity, "--root", root, "--json", cwd=tmp_path)
    film = json.loads(done.stdout)["exported"][0]
    assert Path(tmp_path, film["path"]).stat().st_mode & 0o777 == 0o600
    assert film["video_units"] > 100
    counted = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-of", "csv=p=0",
         "-show_entries", "stream=nb_read_frames", tmp_path / film["path"]],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(counted.stdout.strip().strip(",")) == film["video_units"]
    diary = bwv("ledger", "vault", cwd=tmp_path).stdout
    assert "to recording" in diary
    assert "sync" not in {line.split()[3] for line in diary.splitlines()}


def test_a_press_before_the_camera_listens_is_not_lost(agency_keys: Path, tmp_path: Path) -> None:
    """Piped in, a word is there before the agent is."""
    assert bwv("provision", "cam-1", "--agency", agency_keys, cwd=tmp_path).returncode == 0
    (tmp_path / "camera.toml").write_text(
        "[video]\nwidth = 320\nheight = 240\nfps = 10\nbitrate_kbps = 200\n"
        '[sealing]\nrecipient_type = "X25519"\n'
    )
    words = ["run", "--config", "camera.toml", "--board", "sim", "--seconds", "3"]
    done = started_bwv(*words, cwd=tmp_path, text_in="record\n")
    assert done.returncode == 0, done.stderr
    assert "ready → recording" in done.stdout or "REFUSED" in done.stdout


def test_a_camera_that_is_killed_leaves_nobody_behind(agency_keys: Path, tmp_path: Path) -> None:
    """Its workers have its output open: that ends when the last of them does."""
    assert bwv("provision", "cam-1", "--agency", agency_keys, cwd=tmp_path).returncode == 0
    (tmp_path / "camera.toml").write_text('[sealing]\nrecipient_type = "X25519"\n')
    command = [str(BWV), "run", "--config", "camera.toml", "--board", "sim"]
    run = subprocess.Popen(
        command, cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert run.stdin is not None
    assert run.stdout is not None
    run.stdin.write("record\n")
    run.stdin.flush()
    for line in run.stdout:
        if "→ recording" in line:
            break
    run.kill()
    run.communicate(timeout=30)


def test_verify_speaks_in_exit_codes(vault: Path, agency_keys: Path) -> None:
    root = agency_keys / keys.ROOT
    assert bwv("verify", vault, "--root", root).returncode == 0
    assert bwv("verify", vault).returncode == 12
    last = sorted((vault / "ledger").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-5])
    done = bwv("verify", vault, "--root", root)
    assert done.returncode == 11
    assert "torn" in done.stdout
    next((vault / "footage").iterdir()).unlink()
    done = bwv("verify", vault, "--root", root)
    assert done.returncode == 10
    assert "missing" in done.stdout


def test_bytes_behind_a_signed_stop_are_said_to_be_that(vault: Path, agency_keys: Path) -> None:
    with sorted((vault / "ledger").iterdir())[-1].open("ab") as file:
        file.write(b"something")
    done = bwv("verify", vault, "--root", agency_keys / "agency-root.pem")
    assert done.returncode == 11
    assert "The camera stopped in order" in " ".join(done.stdout.split())


def test_an_endless_end_of_a_ledger_is_read_in_pieces(vault: Path, agency_keys: Path) -> None:
    """600 MiB of zeros, as a sparse file: not in memory, in neither verifier."""
    path = sorted((vault / "ledger").iterdir())[-1]
    os.truncate(path, 600 << 20)
    second = Path(bwv_device.verification.second_verifier.__file__)
    root = agency_keys / "agency-root.pem"
    for command in (["-m", "bwv_device", "verify"], [str(second)]):
        done = subprocess.run(
            ["prlimit", f"--as={400 << 20}", sys.executable, *command, str(vault), "--root",
             str(root)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (11, 2), done.stdout + done.stderr


def test_an_anchor_shows_a_cut_end(vault: Path, agency_keys: Path, made_vault: MadeVault) -> None:
    anchor = json.dumps(made_vault.anchor._asdict())
    root = agency_keys / keys.ROOT
    assert bwv("verify", vault, "--root", root, "--anchor", anchor).returncode == 0
    last = sorted((vault / "ledger").iterdir())[-1]
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))
    assert bwv("verify", vault, "--root", root).returncode == 11
    done = bwv("verify", vault, "--root", root, "--anchor", anchor, "--json")
    assert done.returncode == 10
    assert "cut off" in json.loads(done.stdout)["problems"][0]


def test_export_without_the_right_key_is_one_sentence(vault: Path, tmp_path: Path) -> None:
    bwv("keygen", "strangers", cwd=tmp_path)
    done = bwv("export", vault, "--identity", tmp_path / "strangers" / keys.IDENTITY)
    assert done.returncode == 9
    told = done.stderr.splitlines()
    assert told[0].startswith("No line says that you open this")
    assert "None of the identities opens this file" in told[1]
    assert len(told) == 2


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["verify", "nowhere"], 6, "is not a vault"),
        (["ledger", "nowhere"], 6, "is not a vault"),
        (["verify", "{vault}", "--root", "nothing.pem"], 5, "can't be read"),
        (["verify", "{vault}", "--root", "{vault}/ledger/00000001.ledger"], 7, "no readable cert"),
        (["verify", "{vault}", "--anchor", "{{}}"], 6, "not a ledger head"),
        (["verify", "{vault}", "--anchor", "nothing.json"], 6, "can't be read"),
        (["export", "{vault}", "--identity", "nothing.txt"], 5, "can't be read"),
        (["export", "{vault}", "--identity", "{vault}/ledger/00000001.ledger"], 5, "age"),
        (["export", "{vault}", "--identity", "{keys}/agency-recipients.txt"], 5, "not an age id"),
        (["config", "check", "nothing.toml"], 3, "can't be read"),
        (["run", "--config", "nothing.toml"], 3, "can't be read"),
        (["run"], 5, "bwv provision cam-1"),
        (["provision", "a b", "--agency", "{keys}", "--out", "{new}"], 5, "Invalid camera name"),
        (["provision", "cam", "--agency", "{vault}", "--out", "{new}"], 5, "can't be read"),
        (["keygen", "{keys}"], 5, "never overwritten"),
        (["export", "{vault}", "--identity", "{keys}/agency-identity.txt", "--recording", "x"],
         6, "no recording x"),
        (["verify"], 2, "Missing argument"),
        (["fly"], 2, "No such command"),
    ],
)  # fmt: skip
def test_wrong_input_gets_one_clear_sentence_and_its_code(
    words: list[str], code: int, sentence: str, vault: Path, agency_keys: Path, tmp_path: Path
) -> None:
    places = {"vault": vault, "keys": agency_keys, "new": tmp_path / "new"}
    done = bwv(*(word.format(**places) for word in words), cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_config_check_reports_everything(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[recording]\npre_event_s = 500\nfoo = 1\n")
    done = bwv("config", "check", "bad.toml", cwd=tmp_path)
    assert done.returncode == 3
    assert "recording.pre_event_s" in done.stderr
    assert "recording.foo" in done.stderr
    shutil.copyfile(Path(__file__).parents[2] / "config.toml", tmp_path / "config.toml")
    done = bwv("config", "check", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["settings"]["recording"]["segment_s"] == 60


def test_recipients_of_another_type_than_configured(agency_keys: Path, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f'[sealing]\nrecipients = "{agency_keys / keys.RECIPIENTS}"\n')
    done = started_bwv("run", "--config", "x.toml", cwd=tmp_path)
    assert done.returncode == 5
    assert "another type" in done.stderr
