"""Somebody has the card and no key. Whatever he appends, the camera acts on nothing that it did not
sign (docs/format.md, 3.8), and says so at the next boot."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.camera_bench import Camera, make_camera
from support.made_vault import MadeVault

from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.camera.vault.recovery import Found, boot_vault, survey
from bwv_device.camera.vault.signed_lines import SignedLines
from bwv_device.formats import signature, statement
from bwv_device.formats.grammar.purposes import ASSIGNMENT
from bwv_device.formats.ledger_lines import START, Head, parse_line, read_chain
from hal.host import HostDisk
from hal.simulated.disk import SimulatedDisk
from sim.world.custody_workers import role
from sim.world.test_keys import BenchAgency

LEDGER = "ledger/00000001.ledger"
FILE = "00000001-0001-0001.mp4.age"


@pytest.fixture
def it(agency: BenchAgency) -> Camera:
    """Off, with one recording that no store has."""
    camera = make_camera(agency, video={"bitrate_kbps": 200},
                         recording={"segment_s": 10, "pre_event_s": 0})  # fmt: skip
    camera.run(seconds=2)
    camera.press_record_twice()
    camera.run(seconds=4)
    camera.hold_record()
    camera.run(seconds=2)
    camera.shut_down()
    return camera


def junk(data: bytes, kind: str, fields: dict[str, Any], *, key: Any = None) -> bytes:
    """A line that continues the chain; signed by somebody, or by nobody."""
    last = data.rstrip(b"\n").rpartition(b"\n")[2]
    number = json.loads(last.partition(b"\t")[0])["n"]
    told = {
        **fields,
        "n": number + 1,
        "prev": hashlib.sha256(last).hexdigest(),
        "t": 1,
        "kind": kind,
    }
    signed = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    mark = signature.sign(key, signed).hex().encode() if key else b"0" * 127 + b"1"
    return data + signed + b"\t" + mark + b"\n"


def append(disk: SimulatedDisk, kind: str, fields: dict[str, Any], **how: Any) -> None:
    data = disk.read(LEDGER)
    disk.append(LEDGER, junk(data, kind, fields, **how)[len(data) :])
    disk.sync(LEDGER)


def old_assignment(agency: BenchAgency) -> dict[str, str]:
    """One that the agency did sign, long ago."""
    fields = {"device": agency.device.device, "version": 1, "officer": "Old Officer",
              "settings": {"policy": {"covert": True}}, "utc_ns": 1}  # fmt: skip
    said = statement.make(role(agency, "x", "configuration"), ASSIGNMENT, fields)
    text, _, pem = said.partition(b"\n")
    return {"statement": text.decode(), "certificate": pem.decode()}


ILL: dict[str, Callable[[BenchAgency], tuple[str, dict[str, Any]]]] = {
    "an older assignment": lambda agency: ("assignment", old_assignment(agency)),
    "an officer": lambda agency: ("officer", old_assignment(agency)),
    "a removal": lambda agency: ("wipe", {"segment": FILE}),
    "a counter that ends all commands": lambda agency: (
        "recovery", {"segments": 0, "commands": (1 << 53) - 1}),
    "a recording that is open": lambda agency: (
        "open", {"segment": "00000001-0007-0001.mp4.age", "recording": "00000001-0007",
                 "header": "", "nonce": "00" * 16, "first_pts_ns": 0}),
    "an end in order": lambda agency: ("stop", {}),
}  # fmt: skip


def looked_at(it: Camera, agency: BenchAgency) -> Found:
    return survey(it.disk, agency.device.certificate_pem)


@pytest.mark.parametrize("key", [None, b"stranger" * 6], ids=["unsigned", "a stranger's signature"])
@pytest.mark.parametrize("ill", ILL)
def test_an_appended_line_is_torn_and_nothing_more(
    it: Camera, agency: BenchAgency, ill: str, key: bytes | None
) -> None:
    before = looked_at(it, agency)
    kind, fields = ILL[ill](agency)
    length = it.disk.size(LEDGER)
    append(it.disk, kind, fields, key=signature.private_key(key) if key else None)
    after = looked_at(it, agency)
    assert [torn.length for torn in after.torn] == [it.disk.size(LEDGER) - length]
    assert after._replace(torn=[], orderly=True) == before
    footage = it.disk.names("footage")
    it.boot()
    it.run(seconds=2)
    it.shut_down()
    assert it.disk.names("footage") == footage
    assert looked_at(it, agency).assignment is None
    assert looked_at(it, agency).commands == 0


@pytest.mark.parametrize("ill", ["a removal", "an older assignment"])
def test_without_signatures_the_camera_would_obey(
    it: Camera, agency: BenchAgency, ill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what recovery did before it looked at signatures."""
    monkeypatch.setattr(SignedLines, "_signed", lambda self, file, ends, key: len(ends))
    append(it.disk, "receipt", {"segment": FILE, "statement": "x"})
    kind, fields = ILL[ill](agency)
    append(it.disk, kind, fields)
    found = looked_at(it, agency)
    assert found.wiped or found.assignment


def test_a_removal_without_a_receipt_before_it_is_not_finished(
    it: Camera, agency: BenchAgency
) -> None:
    """Even where the camera signed the line."""
    key = signature.private_key(b"b" * 48)
    disk = SimulatedDisk()
    data = own_boot(agency, key)
    disk.create(LEDGER)
    disk.append(LEDGER, junk(data, "wipe", {"segment": FILE}, key=key))
    assert survey(disk, agency.device.certificate_pem).wiped == []
    other = SimulatedDisk()
    other.create(LEDGER)
    told = junk(data, "receipt", {"segment": FILE, "statement": "x"}, key=key)
    other.append(LEDGER, junk(told, "wipe", {"segment": FILE}, key=key))
    assert survey(other, agency.device.certificate_pem).wiped == [FILE]


def own_boot(agency: BenchAgency, key: Any) -> bytes:
    from bwv_device.formats.ledger_lines import START, boot_statement

    device = agency.device
    point = signature.public_bytes(key.public_key()).hex()
    said = signature.from_der(device.sign(boot_statement(device.device, 1, point, START))).hex()
    fields = {"format": 2, "device": device.device, "boot": 1, "boot_key": point, "cause": "start",
              "certificate": device.certificate_pem.decode(), "device_signature": said,
              "n": 1, "prev": "0" * 64, "t": 0, "kind": "boot"}  # fmt: skip
    signed = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    return signed + b"\t" + signature.sign(key, signed).hex().encode() + b"\n"


def test_a_file_of_another_agency_only_shows_where_the_chain_ends(
    it: Camera, agency: BenchAgency
) -> None:
    stranger = BenchAgency("another", device=agency.device.device)
    found = survey(it.disk, stranger.device.certificate_pem)
    mine = looked_at(it, agency)
    assert (found.head, found.boot) == (mine.head, mine.boot)
    assert (found.wiped, found.assignment, found.open_segments) == ([], None, [])


def test_a_bad_moment_of_the_card_costs_nothing_lasting(it: Camera, agency: BenchAgency) -> None:
    """The first reading gives a flipped bit; the second what stands there."""
    mine, read, times = looked_at(it, agency), it.disk.read, 0

    def flipping(path: str, offset: int = 0, length: int | None = None) -> bytes:
        nonlocal times
        data = bytearray(read(path, offset, length))
        if path == LEDGER:
            times += 1
            if times == 1:
                data[len(data) // 2] ^= 1
        return bytes(data)

    it.disk.read = flipping  # type: ignore[method-assign]
    assert looked_at(it, agency) == mine
    assert times >= 2


JUNK_BYTES = {
    "escaped quotes": b'{"a":"' + b'\\"' * (2 << 20),
    "open lists": b"[" * (4 << 20),
    "newlines": b"\n" * (4 << 20),
    "lines of nothing": (b"{}\t" + b"0" * 128 + b"\n") * ((4 << 20) // 132),
}


@pytest.mark.parametrize("name", JUNK_BYTES)
def test_four_megabytes_of_junk_do_not_hold_up_a_boot(
    it: Camera, agency: BenchAgency, name: str
) -> None:
    it.disk.append(LEDGER, JUNK_BYTES[name])
    it.disk.sync(LEDGER)
    began = time.process_time()
    found = looked_at(it, agency)
    assert found.torn[0].length == len(JUNK_BYTES[name])
    assert time.process_time() - began < 2


def test_four_megabytes_of_lines_that_continue_cost_a_few_signatures(
    it: Camera, agency: BenchAgency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He knows the chain, and signs nothing: not each line costs a verification."""
    data, told = it.disk.read(LEDGER), []
    last = data.rstrip(b"\n").rpartition(b"\n")[2]
    number, before = json.loads(last.partition(b"\t")[0])["n"], hashlib.sha256(last).hexdigest()
    for _ in range(4000):
        number += 1
        fields = {"kind": "fault", "n": number, "prev": before, "t": 1, "reason": "x" * 800}
        line = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        line += b"\t" + b"0" * 127 + b"1"
        before = hashlib.sha256(line).hexdigest()
        told.append(line + b"\n")
    it.disk.append(LEDGER, b"".join(told))
    it.disk.sync(LEDGER)
    verified = 0
    verifies = signature.verifies

    def counting(*arguments: Any) -> bool:
        nonlocal verified
        verified += 1
        return verifies(*arguments)

    monkeypatch.setattr(signature, "verifies", counting)
    found = looked_at(it, agency)
    assert found.torn[0].length == sum(map(len, told))
    assert verified < 120


def test_a_file_under_another_name_is_not_believed(it: Camera, agency: BenchAgency) -> None:
    """An older boot copied to a newer name would bring its older counter back."""
    it.disk.create("ledger/00000050.ledger")
    it.disk.append("ledger/00000050.ledger", it.disk.read(LEDGER))
    found = looked_at(it, agency)
    assert SignedLines(it.disk, agency.device.certificate_pem).file(50).trusted is False
    assert SignedLines(it.disk, agency.device.certificate_pem).file(1).trusted
    assert found.boot == 50


@pytest.mark.parametrize("number", [(1 << 63) - 1, -2, 0, 1 << 62])
def test_a_number_beyond_all_does_not_keep_a_camera_from_booting(
    it: Camera, agency: BenchAgency, number: int
) -> None:
    fields = {"kind": "boot", "n": number, "prev": "0" * 64, "t": 0}
    line = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    it.disk.create("ledger/00000002.ledger")
    it.disk.append("ledger/00000002.ledger", line + b"\t" + b"0" * 128 + b"\n")
    it.boot()
    it.run(seconds=2)
    assert it.agent is not None
    assert it.agent.state.value == "ready"


def test_names_that_are_none_do_not_end_delivery(it: Camera, agency: BenchAgency) -> None:
    from bwv_device.camera.vault import undelivered
    from hal.ports import Anchor

    it.disk.create("ledger/._00000001.ledger")
    it.disk.create("ledger/1.ledger")
    head = looked_at(it, agency).head
    anchor = Anchor(agency.device.device, 1, head.number, head.digest)
    stock = undelivered.take(it.disk, agency.device.certificate_pem, anchor)
    assert [file.segment for file in stock.files] == [FILE]


def test_a_line_of_its_own_that_says_what_it_may_not_keeps_its_place(agency: BenchAgency) -> None:
    """A fault of the camera itself, as a time before 1970 was: it is not acted on, and the chain
    goes on behind it. Continuing before it would be a fork."""
    key = signature.private_key(b"b" * 48)
    data = junk(own_boot(agency, key), "recovery", {"segments": -1, "commands": 7}, key=key)
    disk = SimulatedDisk()
    disk.create(LEDGER)
    disk.append(LEDGER, data)
    found = survey(disk, agency.device.certificate_pem)
    assert (found.head.number, found.torn, found.commands) == (2, [], 0)


# --- names ----------------------------------------------------------------------------------------


def boots(it: Camera) -> set[int]:
    it.boot()
    it.run(seconds=2)
    it.shut_down()
    return set(boot_lines(it))


def head_before(data: bytes) -> Head:
    try:
        first = parse_line(data[: data.index(b"\n")])
    except ValueError:
        return START
    return Head(first.number - 1, first.fields["prev"])


def boot_lines(it: Camera) -> dict[int, dict[str, Any]]:
    """By boot; of files that hold none, nothing."""
    found = {}
    for path, data in it.disk.files():
        chain = list(read_chain(data, head_before(data))) if path.startswith("ledger/") else []
        if chain:
            found[int(chain[0][0].fields["boot"])] = chain[0][0].fields
    return found


NAMES: dict[str, Callable[[Camera], None]] = {
    "the last number, empty": lambda it: put(it, 99_999_999, data=b""),
    "the last number, junk": lambda it: put(it, 99_999_999, data=b"junk\n" * 100),
    "the last number, its own first file": lambda it: put(
        it, 99_999_999, data=it.disk.read(LEDGER)
    ),
    "the last but one": lambda it: put(it, 99_999_998, data=b""),
    "far ahead, many": lambda it: put(it, *range(50_000_000, 50_000_020), data=b"x"),
}


def put(it: Camera, *boots: int, data: bytes) -> None:
    for boot in boots:
        path = f"ledger/{boot:08d}.ledger"
        it.disk.create(path)
        it.disk.append(path, data)
        it.disk.sync(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_does_not_use_up_the_boot_counter(it: Camera, name: str) -> None:
    NAMES[name](it)
    assert boots(it) == {1, 2}


def test_a_ladder_of_names_leads_nowhere(it: Camera) -> None:
    """No gap in it is wide."""
    put(it, *range(1000, 90_000, 1000), 99_999_999, data=b"x")
    assert boots(it) == {1, 1001}


def test_a_strangers_file_on_an_empty_card_ends_no_boot(
    agency: BenchAgency, made_vault: MadeVault
) -> None:
    camera = make_camera(agency, boot=False)
    camera.disk.create("ledger/99999999.ledger")
    stranger = BenchAgency("stranger", device=agency.device.device)
    ledger = Ledger(stranger.device, b"k" * 48, 99_999_999, START)
    camera.disk.append("ledger/99999999.ledger", ledger.boot_line(0, {"cause": "start"}))
    camera.disk.sync("ledger/99999999.ledger")
    camera.disk.sync("ledger")
    assert 1 in boots(camera)


def test_four_thousand_files_of_junk_are_survived(it: Camera, tmp_path: Path) -> None:
    """More than a boot line may name."""
    put(it, *range(2, 4202), data=b"x")
    assert boots(it) == {1, 4202}
    assert len(boot_lines(it)[4202]["torn"]) == 4096
    assert it.verify(tmp_path).boots == 2


def test_folders_with_the_next_boots_names_are_stepped_over(
    it: Camera, agency: BenchAgency, tmp_path: Path
) -> None:
    it.disk.dump(tmp_path / "vault")
    for boot in range(2, 1203):
        (tmp_path / "vault" / "ledger" / f"{boot:08d}.ledger").mkdir()
    with HostDisk(tmp_path / "vault") as disk:
        _, recovered = boot_vault(disk, agency.device, b"k" * 48, 1, {}, "start")
        assert recovered.anchor.boot == 1203
        assert recovered.found.boot == 1
