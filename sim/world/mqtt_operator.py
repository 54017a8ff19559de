"""An operator who sends commands during a shift, and an attacker who owns the broker and forges
some.
"""

from __future__ import annotations

from bwv_device import keys
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import COMMAND_PURPOSE
from bwv_device.formats.mqtt_messages import prefix
from hal.keystore import SoftwareIdentity
from hal.ports import SECOND_NS
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.random_streams import Draws
from sim.world.test_keys import FOUNDED, BenchAgency
from sim.world.world import World

MEAN_S = 240
# Short ones expire while the network is away; long ones can be replayed over boots.
LIVES_S = (40, 1800)


def command_key(agency: BenchAgency, role: str = "command") -> SoftwareIdentity:
    made = keys.role_files(agency.files, "desk", role, SeededEntropy(f"desk {role}"), FOUNDED)
    pem = next(iter(made.values()))
    return SoftwareIdentity(pem, pem)


class SimulatedOperator:
    """What it signed stands in `world.commands`."""

    def __init__(self, world: World, agency: BenchAgency, draws: Draws) -> None:
        self._world, self._draws = world, draws
        self._key = command_key(agency)
        self._others = [command_key(agency, "auditor"), agency.device]
        self._topic = f"{prefix(world.settings.device.agency, world.identity.device)}/command"
        self._counter = 0
        self._sent: list[bytes] = []
        self._life = draws.stream("life")
        self._calm = False

    def start(self) -> None:
        self._later()

    def calm(self) -> None:
        self._calm = True

    def attack(self, draws: Draws) -> None:
        """One of the things that the owner of a broker can do."""
        kind = draws.pick((0, 0, 0, 1, 2, 3, 4, 5))
        if kind == 0 and self._sent:
            for data in draws.pick((self._sent, self._sent[::-1], self._sent[-3:])):
                self._say(data)
        elif kind == 1 and self._sent:
            changed = bytearray(draws.pick(self._sent))
            changed[draws.below(len(changed))] ^= 1 << draws.below(8)
            self._say(bytes(changed))
        elif kind == 2:
            self._say(self._signed(draws.pick(self._others), self._fields("locate", 10**6)))
        elif kind == 3:
            other = {**self._fields("locate", 10**6), "device": "another-camera"}
            self._say(self._signed(self._key, other))
        elif kind == 4:
            self._say(b"x" * draws.spread(1, 60_000))
        else:
            for _ in range(200):
                self._say(b"{}")

    def _later(self) -> None:
        loop = self._world.loop
        loop.call_at(loop.now_ns() + self._draws.wait_ns(MEAN_S), self._act)

    def _act(self) -> None:
        if self._calm:
            return
        self._later()
        self._counter += self._draws.between(1, 3)
        names = ("locate", "mark", "hold", "head", "diagnostics", "start", "assign")
        name = self._draws.pick(names)
        data = self._signed(self._key, self._fields(name, self._counter))
        self._world.commands.add(data.partition(b"\n")[0].decode())
        self._sent.append(data)
        self._say(data)

    def _fields(self, name: str, counter: int) -> dict[str, object]:
        now_s = self._world.clock.truth_utc_ns() // SECOND_NS
        arguments: dict[str, dict[str, object]] = {
            "locate": {"seconds": 2},
            "hold": {"recording": ""},
            "assign": {"officer": f"officer {counter % 5}"},
        }
        return {
            "device": self._world.identity.device, "command": name,
            "arguments": arguments.get(name, {}),
            "counter": counter, "id": f"n{counter}", "issued_s": now_s,
            "expires_s": now_s + self._life.pick(LIVES_S),
        }  # fmt: skip

    @staticmethod
    def _signed(key: SoftwareIdentity, fields: dict[str, object]) -> bytes:
        return statement.make(key, COMMAND_PURPOSE, fields)

    def _say(self, data: bytes) -> None:
        self._world.broker.send(self._topic, data)
