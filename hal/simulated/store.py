"""An evidence store in memory, and an uplink to it that can lose, corrupt or falsify requests and
answers.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from hal.ports import Body, Stored, StoreError, StoreTrouble

BLOCK = 1 << 20


class MemoryStore:
    """`hal.ports.EvidenceStore`. Protection counts by `now_utc_s`."""

    def __init__(self, capacity_bytes: int = 1 << 40) -> None:
        self.capacity_bytes = capacity_bytes
        self.objects: dict[str, bytes] = {}
        self.hidden: dict[str, bytes] = {}
        self.protected_until: dict[str, int] = {}
        self.held: set[str] = set()
        self.erased: list[str] = []
        self.written_s: dict[str, int] = {}
        self.now_utc_s: Callable[[], int] = lambda: 0
        self._used = 0

    def everything(self) -> list[tuple[str, bytes]]:
        """All that is there, hidden or not, for whoever looks from outside."""
        return [*self.objects.items(), *self.hidden.items()]

    def create(self, key: str, body: Body) -> None:
        data = body.read(0, body.length)
        if hashlib.sha256(data).hexdigest() != body.sha256:
            raise StoreError(StoreTrouble.REFUSED, "the bytes do not have the digest given")
        self.put(key, data)

    def put(self, key: str, data: bytes) -> None:
        """Whatever digest it has."""
        if key in self.objects or key in self.hidden:
            raise StoreError(StoreTrouble.EXISTS, f"{key}: exists already")
        if self._used + len(data) > self.capacity_bytes:
            raise StoreError(StoreTrouble.FULL, "507 Insufficient Storage")
        self._used += len(data)
        self.objects[key] = data
        self.written_s[key] = self.now_utc_s()

    def read(self, key: str, limit: int) -> bytes:
        data = self.objects.get(key)
        if data is None:
            raise StoreError(StoreTrouble.MISSING, f"{key}: no such object")
        if len(data) > limit:
            raise StoreError(StoreTrouble.REFUSED, f"{key} is longer than {limit} bytes")
        return data

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        for key in sorted(key for key in self.objects if key.startswith(prefix) and key > after):
            if key in self.objects:
                yield Stored(key, len(self.objects[key]), "")

    def stat(self, key: str) -> Stored:
        if key not in self.objects:
            raise StoreError(StoreTrouble.MISSING, f"{key}: no such object")
        return Stored(key, len(self.objects[key]), "")

    def written_utc_s(self, key: str) -> int:
        self.stat(key)
        return self.written_s.get(key, self.now_utc_s())

    def versions(self, key: str) -> list[Stored]:
        return [self.stat(key)] if key in self.objects else []

    def blocks(self, stored: Stored) -> Iterator[bytes]:
        data = self.objects.get(stored.key, self.hidden.get(stored.key))
        if data is None:
            raise StoreError(StoreTrouble.MISSING, f"{stored.key}: no such object")
        for offset in range(0, len(data), BLOCK):
            yield data[offset : offset + BLOCK]

    def retain(self, stored: Stored, until_utc_s: int) -> bool:
        before = self.protected_until.get(stored.key, 0)
        self.protected_until[stored.key] = max(until_utc_s, before)
        return True

    def hold(self, stored: Stored, on: bool) -> bool:
        (self.held.add if on else self.held.discard)(stored.key)
        return True

    def hide(self, key: str) -> None:
        if key in self.objects:
            self.hidden[key] = self.objects.pop(key)

    def unhide(self, key: str) -> None:
        if key in self.hidden:
            self.objects[key] = self.hidden.pop(key)

    def free(self, key: str) -> None:
        self.erase(key)

    def erase(self, key: str) -> None:
        if key in self.held or self.protected_until.get(key, 0) > self.now_utc_s():
            raise StoreError(StoreTrouble.DENIED, f"{key}: protected")
        data = self.objects.pop(key, self.hidden.pop(key, None))
        if data is not None:
            self._used -= len(data)
            self.erased.append(key)


class Fate(enum.Enum):
    """What becomes of a request."""

    DONE = "done"
    LOST = "lost"  # it never arrives
    UNANSWERED = "unanswered"  # it is done, and the answer is lost
    PRETENDED = "pretended"  # success is answered, and nothing is done
    CORRUPTED = "corrupted"  # other bytes are stored, or come back
    OUT_OF_DATE = "out of date"  # what comes back was asked for before, or is another's


class StoreRequest(NamedTuple):
    """One of a camera's, as the line saw it."""

    number: int
    verb: str
    key: str
    length: int


class SimulatedUplink:
    """The agent's face: `hal.ports.Uplink`. The world's: `fate`, `refuse`, `broken`, `latency_ns`,
    and every request so far."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.requests: list[StoreRequest] = []
        self.broken = ""
        self.fate: Callable[[StoreRequest], Fate] = lambda request: Fate.DONE
        self.refuse: Callable[[StoreRequest], StoreTrouble | None] = lambda request: None
        self.latency_ns: Callable[[StoreRequest], int] = lambda request: 0
        self._busy_ns = 0

    def create(self, key: str, body: Body) -> None:
        fate = self._ask("create", key, body.length)
        if fate is Fate.PRETENDED:
            return
        if fate is Fate.CORRUPTED:
            self.store.put(key, _flipped(body.read(0, body.length)))
            return
        self.store.create(key, body)
        if fate is Fate.UNANSWERED:
            raise StoreError(StoreTrouble.TRANSIENT, "the answer is lost")

    def read(self, key: str, limit: int) -> bytes:
        fate = self._ask("read", key, 0)
        if fate is Fate.UNANSWERED:
            raise StoreError(StoreTrouble.TRANSIENT, "the answer is lost")
        if fate is Fate.PRETENDED:
            raise StoreError(StoreTrouble.MISSING, f"{key}: no such object")
        if fate is Fate.OUT_OF_DATE:
            key = self._another(key)
        data = self.store.read(key, limit)
        return _flipped(data) if fate is Fate.CORRUPTED else data

    def take_busy_ns(self) -> int:
        """How long the requests since the last call took."""
        busy_ns, self._busy_ns = self._busy_ns, 0
        return busy_ns

    def _ask(self, verb: str, key: str, length: int) -> Fate:
        request = StoreRequest(len(self.requests), verb, key, length)
        self.requests.append(request)
        self._busy_ns += self.latency_ns(request)
        if self.broken:
            raise StoreError(StoreTrouble.TRANSIENT, self.broken)
        if trouble := self.refuse(request):
            raise StoreError(trouble, f"{key}: {trouble.value}")
        fate = self.fate(request)
        if fate is Fate.LOST:
            raise StoreError(StoreTrouble.TRANSIENT, "the request is lost")
        return fate

    def _another(self, key: str) -> str:
        """An object of the same kind, of another docking or file."""
        device_and_kind = "/".join(key.split("/")[:3])
        others = [k for k in self.store.objects if k.startswith(device_and_kind) and k != key]
        return others[0] if others else key


def _flipped(data: bytes) -> bytes:
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else data
