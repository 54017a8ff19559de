"""Films of others are opened by a process that has no key, and few rights."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from bwv_device.custody.disclosure import confinement, media_process, redaction
from bwv_device.custody.disclosure.confinement import Limits
from bwv_device.custody.disclosure.media_process import MediaProcess
from bwv_device.custody.disclosure.redaction_plan import Redaction, RedactionBox
from bwv_device.custody.disclosure.work_folder import work_folder
from bwv_device.errors import BwvError, ClipError, CustodyError, MissingPartError

ENOUGH = Limits(2 << 30, 60, 100 << 20)
BOX = Redaction(boxes=[RedactionBox(0.0, 9.0, 10, 10, 50, 50)])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(50):
            picture = np.full((180, 320, 3), number * 5, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def test_its_acts_give_what_they_gave_in_this_process(film: Path, tmp_path: Path) -> None:
    media = MediaProcess(film, 2, tmp_path)
    assert tuple(media.cut(0.0, 2.0, tmp_path / "cut.mp4")) == redaction.cut(
        film, 0.0, 2.0, tmp_path / "here.mp4"
    )
    assert media.redact(BOX, tmp_path / "covered.mp4") == (50, [50], [])
    assert media.contact_sheet(BOX, tmp_path / "sheet.jpg") == 1
    assert media.propose() == Redaction()
    made = ["covered.mp4", "cut.mp4", "here.mp4", "sheet.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == made


# --- hostile films --------------------------------------------------------------------------------


HOSTILE = {
    "junk": lambda film: os.urandom(5000),
    "nothing": lambda film: b"",
    "text": lambda film: b"#EXTM3U\nfile:///etc/passwd\n",
    "half": lambda film: film[: len(film) // 2],
    "samples at no place": lambda film: film.replace(b"stco", b"skip"),
    "a list of other films": lambda film: b"ffconcat version 1.0\nfile /etc/passwd\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_film_is_named_and_nothing_else_happens(
    name: str, film: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ill.mp4"
    path.write_bytes(HOSTILE[name](film.read_bytes()))
    out = tmp_path / "out.mp4"
    with pytest.raises(BwvError, match=r"ill\.mp4"):
        MediaProcess(path, 2, tmp_path).redact(BOX, out)
    assert not out.exists()
    assert {entry.name for entry in tmp_path.iterdir()} == {"ill.mp4"}


LIMITS = {
    "memory": ENOUGH._replace(memory=40 << 20),
    "processor time": ENOUGH._replace(processor_s=0),
    "output": ENOUGH._replace(output=1000),
}


@pytest.mark.parametrize("name", LIMITS)
def test_its_limits_end_it(name: str, film: Path, tmp_path: Path) -> None:
    with pytest.raises((ClipError, CustodyError), match=r"film\.mp4"):
        MediaProcess(film, 2, tmp_path, LIMITS[name]).redact(BOX, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


# --- a process that is not itself any more --------------------------------------------------------

LIES = {
    "no JSON": "print('so what')",
    "no table": "print('[1]')",
    "no number": "print('{\"at_s\": Infinity}')",
    "a number that is none": 'print(\'{"at_s": "x"}\')',
    "an answer of another form": 'print(\'{"answer": {"a": 1}}\')',
    "an error of another form": "print('{\"error\": 7}')",
    "deep": "print('{\"answer\":' + '[' * 100000)",
    "nothing": "",
}


def liar(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "modules").mkdir()
    (folder / "modules" / "liar.py").write_text(text + "\n")
    monkeypatch.setattr(media_process, "MODULE", "liar")
    monkeypatch.setenv("PYTHONPATH", str(folder / "modules"))


@pytest.mark.parametrize("name", LIES)
def test_what_it_says_is_not_believed(
    name: str, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    liar(tmp_path, monkeypatch, LIES[name])
    with pytest.raises(ClipError, match=r"film\.mp4"):
        MediaProcess(film, 2, tmp_path).redact(BOX, tmp_path / "out.mp4")


def test_a_link_that_it_leaves_is_not_taken_for_its_work(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    answer = json.dumps({"answer": {"pictures": 1, "boxes": [1], "muted_s": []}})
    text = f"import os, sys; os.symlink({str(secret)!r}, sys.argv[3]); print({answer!r})"
    liar(tmp_path, monkeypatch, text)
    with pytest.raises(ClipError, match="made nothing"):
        MediaProcess(film, 2, tmp_path).redact(BOX, tmp_path / "out.mp4")
    assert not os.path.lexists(tmp_path / "out.mp4")


# --- what it gave up ------------------------------------------------------------------------------

ATTEMPTS = """
import json, os, signal, socket, sys, threading
from pathlib import Path
from bwv_device.custody.disclosure.confinement import Limits, confine

secret, readable, folder, confined = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == "yes"
listener = socket.create_server(("127.0.0.1", 0))
if confined:
    assert confine(Limits(1 << 30, 30, 1 << 20), [Path(readable)], Path(folder))

def tried(act):
    try:
        act()
    except OSError:
        return "refused"
    return "done"

print(json.dumps({
    "reads the key": tried(lambda: open(secret).read()),
    "reads its parent's memory": tried(lambda: open(f"/proc/{os.getppid()}/mem", "rb")),
    "lists the home": tried(lambda: os.listdir(os.path.dirname(secret))),
    "writes beside": tried(lambda: open(secret + ".new", "w")),
    "connects": tried(lambda: socket.create_connection(listener.getsockname())),
    "starts a program": tried(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "signals its parent": tried(lambda: os.kill(os.getppid(), 0)),
    "talks to a service of this machine": tried(
        lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[5])),
    "sends a datagram": tried(
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))),
    "opens a file to everybody": tried(lambda: os.chmod(secret, 0o644)),
    "leaves a process behind": tried(lambda: os.fork() or os._exit(0)),
    "starts a thread": tried(lambda: [t.start() or t.join() for t in [threading.Thread()]]),
    "reads the film": tried(lambda: open(readable).read()),
    "writes its result": tried(lambda: open(os.path.join(folder, "made"), "w")),
}))
"""
ALLOWED = {"reads the film", "writes its result", "starts a thread"}


def attempts(tmp_path: Path, confined: str) -> dict[str, str]:
    for name in ("home", "folder"):
        (tmp_path / name).mkdir(exist_ok=True)
    secret, film = tmp_path / "home" / "identity.txt", tmp_path / "film.mp4"
    secret.write_text("secret")
    film.write_text("film")
    service = tmp_path / "service"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(service))
        listener.listen()
        words = [str(secret), str(film), str(tmp_path / "folder"), confined, str(service)]
        ran = subprocess.run(
            [sys.executable, "-c", ATTEMPTS, *words], check=True, capture_output=True, text=True
        )
    said: dict[str, str] = json.loads(ran.stdout)
    return said


def test_confined_it_reads_one_film_and_writes_one_folder(tmp_path: Path) -> None:
    if confinement.landlock_version() < 4:
        pytest.skip("this kernel has no Landlock, or an old one: there is nothing to be tested")
    said = attempts(tmp_path, "yes")
    assert {what for what, how in said.items() if how == "done"} == ALLOWED


def test_unconfined_it_could_do_all_of_it(tmp_path: Path) -> None:
    """The control."""
    assert set(attempts(tmp_path, "no").values()) == {"done"}


def test_the_process_is_confined_and_has_no_environment(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BWV_CUSTODY_KEY", "/somewhere/key.pem")
    media = MediaProcess(film, 2, tmp_path)
    media.cut(0.0, 2.0, tmp_path / "cut.mp4")
    assert media.confined is (confinement.landlock_version() > 0)
    assert "BWV_CUSTODY_KEY" not in media_process.ENVIRONMENT


def test_another_model_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / redaction.MODEL
    path.write_bytes(redaction.model_path().read_bytes() + b"x")
    monkeypatch.setattr(redaction, "model_path", lambda: path)
    with pytest.raises(MissingPartError, match="SHA-256"):
        redaction._detector(320, 180)


# --- work in clear --------------------------------------------------------------------------------

HOLDS_FOOTAGE = """
import sys, time
from pathlib import Path
from bwv_device.custody.disclosure.work_folder import work_folder
with work_folder(Path(sys.argv[1])) as folder:
    (folder / "film.mp4").write_text("in clear")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def another(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the midst of a disclosure, which ends when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_FOOTAGE, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def test_what_a_killed_process_left_in_clear_goes_with_the_next_start(
    another: subprocess.Popen[str], tmp_path: Path
) -> None:
    another.kill()
    another.wait()
    assert list(tmp_path.rglob("film.mp4"))
    with work_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.iterdir())


def test_what_another_process_works_with_stays(
    another: subprocess.Popen[str], tmp_path: Path
) -> None:
    with work_folder(tmp_path):
        assert len(list(tmp_path.iterdir())) == 2
    assert len(list(tmp_path.rglob("film.mp4"))) == 1


def test_a_lock_on_the_place_itself_holds_nobody_up(tmp_path: Path) -> None:
    """A program may have locked the folder in which a package is made."""
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with work_folder(tmp_path) as folder:
        assert folder.is_dir()
    os.close(held)
