"""Commands as a desk signs them, right and wrong, for the bench's cameras."""

from __future__ import annotations

from typing import Any

from bwv_device import keys
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import COMMAND_PURPOSE
from bwv_device.formats.statement import Signer
from hal.keystore import SoftwareIdentity
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.test_keys import FOUNDED, BenchAgency
from sim.world.world import EPOCH_UTC_NS

NOW_S = EPOCH_UTC_NS // 10**9
DEVICE = "bench-camera-1"
TOPIC = f"bwv/v1/example-agency/{DEVICE}/command"


def person(agency: BenchAgency, role: str = "command", name: str = "Ada Desk") -> SoftwareIdentity:
    files = keys.role_files(agency.files, name, role, SeededEntropy(f"{name} {role}"), FOUNDED)
    pem = next(iter(files.values()))
    return SoftwareIdentity(pem, pem)


def fields(counter: int = 1, name: str = "mark", **changed: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "locate": {"seconds": 3},
        "hold": {"recording": ""},
        "assign": {"officer": "4711"},
        "update": {"release": "1.1.0", "sha256": "ab" * 32},
    }.get(name, {})
    return {
        "device": DEVICE,
        "command": name,
        "arguments": arguments,
        "counter": counter,
        "id": f"id-{counter}",
        "issued_s": NOW_S - 5,
        "expires_s": NOW_S + 3600,
        **changed,
    }


def signed(signer: Signer, said: dict[str, Any], purpose: str = COMMAND_PURPOSE) -> bytes:
    return statement.make(signer, purpose, said)
