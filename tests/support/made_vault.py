"""The vault of `vectors/verdicts.toml`, and the changes that file speaks of."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.camera.vault.recovery import survey
from bwv_device.formats import signature
from bwv_device.formats.ledger_lines import parse_line
from hal.ports import Anchor
from hal.simulated.disk import Bytes, Names, PowerCut, SimulatedDisk, Tear
from sim.world.test_keys import BenchAgency
from support.camera_bench import make_camera


class MadeVault(NamedTuple):
    path: Path
    root: x509.Certificate
    anchor: Anchor


def make_vault(agency: BenchAgency, path: Path) -> MadeVault:
    """Two boots: a sealed recording of two segments with a still, a recording whose power was cut;
    then a recovery, one sealed recording, an orderly stop."""
    camera = make_camera(
        agency,
        recording={"pre_event_s": 2, "segment_s": 10},
        video={"bitrate_kbps": 200},
    )
    camera.run(seconds=3)
    camera.press_record_twice()
    camera.run(seconds=6)
    camera.press_marker(times=2)
    camera.run(seconds=6)
    camera.hold_record()
    camera.run(seconds=2)
    camera.press_record_twice()
    camera.run(seconds=4.3)
    camera.disk.cut_in_next("append")
    try:
        camera.run(seconds=3)
    except PowerCut:
        camera.power_cut(Tear(Bytes.PART, Names.WITH))
    camera.boot()
    camera.run(seconds=3)
    camera.press_record_twice()
    camera.run(seconds=4)
    camera.hold_record()
    camera.run(seconds=2)
    agent = camera.agent
    camera.shut_down()
    assert agent is not None
    assert agent.parts.vault_lane.anchor is not None
    camera.disk.dump(path)
    return MadeVault(path, agency.root, agent.parts.vault_lane.anchor)


class Hand:
    """Does to a copy of a vault what a case says, in the words of verdicts.toml."""

    def __init__(self, vault: Path, agency: BenchAgency) -> None:
        self.vault, self.agency = vault, agency

    def do(self, words: str) -> None:
        verb, *rest = words.split(" ", 2)
        what = rest[0] if rest else ""
        more = rest[1].split() if len(rest) > 1 else []
        getattr(self, f"_{verb}")(what, *more)

    # --- files --------------------------------------------------------------------------------

    def _file(self, kind: str, number: str) -> Path:
        if kind == "ledger":
            return self.vault / "ledger" / f"{int(number):08d}.ledger"
        suffix = "*.part" if kind == "part" else "*.age"
        return sorted((self.vault / "footage").glob(suffix))[int(number)]

    def _remove(self, kind: str, number: str) -> None:
        if kind == "boot":
            for path in (self.vault / "footage").glob(f"{int(number):08d}-*"):
                path.unlink()
        else:
            self._file(kind, number).unlink()

    def _swap(self, kind: str, *numbers: str) -> None:
        if kind == "lines":
            boot, first, second = map(int, numbers)
            lines = self._lines(boot)
            lines[first], lines[second] = lines[second], lines[first]
            self._put(boot, lines)
            return
        first_file, second_file = (self._file(kind, number) for number in numbers)
        contents = first_file.read_bytes(), second_file.read_bytes()
        first_file.write_bytes(contents[1])
        second_file.write_bytes(contents[0])

    def _copy(self, kind: str, source: str, target: str) -> None:
        shutil.copyfile(self._file(kind, source), self._file(kind, target))

    def _truncate(self, kind: str, number: str, length: str) -> None:
        path = self._file(kind, number)
        path.write_bytes(path.read_bytes()[: -int(length)])

    def _extend(self, kind: str, number: str) -> None:
        path = self._file(kind, number)
        path.write_bytes(path.read_bytes() + b"\x00")

    def _add(self, name: str, how: str = "") -> None:
        (self.vault / name).write_bytes(b"" if how == "empty" else b"something foreign\n")

    def _rename(self, kind: str, number: str, to: str) -> None:
        path = self._file(kind, number)
        path.rename(path.with_name(path.name + to[1:] if to.startswith("+") else to))

    # --- ledger lines -------------------------------------------------------------------------

    def _lines(self, boot: int) -> list[bytes]:
        return self._file("ledger", str(boot)).read_bytes().splitlines(keepends=True)

    def _put(self, boot: int, lines: list[bytes]) -> None:
        self._file("ledger", str(boot)).write_bytes(b"".join(lines))

    def _delete(self, _: str, boot: str, at: str) -> None:
        lines = self._lines(int(boot))
        del lines[int(at)]
        self._put(int(boot), lines)

    def _repeat(self, _: str, boot: str, at: str) -> None:
        lines = self._lines(int(boot))
        lines.insert(int(at), lines[int(at)])
        self._put(int(boot), lines)

    def _append(self, _: str, boot: str, source: str, at: str) -> None:
        self._put(int(boot), [*self._lines(int(boot)), self._lines(int(source))[int(at)]])

    def _cut(self, _: str, boot: str, count: str) -> None:
        self._put(int(boot), self._lines(int(boot))[: -int(count)])

    def _tear(self, boot: str, length: str) -> None:
        self._truncate("ledger", boot, length)

    def _zeros(self, boot: str, length: str) -> None:
        self._put(int(boot), [*self._lines(int(boot)), bytes(int(length))])

    def _resign(self, boot: str, at: str) -> None:
        stranger = signature.private_key(b"stranger" * 6)
        lines = self._lines(int(boot))
        line = parse_line(lines[int(at)][:-1])
        signed = signature.sign(stranger, line.signed).hex().encode()
        lines[int(at)] = line.signed + b"\t" + signed + b"\n"
        self._put(int(boot), lines)

    def _high(self, _: str, boot: str, at: str) -> None:
        lines = self._lines(int(boot))
        line = parse_line(lines[int(at)][:-1])
        s = signature.ORDER - int.from_bytes(line.signature[32:], "big")
        form = (line.signature[:32] + s.to_bytes(32, "big")).hex().encode()
        lines[int(at)] = line.signed + b"\t" + form + b"\n"
        self._put(int(boot), lines)

    # --- what a review found ------------------------------------------------------------------

    def _stolen(self, _: str, how: str) -> None:
        """A boot written by somebody else who has the camera's device key."""
        disk = SimulatedDisk()
        for path in sorted(p for p in self.vault.rglob("*") if p.is_file()):
            name = str(path.relative_to(self.vault))
            disk.create(name)
            disk.append(name, path.read_bytes())
        found = survey(disk, self.agency.device.certificate_pem)
        ledger = Ledger(self.agency.device, b"thief" * 10, found.boot + 1, found.head)
        victim = self._file("part", "0").name.removesuffix(".part")
        sealed = self._file("footage", "1").name
        forged = b"forged"
        digest = hashlib.sha256(forged).hexdigest()
        told = {"segment": victim, "length": len(forged), "sha256": digest}
        told["plaintext_sha256"] = digest
        lines = {
            "seals": [("seal", told)],
            "opens": [("open", {**told, "recording": "00000001-0002", "header": "forged",
                                "nonce": "00" * 16, "first_pts_ns": 0}), ("seal", told)],
            "wipes": [("wipe", {"segment": victim}), ("wipe", {"segment": sealed})],
            "shortens": [("sync", {**told, "length": 1}),
                         ("recovered", {**told, "recording": "", "attested_length": 1})],
            "types": [("still", {**told, "segment": 5, "recording": ""})],
        }[how]  # fmt: skip
        if how in ("seals", "opens", "shortens"):
            self._file("part", "0").write_bytes(forged)
        if how == "wipes":
            self._file("part", "0").unlink()
            self._file("footage", "1").unlink()
        data = ledger.boot_line(0, {"cause": "start"})
        data += b"".join(ledger.line(kind, 1, fields) for kind, fields in lines)
        data += ledger.line("stop", 2, {})
        (self.vault / ledger.path).write_bytes(data)

    def _deep(self, _: str, boot: str) -> None:
        nested = b'{"a":' * 600 + b"1" + b"}" * 600
        self._put(int(boot), [*self._lines(int(boot)), nested + b"\t" + b"0" * 128 + b"\n"])

    def _folder(self, kind: str, number: str) -> None:
        path = self._file(kind, number)
        path.unlink()
        path.mkdir()

    def _link(self, kind: str, number: str = "") -> None:
        if kind == "nowhere":
            (self.vault / "footage" / "00000001-0009-0001.mp4.age").symlink_to("nowhere")
            return
        path = self._file(kind, number)
        outside = self.vault.parent / "outside"
        path.rename(outside)
        path.symlink_to(outside)

    def _foreign(self, what: str) -> None:
        if what == "vault":
            shutil.rmtree(self.vault)
            make_vault(BenchAgency("another"), self.vault)
