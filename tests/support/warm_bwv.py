"""`bwv` as a process of its own that need not import everything anew: a warm one forks for each.

For commands that start, act and end. What starts processes itself is started as a user does.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# What most of a test's time would go to. A command that is not named imports for itself.
WARM = (
    "bwv_device.__main__", "bwv_device.commands.config", "bwv_device.commands.custody.disclose",
    "bwv_device.commands.custody.expire", "bwv_device.commands.custody.find",
    "bwv_device.commands.custody.holds", "bwv_device.commands.custody.intake",
    "bwv_device.commands.custody.options", "bwv_device.commands.custody.register",
    "bwv_device.commands.custody.requests", "bwv_device.commands.custody.roles",
    "bwv_device.commands.key_desk.approve", "bwv_device.commands.key_desk.case",
    "bwv_device.commands.key_desk.view", "bwv_device.commands.key_desk.views",
    "bwv_device.backends.key_desk_line", "bwv_device.commands.video_verify",
    "bwv_device.commands.export", "bwv_device.commands.keygen", "bwv_device.commands.ledger",
    "bwv_device.commands.provision", "bwv_device.commands.verify",
)  # fmt: skip
SERVER = """
import importlib, json, os, sys

for name in sys.argv[1:]:
    importlib.import_module(name)
from bwv_device.__main__ import main

def act(order):
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    for number, name in enumerate(("in", "out", "err")):
        flags = os.O_RDONLY if name == "in" else os.O_WRONLY | os.O_APPEND
        os.dup2(os.open(order[name], flags), number)
    sys.argv = ["bwv", *order["words"]]
    main()

orders = os.fdopen(os.dup(0), "r")
answers = os.fdopen(os.dup(1), "w")
for line in orders:
    child = os.fork()
    if not child:
        act(json.loads(line))
        break  # the end of a program like any other, with all that belongs to it
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)
"""


def bwv(
    *words: object, cwd: Path | None = None, text_in: str = ""
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as name:
        paths = {kind: Path(name, kind) for kind in ("in", "out", "err")}
        for kind, path in paths.items():
            path.write_text(text_in if kind == "in" else "")
        order = {
            "words": list(map(str, words)), "cwd": str(cwd or Path.cwd()), "env": dict(os.environ),
            **{kind: str(path) for kind, path in paths.items()},
        }  # fmt: skip
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        out, err = (paths[kind].read_bytes().decode() for kind in ("out", "err"))
    return subprocess.CompletedProcess(["bwv", *order["words"]], code, out, err)


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Ends with the tests, when nobody holds the other end of its input."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", SERVER, *WARM],  # -P: what is installed, not what lies here
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
