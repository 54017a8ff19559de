"""The witness over HTTP: its own program, asked by custody's own line."""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bwv_device.backends.witness_line import HttpWitnessLine
from bwv_device.errors import VaultError
from bwv_device.formats import store_keys
from bwv_device.verification.tlog.checkpoint import Checkpoint, cosigned, sign
from bwv_device.verification.tlog.merkle_tree import consistency_proof, leaf_hash, nodes_of, root_of
from bwv_device.verification.tlog.signed_note import (
    COSIGNATURE,
    ED25519,
    SignerKey,
    VerifierKey,
    parse_signatures,
)
from bwv_device.witness.server import CONNECTIONS_LIMIT, WitnessServer
from bwv_device.witness.state_folder import StateFolder
from bwv_device.witness.witness import LogState, Witness
from hal.host import HostClock

LOG = SignerKey.from_seed("bwv-custody/x", ED25519, bytes(32))
OTHER = SignerKey.from_seed("bwv-custody/y", ED25519, bytes(32))
LEAVES = [leaf_hash(bytes([n])) for n in range(9)]


def bwv(*words: str, cwd: Path) -> str:
    command = [sys.executable, "-P", "-m", "bwv_device", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[VerifierKey]]]:
    """Address and keys of a witness of its own program, with a key of each kind."""
    folder = tmp_path_factory.mktemp("witness")
    said = bwv("witness", "keygen", "ombudsman.example/w1", "--post-quantum", cwd=folder)
    command = [sys.executable, "-P", "-m", "bwv_device", "witness", "serve", "--log",
               str(LOG.verifier), "--listen", "127.0.0.1:0"]  # fmt: skip
    serving = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert serving.stderr is not None
    began = serving.stderr.readline()
    assert "witnesses 1 logs on http://127.0.0.1:" in began
    yield began.split()[-1], [VerifierKey.parse(line) for line in said.split()]
    serving.terminate()
    serving.wait(20)


def request(size: int, old: int, *, key: SignerKey = LOG, leaves: list[bytes] = LEAVES) -> bytes:
    proof = consistency_proof(old, size, nodes_of(leaves)) if old <= size else []
    signed = sign(Checkpoint(key.name, size, root_of(leaves[:size])), key)
    lines = b"".join(base64.b64encode(digest) + b"\n" for digest in proof)
    return b"old %d\n" % old + lines + b"\n" + bytes(signed)


def test_the_protocols_answers(witness: tuple[str, list[VerifierKey]]) -> None:
    """Each status of the specification, in the order of a log's life."""
    url, keys = witness
    line = HttpWitnessLine()

    def ask(body: bytes, path: str = "/add-checkpoint") -> tuple[int, bytes]:
        return tuple(line.post(url + path, body))  # type: ignore[return-value]

    status, body = ask(request(3, 0))
    assert status == 200
    signed = sign(Checkpoint(LOG.name, 3, root_of(LEAVES[:3])), LOG)
    assert set(cosigned(signed.with_signatures(parse_signatures(body)), keys)) == set(keys)
    assert ask(request(3, 3))[0] == 200, "nothing new, a new time"
    assert ask(request(5, 0)) == (409, b"3\n"), "it knows more"
    assert ask(request(7, 3))[0] == 200
    assert ask(request(5, 5)) == (409, b"7\n"), "cut back"
    another = [leaf_hash(b"x"), *LEAVES[1:]]
    assert ask(request(7, 7, leaves=another)) == (409, b"7\n"), "another past of the same length"
    assert ask(request(9, 7, leaves=another))[0] == 422, "another past"
    assert ask(request(5, 7))[0] == 400, "an old size beyond the new one"
    assert ask(request(9, 7, key=OTHER))[0] == 404, "another log"
    forged = SignerKey.from_seed(LOG.name, ED25519, bytes([5]) * 32)
    assert ask(request(9, 7, key=forged))[0] == 403, "not the log's key"
    for junk in (b"", b"old 7\n", b"old 07\n\nx", b"old 7\nAA==\n\n" + bytes(signed), b"\xff" * 99):
        assert ask(junk)[0] == 400
    assert ask(bytes(1 << 20))[0] == 413
    assert ask(b"x", "/elsewhere")[0] == 404
    assert ask(request(9, 7))[0] == 200, "and it goes on"
    with urllib.request.urlopen(url + "/") as answer:
        assert answer.read().decode().split() == [str(key) for key in keys]


def test_from_a_new_store_to_a_cut_end(tmp_path: Path) -> None:
    """The commands as an agency and an ombudsman use them; then the store's owner cuts the ledger's
    end, and everything in the store that speaks of it."""
    ombudsman, out = tmp_path / "ombudsman", tmp_path / "out"
    for folder in (ombudsman, out, tmp_path / "evidence"):
        folder.mkdir(mode=0o700)
    bwv("keygen", "agency", cwd=tmp_path)
    bwv("custody", "enrol", "Ada", "--role", "custodian", "--agency", "agency", cwd=tmp_path)
    ada = ("custody", "--as", "roles/Ada.custodian-key.pem")
    key = bwv("witness", "keygen", "ombudsman.example/w1", cwd=ombudsman).strip()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    named = f"{key} http://127.0.0.1:{port}"
    told = bwv(*ada, "init", "--agency", "agency", "--out", "out", "--witness", named, cwd=tmp_path)
    log = told.split()[4]
    (tmp_path / "custody.toml").write_text(
        '[agency]\ntrust = "out/trust-list.txt"\n[log]\nkey = "out/log-key.txt"\n'
    )
    command = [sys.executable, "-P", "-m", "bwv_device", "witness", "serve", "--log", log,
               "--listen", f"127.0.0.1:{port}"]  # fmt: skip
    serving = subprocess.Popen(command, cwd=ombudsman, stderr=subprocess.PIPE, text=True)
    try:
        assert serving.stderr is not None
        assert "witnesses 1 logs" in serving.stderr.readline()
        for number in (1, 2):
            bwv(*ada, "camera", "revoke", f"cam-{number}", "--reason", "lost", cwd=tmp_path)
        assert "line 3 is seen by ombudsman.example/w1" in bwv("custody", "log", cwd=tmp_path)
        evidence = tmp_path / "evidence"
        (evidence / store_keys.line(3)).unlink()
        shutil.rmtree(evidence / store_keys.LOG)
        for name in tmp_path.glob("custody-index.sqlite*"):
            name.unlink()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bwv_device", "custody", "log"], cwd=tmp_path, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 13
        assert "ends at line 2, and ombudsman.example/w1 has seen line 3" in done.stderr
        again = [sys.executable, "-P", "-m", "bwv_device", *ada, "camera", "revoke", "cam-3",
                 "--reason", "x"]  # fmt: skip
        assert (
            subprocess.run(again, cwd=tmp_path, capture_output=True, check=False).returncode == 13
        )
    finally:
        serving.terminate()
        serving.wait(20)


def test_what_was_seen_is_never_forgotten(tmp_path: Path) -> None:
    memory, origin = StateFolder(tmp_path / "state"), "bwv-custody/x"
    first, second = LogState(3, bytes(32)), LogState(5, bytes([1]) * 32)
    assert memory.newest(origin) is None
    assert memory.replace(origin, None, first)
    assert not memory.replace(origin, None, second), "somebody was faster"
    assert StateFolder(tmp_path / "state").newest(origin) == first
    assert memory.replace(origin, first, second)
    (path,) = (tmp_path / "state").glob("*.log")
    for damage in ("", "5", "x " + "00" * 32, "5 zz"):
        path.write_text(damage)
        with pytest.raises(VaultError, match="damaged"):
            memory.newest(origin)


def test_hostile_clients_hold_up_nobody_and_fill_no_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Connections that say nothing, that hang up, and a memory that can't be read."""
    key = SignerKey.from_seed("w.example/w", COSIGNATURE, bytes(32))
    state = tmp_path / "state"
    witness = Witness([key], {LOG.name: LOG.verifier}, StateFolder(state), HostClock())
    listening = socket.create_server(("127.0.0.1", 0))
    server = WitnessServer(listening, witness, [key.verifier])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = listening.getsockname()
    try:
        silent = [socket.create_connection(address) for _ in range(CONNECTIONS_LIMIT)]
        late = socket.create_connection(address)
        late.settimeout(10)
        assert late.recv(1) == b"", "turned away at once"
        for connection in silent:
            linger = struct.pack("ii", 1, 0)  # a reset, not a farewell
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.send(b"G")
            connection.close()
        line, url = HttpWitnessLine(), f"http://127.0.0.1:{address[1]}/add-checkpoint"
        for _ in range(1000):  # its threads see that they hung up
            with contextlib.suppress(OSError):
                if line.post(url, request(3, 0)).status == 200:
                    break
        else:
            pytest.fail("it never answers again")
        (path,) = state.glob("*.log")
        path.write_text("damaged")
        assert line.post(url, request(5, 3)).status == 500
        path.write_text(f"3 {root_of(LEAVES[:3]).hex()}\n")
        assert line.post(url, request(5, 3)).status == 200
    finally:
        server.shutdown()
        server.server_close()
    assert capfd.readouterr().err.count("\n") == 1, "of what it could not remember, once"


def test_a_witness_that_does_not_answer_is_a_trouble() -> None:
    with pytest.raises(OSError, match="NewConnectionError"):
        HttpWitnessLine().post("http://127.0.0.1:1/add-checkpoint", b"")
