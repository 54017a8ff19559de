"""An agency whose secrets a passphrase guards; age and openssl judge the files."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.made_vault import MadeVault

from bwv_device import keys
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.test_keys import BenchAgency

BWV = Path(sys.executable).with_name("bwv")
WORDS = "seven words that nobody would ever guess"


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder, self.secret = folder, folder / "passphrase"
        self.say(WORDS)

    def say(self, words: str) -> None:
        self.secret.write_text(words + "\n")
        self.secret.chmod(0o600)

    def bwv(self, *words: str, answered: bool = True) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if name != "BWV_PASSPHRASE_FILE"}
        if answered:
            env["BWV_PASSPHRASE_FILE"] = str(self.secret)
        return subprocess.run(
            [BWV, *words], cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("site"))
    done = made.bwv("keygen", "agency", "--passphrase")
    assert done.returncode == 0, done.stderr
    assert "in clear" not in done.stdout
    return made


def test_no_secret_lies_in_clear(site: Site) -> None:
    for name in keys.AGENCY_SECRETS:
        data = (site.folder / "agency" / name).read_bytes()
        assert b"ENCRYPTED" in data.split(b"\n")[0]
        assert b"SECRET-KEY" not in data
    said = site.bwv("keygen", "other").stdout
    assert "They lie there in clear" in said


@pytest.mark.parametrize("name", keys.AGENCY_SECRETS)
def test_age_opens_each_secret_with_it_and_openssl_the_keys(
    site: Site, tools: Path, name: str
) -> None:
    opened = opened_by_age(tools, site.folder / "agency" / name)
    if name == keys.IDENTITY:
        assert b"AGE-SECRET-KEY-PQ-1" in opened
        return
    words = ["openssl", "pkey", "-noout", "-check"]
    judged = subprocess.run(words, input=opened, capture_output=True, check=False)
    assert judged.returncode == 0, judged.stderr


def opened_by_age(tools: Path, path: Path) -> bytes:
    """age asks on a terminal only."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [tools / "bin" / "age", "-d", path],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
        preexec_fn=_own_terminal,  # noqa: PLW1509 - one call of the kernel
    )  # fmt: skip
    os.close(theirs)
    os.read(ours, 1000)  # the question
    os.write(ours, WORDS.encode() + b"\n")
    opened, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    return opened


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_what_needs_a_secret_asks_for_it(site: Site) -> None:
    made = site.bwv("provision", "cam-7", "--agency", "agency", "--out", "keys")
    assert made.returncode == 0, made.stderr
    made = site.bwv("custody", "enrol", "Ada", "--role", "custodian", "--agency", "agency")
    assert made.returncode == 0, made.stderr
    for words in (
        ("provision", "cam-8", "--agency", "agency", "--out", "k8"),
        ("custody", "enrol", "Eve", "--role", "custodian", "--agency", "agency"),
    ):
        refused = site.bwv(*words, answered=False)
        assert refused.returncode == 5
        assert "nobody can be asked" in refused.stderr
        assert not (site.folder / "k8").exists()


def test_a_wrong_one_a_short_one_and_one_for_everybody_are_refused(site: Site) -> None:
    def refusal(words: str, *command: str) -> str:
        site.say(words)
        try:
            done = site.bwv(*command)
        finally:
            site.say(WORDS)
        assert done.returncode == 5, done.stdout + done.stderr
        return done.stderr

    provision = ("provision", "cam-9", "--agency", "agency", "--out", "k9")
    assert "does not open device-ca-key.pem" in refusal("something else", *provision)
    assert "more than 1000 bytes" in refusal("x" * 1001, "keygen", "a2", "--passphrase")
    assert "fewer than 12" in refusal("short", "keygen", "a2", "--passphrase")
    assert "holds nothing" in refusal("", *provision)
    site.secret.chmod(0o644)
    done = site.bwv(*provision)
    site.secret.chmod(0o600)
    assert (done.returncode, "chmod 600" in done.stderr) == (5, True)


def test_footage_is_exported_with_it(
    site: Site, made_vault: MadeVault, agency: BenchAgency
) -> None:
    identity, clear = site.folder / "identity.txt", agency.files[keys.IDENTITY]
    identity.write_bytes(keys.locked(clear, WORDS.encode(), SeededEntropy("locked")))
    words = ("export", str(made_vault.path), "--identity", str(identity), "--out", "out")
    done = site.bwv(*words)
    assert done.returncode == 0, done.stderr
    site.say("wrong words altogether")
    refused = site.bwv(*words)
    site.say(WORDS)
    assert (refused.returncode, "does not open" in refused.stderr) == (5, True)
