"""A store with drawn losses, truncations and swaps, and a listing that lies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from bwv_device.custody.session import CustodySession
from hal.host import HostClock
from hal.ports import Stored
from hal.simulated.store import MemoryStore
from sim.custody.drawn_ledger import content, drawn_docking
from sim.world.custody_workers import founded, session
from sim.world.test_keys import BenchAgency

# Of 100,000 objects.
LOSSES, TRUNCATIONS, SWAPS = 300, 100, 50
STRANGER = "footage/cam-00000/99999999-0001-0001.mp4.age/" + "0" * 64


class LyingStore(MemoryStore):
    """Its listing leaves some objects out."""

    def __init__(self) -> None:
        super().__init__()
        self.unlisted: set[str] = set()

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        return (s for s in super().entries(prefix, after) if s.key not in self.unlisted)


class WantingStore(NamedTuple):
    """`lost`: by device and segment what is wrong, in the words of the finding."""

    desk: CustodySession
    lost: dict[tuple[str, str], str]
    left_out: set[str]


def wanting_store(agency: BenchAgency, seed: int, cameras: int, each: int) -> WantingStore:
    """`cameras` brought `each` recordings; then the store lost some, in proportion to 300 losses,
    100 truncations and 50 swaps in 100,000."""
    store, draw = founded(LyingStore()), random.Random(seed)  # noqa: S311
    desk = session(agency, store, HostClock(), "intake", "intake")
    keys = []
    for camera in range(cameras):
        docking, intake = drawn_docking(camera, each)
        desk.append(lambda said=docking: ("docking", said))  # type: ignore[misc]
        desk.append(lambda said=intake: ("intake", said))  # type: ignore[misc]
        for number, file in enumerate(intake["files"]):
            store.put(file["key"], content(camera, number))
            keys.append(file["key"])
    part = len(keys) / 100_000
    counts = [max(2, round(of * part)) // 2 * 2 for of in (LOSSES, TRUNCATIONS, SWAPS)]
    chosen = draw.sample(keys, sum(counts) + 5)
    gone, cut = chosen[: counts[0]], chosen[counts[0] : counts[0] + counts[1]]
    swapped, left_out = chosen[sum(counts[:2]) : sum(counts)], chosen[-5:]
    for key in gone:
        del store.objects[key]
    for key in cut:
        store.objects[key] = store.objects[key][:-1]
    lost = dict.fromkeys(map(_named, gone), "it is gone")
    for key in cut:
        had = len(store.objects[key])
        lost[_named(key)] = f"it has {had:,} bytes of {had + 1:,}"
    for one, other in zip(swapped[::2], swapped[1::2], strict=True):
        objects = store.objects
        lengths = len(objects[one]), len(objects[other])
        objects[one], objects[other] = objects[other], objects[one]
        for key, had, wanted in ((one, *lengths[::-1]), (other, *lengths)):
            same = had == wanted
            lost[_named(key)] = (
                "it has other bytes" if same else f"it has {had:,} bytes of {wanted:,}"
            )
    store.unlisted = set(left_out)
    store.put(STRANGER, b"x")
    return WantingStore(desk, lost, set(left_out))


def _named(key: str) -> tuple[str, str]:
    _, device, segment, _ = key.split("/")
    return device, segment
