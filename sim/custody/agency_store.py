"""An agency's evidence store in memory: a worker can die at any of its operations, it can be away,
and it can be restored from an older backup."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hal.ports import Body, Stored, StoreError, StoreTrouble
from hal.simulated.store import MemoryStore


class WorkerKilled(BaseException):
    """The process that works for custody is gone at this instant: no handler may catch it."""


class Backup(NamedTuple):
    """Everything that a store held."""

    objects: dict[str, bytes]
    hidden: dict[str, bytes]
    protected_until: dict[str, int]
    held: set[str]


class AgencyStore(MemoryStore):
    """`locks` False: it keeps nothing from being erased by itself, as a plain directory.
    `on_erase` hears of each object before it goes."""

    def __init__(self, *, locks: bool = True) -> None:
        super().__init__()
        self.locks = locks
        self.operations = 0
        self.kill_at = -1
        self.away = False
        self.on_erase: Callable[[str], None] = lambda key: None

    # --- the world's face ---------------------------------------------------------------------

    def backup(self) -> Backup:
        return Backup(
            dict(self.objects), dict(self.hidden), dict(self.protected_until), set(self.held)
        )

    def set_back(self, to: Backup) -> None:
        """Restored from a backup: what came since is gone."""
        self.objects, self.hidden = dict(to.objects), dict(to.hidden)
        self.protected_until, self.held = dict(to.protected_until), set(to.held)

    def holds(self, key: str) -> bytes | None:
        """What is there, hidden or not."""
        return self.objects.get(key, self.hidden.get(key))

    def lose(self, key: str) -> None:
        """For good, and nobody asked for it."""
        self.objects.pop(key, None)
        self.hidden.pop(key, None)

    # --- the port -----------------------------------------------------------------------------

    def create(self, key: str, body: Body) -> None:
        self._answer()
        super().create(key, body)

    def put(self, key: str, data: bytes) -> None:
        workers = not key.startswith(("dockings/", "ledgers/", "footage/"))
        if workers:
            self._strike()
        super().put(key, data)
        if key.startswith(("custody/", "outbox/")):
            self._strike()

    def retain(self, stored: Stored, until_utc_s: int) -> bool:
        return self.locks and super().retain(stored, until_utc_s)

    def hold(self, stored: Stored, on: bool) -> bool:
        return self.locks and super().hold(stored, on)

    def hide(self, key: str) -> None:
        self._answer()
        self._strike()
        super().hide(key)

    def unhide(self, key: str) -> None:
        self._answer()
        self._strike()
        super().unhide(key)

    def erase(self, key: str) -> None:
        self._answer()
        self._strike()
        if self.holds(key) is not None:
            self.on_erase(key)
        super().erase(key)

    # --- inside -------------------------------------------------------------------------------

    def _answer(self) -> None:
        if self.away:
            raise StoreError(StoreTrouble.TRANSIENT, "the store does not answer")

    def _strike(self) -> None:
        self.operations += 1
        if self.operations == self.kill_at:
            self.kill_at = -1
            raise WorkerKilled
