"""A witness in the world: it can be away, and it can lie."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bwv_device.custody.history.witnesses import WitnessAnswer
from bwv_device.verification.tlog.signed_note import COSIGNATURE, ED25519, SignerKey, VerifierKey
from bwv_device.witness.witness import LogState, Reply, Witness
from hal.ports import Clock
from hal.simulated.power_dock_and_place import SeededEntropy


class WitnessNotebook:
    """A witness's memory, in memory."""

    def __init__(self) -> None:
        self.logs: dict[str, LogState] = {}

    def newest(self, origin: str) -> LogState | None:
        return self.logs.get(origin)

    def replace(self, origin: str, old: LogState | None, new: LogState) -> bool:
        if self.logs.get(origin) != old:
            return False
        self.logs[origin] = new
        return True


class WorldWitness:
    """One witness; `away`: it does not answer. `lies`: changes its answers."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.key = seeded_key(name, COSIGNATURE)
        self.notebook = WitnessNotebook()
        self.away = False
        self.lies: Callable[[Reply], Reply] = lambda reply: reply
        self._clock, self._logs = clock, dict[str, VerifierKey]()

    def knows(self, log: VerifierKey) -> None:
        """From now on it witnesses this log."""
        self._logs[log.name] = log

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        """`bwv_device.custody.history.witnesses.WitnessLine`."""
        if self.away:
            raise ConnectionRefusedError("nobody listens")
        witness = Witness([self.key], self._logs, self.notebook, self._clock)
        reply = self.lies(witness.add_checkpoint(body))
        return WitnessAnswer(reply.status, reply.body)


class WorldWitnesses:
    """The way to several of them: each has its name as address."""

    def __init__(self, *witnesses: WorldWitness) -> None:
        self.all = {witness.key.name: witness for witness in witnesses}

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        name = url.removeprefix("https://").rpartition("/")[0]
        return self.all[name].post(url, body)


def seeded_key(name: str, kind: int = ED25519) -> SignerKey:
    """A log's or a witness's key; the same for the same name."""
    secret = SeededEntropy(f"key {name}").token(32)
    return SignerKey(name, kind, Ed25519PrivateKey.from_private_bytes(secret))
