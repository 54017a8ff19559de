"""How often in a row the machine was restarted because its camera answered no start: a counter that
survives, so that a camera that is broken for good does not restart its machine for ever.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from bwv_device.files import write_durably

LIMIT = 3


class MachineRestarts:
    """A file beside the vault."""

    def __init__(self, vault: Path) -> None:
        self._file = vault.resolve().parent / "machine-restarts"

    def count(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int(self._file.read_text())
        return 0

    def one_more(self) -> bool:
        """Whether there may be one more; counted before it happens. Where that can't be written
        there is none: it could be the first of many."""
        count = self.count()
        if count >= LIMIT:
            return False
        try:
            write_durably(self._file, str(count + 1).encode())
        except OSError:
            return False
        return True

    def over(self) -> None:
        """Pictures come."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
