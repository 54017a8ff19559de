"""What a pass of the intake comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from hal.ports import EvidenceStore


class ReplicaStore(NamedTuple):
    """A second store, under another administrator."""

    name: str
    store: EvidenceStore


@dataclass(slots=True)
class Done:
    """The results of one pass. `strange`: objects that carry no camera's signature, put out of
    sight. `troubles`: dockings that the store kept from being worked on; the next pass tries
    again."""

    dockings: int = 0
    greeted: int = 0
    received: int = 0
    receipts: int = 0
    quarantined: int = 0
    refused: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    arrived: Counter[str] = field(default_factory=Counter)  # files, by recording

    @property
    def something(self) -> bool:
        return bool(self.greeted or self.received or self.receipts or self.quarantined)
