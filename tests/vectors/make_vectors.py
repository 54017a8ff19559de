"""Makes the frozen vectors of docs/format.md. `python tests/vectors/make_vectors.py` writes them.

They are committed: if the code no longer gives them, the format has changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grammar_cases

from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.camera.vault.recovery import boot_vault
from bwv_device.camera.vault.vault import Vault
from bwv_device.formats import age, signature, statement
from bwv_device.formats.age_payload import CHUNK, NONCE, TAG, Seal
from bwv_device.formats.grammar.purposes import COMMAND_PURPOSE
from bwv_device.formats.ledger_lines import START, branches_head
from bwv_device.settings import Recording, Settings
from bwv_device.verification.chain_ends import End
from hal.simulated.disk import SimulatedDisk
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.mqtt_operator import command_key
from sim.world.test_keys import BenchAgency
from sim.world.world import World, stub_media

HERE = Path(__file__).parent


def plaintext(length: int) -> bytes:
    """Bytes 0, 1, … 250, 0, 1, …"""
    return bytes(i % 251 for i in range(length))


def sealed() -> list[dict[str, Any]]:
    """Sealed files (X25519, entropy from a seed) and what reading them must come to."""
    identity = age.generate_identity("X25519", SeededEntropy("vector identity"))

    def whole(length: int) -> tuple[bytes, int]:
        seal = Seal([identity.recipient()], SeededEntropy(f"vector {length}"))
        head = seal.header + seal.nonce
        return head + b"".join(seal.feed(plaintext(length))) + seal.finish(), len(head)

    def case(name: str, data: bytes, expect: str, released: int) -> dict[str, Any]:
        return {
            "name": name,
            "identity": str(identity),
            "file": data.hex(),
            "expect": expect,
            "released": released,
        }

    short, head = whole(100)
    long, long_head = whole(CHUNK + 100)
    first = long[long_head : long_head + CHUNK + TAG]
    return [
        case("one short chunk", short, "success", 100),
        case("a full and a short chunk", long, "success", CHUNK + 100),
        case("the final chunk is missing", long[: long_head + CHUNK + TAG], "cut", CHUNK),
        case("the final chunk is torn", long[:-20], "cut", CHUNK),
        case("a chunk is repeated", long[:long_head] + first + first, "cut", CHUNK),
        case("the first chunk is missing", long[:long_head] + long[-100 - TAG :], "cut", 0),
        case("something behind the end", short + b"\x00", "cut", 0),
        case("the nonce is cut", short[: head - NONCE + 3], "refused", 0),
        case("a flipped bit in the header", _flip(short, 60), "refused", 0),
        case("a flipped bit in the MAC", _flip(short, head - NONCE - 10), "refused", 0),
        case("a flipped bit in the nonce", _flip(short, head - 1), "cut", 0),
        case("a flipped bit in the payload", _flip(short, head + 5), "cut", 0),
        case("no header", short[head:], "refused", 0),
    ]


def lines() -> list[dict[str, Any]]:
    """A boot's first lines: the key's entropy, what is written, the line."""
    agency = BenchAgency("vectors")
    entropy = bytes(range(signature.KEY_ENTROPY))
    ledger = Ledger(agency.device, entropy, 1, START)
    made = [ledger.boot_line(0, {"cause": "start"})]
    for number, fields in enumerate(({"reason": 'a "quoted" Zoë\n'}, {"big": 2**62, "list": []})):
        made.append(ledger.line("fault", number + 1, fields))
    return [{"key_entropy": entropy.hex(), "line": line.decode("ascii")} for line in made]


def commands() -> list[dict[str, Any]]:
    """Payloads of a command topic (docs/mqtt.md, 5), what a camera makes of each: "done", or why
    it does nothing."""
    agency, stranger = BenchAgency("vectors"), BenchAgency("stranger")
    camera, now_s, known = agency.device.device, 1_772_438_400, 7
    desk = command_key(agency)
    fields: dict[str, Any] = {
        "device": camera, "command": "locate", "arguments": {"seconds": 3}, "counter": 8,
        "id": "vector-8", "issued_s": now_s - 5, "expires_s": now_s + 300,
    }  # fmt: skip

    def case(
        name: str, expect: str, signer: Any = desk, error_ns: int = 10**9, **changed: Any
    ) -> dict[str, Any]:
        data = statement.make(signer, COMMAND_PURPOSE, {**fields, **changed})
        return {
            "name": name, "payload": data.decode("ascii"), "device": camera, "counter": known,
            "utc_ns": now_s * 10**9, "error_ns": error_ns, "expect": expect,
        }  # fmt: skip

    good = case("a good one", "done")
    changed = good["payload"].replace('"seconds":3', '"seconds":4')
    return [
        good,
        case("mark takes no arguments", "done", command="mark", arguments={}),
        case("an argument too many", "invalid", command="mark", arguments={"x": 1}),
        case("out of bounds", "invalid", arguments={"seconds": 31}),
        case("there is no such command", "invalid", command="stop", arguments={}),
        case("the same counter again", "replayed", counter=known),
        case("an older counter", "replayed", counter=1),
        case("no counter", "malformed", counter="8"),
        case("expired", "expired", expires_s=now_s),
        case("expired by the latest time that it can be", "expired", error_ns=30 * 10**9,
             expires_s=now_s + 20),
        case("valid for too long", "expired", expires_s=now_s + 86_400),
        case("issued in the future", "expired", issued_s=now_s + 200),
        case("the camera does not know the minute", "no clock", error_ns=61 * 10**9),
        case("for another camera", "foreign", device="cam-2"),
        case("by an auditor", "forged", command_key(agency, "auditor")),
        case("by the camera itself", "forged", agency.device),
        case("by another agency", "forged", command_key(stranger)),
        {**good, "name": "changed after it was signed", "payload": changed, "expect": "forged"},
        {**good, "name": "something behind it", "payload": good["payload"] + "\n",
         "expect": "malformed"},
        {**good, "name": "no certificate", "payload": good["payload"].partition("\n")[0],
         "expect": "malformed"},
        {**good, "name": "too long", "payload": good["payload"] + "x" * 16_384,
         "expect": "oversized"},
    ]  # fmt: skip


def vault() -> Iterator[tuple[str, bytes]]:
    """A whole small vault, file by file."""
    agency = BenchAgency("vectors")
    settings = replace(Settings(), recording=Recording(pre_event_s=0))
    world = World(settings, agency.device, agency.recipients, media=stub_media(40_000, fps=5))
    world.boot()
    world.run(seconds=1.2)
    world.press_record_twice()
    world.run(seconds=0.4)
    world.hold_record()
    world.run(seconds=1)
    world.shut_down()
    yield from world.disk.files()
    yield "root.pem", agency.files["agency-root.pem"]


def forked() -> Iterator[tuple[str, bytes]]:
    """A ledger that two programs wrote, and the boot that names both branches (section 3.7)."""
    agency, disk = BenchAgency("vectors"), SimulatedDisk()

    def boot(number: int) -> Vault:
        return boot_vault(disk, agency.device, bytes([number]) * 48, 0, {}, "power cut")[0]

    first = boot(1)
    second = boot(2)
    for vault, reason in ((first, "first"), (second, "second"), (first, "first again")):
        vault.note("fault", 1, {"part": "button", "reason": reason})
    boot(3).note("stop", 2, {})
    yield from disk.files()


def branches() -> list[dict[str, Any]]:
    """Ends of branches, and what the next line continues."""
    ends = [(1, 7, "ab" * 32), (2, 5, "cd" * 32)]
    three = [*ends, (4, 9, "ef" * 32)]
    return [
        {"branches": [End(*end)._asdict() for end in given], **branches_head(given)._asdict()}
        for given in (ends, three)
    ]


def main(folder: Path) -> None:
    made = {"sealed.json": sealed(), "lines.json": lines(), "commands.json": commands()}
    made["branches.json"] = branches()
    made["grammar.json"] = grammar_cases.cases()
    for name, content in made.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")
    files = {folder / "vault" / path: data for path, data in vault()}
    files[folder / "root.pem"] = files.pop(folder / "vault" / "root.pem")
    files |= {folder / "forked" / path: data for path, data in forked()}
    for target, data in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
