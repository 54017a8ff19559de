"""Services end at the first signal, however many come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

PROGRAM = """
import os, signal, sys
from bwv_device.commands.custody.until_stopped import until_stopped
stopped = until_stopped()
child = os.fork()
if not child:
    for _ in range(2000):
        os.kill(os.getppid(), signal.SIGTERM)
    os._exit(0)
while not stopped.wait(0.001):
    pass
for _ in range(200):
    assert stopped.wait(0.0)
os.waitpid(child, 0)
"""


def test_many_signals_at_once_end_a_service() -> None:
    """With `threading.Event` the second one waited for the lock that the first one held."""
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", PROGRAM], timeout=60, check=False)
        assert done.returncode == 0


def test_it_waits_no_longer_than_it_is_told() -> None:
    from bwv_device.commands.custody.until_stopped import until_stopped

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        stopped = until_stopped()
        assert not stopped.wait(0.0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped.wait(60.0)
        assert stopped.wait(60.0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
