"""Vaults by somebody who has every key and means ill: what is changed is signed anew, so that no
signature hides what the two verifiers make of it. They must agree, and neither may end.

A vault of two boots is written with one to three mutations: of fields, of lines, of statements
inside lines, of certificates, of who signs, of files. Then both verifiers judge it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device import keys
from bwv_device.formats import signature, statement
from bwv_device.formats.grammar.purposes import BOOT_KEY, RECEIPT
from bwv_device.verification.second_verifier import Judge
from bwv_device.verification.vault_report import verify
from hal.keystore import SoftwareIdentity
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.random_streams import Draws
from sim.world.test_keys import FOUNDED, BenchAgency

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory
NONCE = "ab" * 16
Fields = dict[str, Any]

# What a field may become: each is on the edge of some form, or of none.
VALUES: tuple[Any, ...] = (
    0,
    1,
    -1,
    2,
    1 << 40,
    True,
    False,
    None,
    1 << 62,
    (1 << 62) - 1,
    (1 << 63) - 1,
    1 << 63,
    -(1 << 63),
    1.5,
    10**30,
    "",
    "x",
    "0",
    "A" * 64,
    "a" * 64,
    "0" * 64,
    "a" * 32,
    "A" * 32,
    "a" * 128,
    " " + "a" * 63,
    "٣" * 32,
    "\ud800",
    "a\x1b[8m",
    "a\nb",
    "a\u202eb",
    "ä",
    "x" * 65,
    "x" * 201,
    "x" * 4097,
    "2",
    "00000001-0001",
    "00000001-0001-0001.mp4.age",
    "00000002-0001-0001.mp4.age",
    "00000003-0001-0001.mp4.age",
    "../00000001-0001-0001.mp4.age",
    "00000001-0001-0001.mp4.age.part",
    "０0000001-0001",
    "none",
    "ntp",
    "video",
    "start",
    "power cut",
    "informed",
    "done",
    "boot",
    "stop",
    "wipe",
    [],
    {},
    [[]],
    [{}],
    [None],
    ["x"],
    {"": ""},
    {"number": 1, "digest": "0" * 64},
)


class Result(NamedTuple):
    """`failure` "" where both agree."""

    first: str
    second: str
    failure: str


@dataclass(slots=True)
class Signer:
    """Who certifies a boot's key: key, certificates, and the name in the lines."""

    identity: SoftwareIdentity
    device: str
    certificate: str


@dataclass(slots=True)
class BootPlan:
    """Lines of one boot; `raw` are bytes behind them."""

    number: int
    signer: Signer
    lines: list[tuple[str, Fields]]
    changed: Fields = field(default_factory=dict)  # of the boot line, after it was made
    raw: bytes = b""


@dataclass(slots=True)
class Plan:
    """A vault before it is written: what is signed is signed at the end."""

    boots: list[BootPlan]
    files: dict[str, bytes]
    links: list[str] = field(default_factory=list)


class SignedMutations:
    """Vaults by number: the same number, the same vault."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self.agency = BenchAgency("mutations")
        self._intake = self._person("intake", "intake")
        self._signers = self._ill_signers()
        self._folder = Path(
            tempfile.mkdtemp(prefix="bwv-", dir=MEMORY if MEMORY.is_dir() else None)
        )

    def run(self, number: int) -> Result:
        """Writes one, and has both judge it."""
        draws = Draws(self._seed, f"mutation {number}")
        plan = self._plan()
        for _ in range(draws.between(0 if number % 50 == 0 else 1, 3)):
            draws.pick(MUTATIONS)(self, plan, draws)
        vault = self._folder / "vault"
        shutil.rmtree(vault, ignore_errors=True)
        self._write(plan, vault)
        result = judge(vault, self.agency)
        ill = self._ill(plan)
        if ill and result.first != "changed" and not result.failure:
            return result._replace(failure=f"{ill}, and it is {result.first}")
        return result

    def _ill(self, plan: Plan) -> str:
        """Why it must not be whole, whatever else it says; "" where that can't be told."""
        cameras = [self._signers["camera"], self._signers["another camera"]]
        if any(boot.signer not in cameras for boot in plan.boots):
            return "somebody signed who is no camera"
        lines = [line for boot in plan.boots for line in boot.lines]
        for told in (fields.get("statement") for kind, fields in lines if kind == "receipt"):
            if isinstance(told, dict) and told.get("anchor") and told["anchor"] in ANCHORS:
                return "a receipt has an anchor of a wrong form"
        return ""

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- a good vault ---------------------------------------------------------------------------

    def _plan(self) -> Plan:
        """A delivered and removed file, a still, a file that a power cut left, and an end in
        order."""
        first, second = "00000001-0001-0001.mp4.age", "00000001-0002-0001.mp4.age"
        still, third = "00000001-0001-0001.jpg.age", "00000002-0001-0001.mp4.age"
        data = {name: f"header\n{name}".encode().ljust(80, b".") for name in (first, second, third)}
        data[still] = b"still"
        time = {"utc_ns": 1_772_438_400 * 10**9, "error_ns": 10**9, "source": "ntp"}

        def opened(name: str, recording: str) -> tuple[str, Fields]:
            return "open", {
                "segment": name, "recording": recording, "header": "header\n",
                "nonce": data[name][7:23].hex(), "first_pts_ns": 5, "index": 0, "time": time,
                "trigger": "start", "officer": "PC 42", "pressed_ns": 4,
                "pre_event": {"requested_ms": 1, "achieved_ms": 1, "shortfall": "", "audio": "no"},
                "audio": {"sample_rate_hz": 48000, "bitrate_bps": 64000},
            }  # fmt: skip

        def whole(name: str) -> Fields:
            return {"segment": name, "length": len(data[name]), "sha256": _sha256(data[name])}

        part = data[second][:40]
        one: list[tuple[str, Fields]] = [
            ("state", {"from": "starting", "to": "ready", "event": "started"}),
            opened(first, "00000001-0001"),
            ("sync", {"segment": first, "length": 40, "sha256": _sha256(data[first][:40])}),
            ("marker", {"marker": "moment", "recording": "00000001-0001", "at_ns": 9}),
            ("gap", {"track": "audio", "from_ns": -1, "to_ns": 4, "units": 2, "reason": "missing"}),
            ("seal", {**whole(first), "plaintext_sha256": "0" * 64, "end_pts_ns": 99}),
            ("still", {**whole(still), "recording": "00000001-0001", "pts_ns": 7}),
            ("dock", {"docked": True, "nonce": NONCE}),
            ("custodian", {"certificate": self._intake.certificate_pem.decode()}),
            ("receipt", {"segment": first, "statement": self._receipt(whole(first))}),
            ("wipe", {"segment": first}),
            ("dock", {"docked": False}),
            opened(second, "00000001-0002"),
            ("sync", {"segment": second, "length": 40, "sha256": _sha256(part)}),
        ]
        two: list[tuple[str, Fields]] = [
            ("recovered", {"segment": second, "recording": "00000001-0002", "length": 50,
                           "sha256": _sha256(data[second][:50]), "attested_length": 40,
                           "cause": "power cut"}),
            ("recovery", {"segments": 1, "commands": 3}),
            ("time", {"time": time, "stepped_ns": -4}),
            opened(third, "00000002-0001"),
            ("seal", {**whole(third), "plaintext_sha256": "1" * 64}),
            ("refused", {"event": "mute", "conditions": ["policy"]}),
            ("stop", {}),
        ]  # fmt: skip
        camera = self._signers["camera"]
        files = {
            f"{second}.part": data[second][:50],
            third: data[third],
            still: data[still],
        }
        return Plan([BootPlan(1, camera, one), BootPlan(2, camera, two)], files)

    def _receipt(self, whole: Fields) -> Fields:
        """Fields; signed when the line before it is known."""
        return {"device": self.agency.device.device, "boot": 1, "nonce": NONCE, **whole,
                "utc_ns": 5, "replicas": [], "hold": False, "anchor": {}}  # fmt: skip

    # --- who may sign ---------------------------------------------------------------------------

    def _person(self, name: str, role: str, agency: BenchAgency | None = None) -> SoftwareIdentity:
        files = keys.role_files((agency or self.agency).files, name, role,
                                SeededEntropy(f"{name} {role}"), FOUNDED)  # fmt: skip
        (pem,) = files.values()
        return SoftwareIdentity(pem, pem)

    def _ill_signers(self) -> dict[str, Signer]:
        """SB6: each has a certificate below the agency's root, or is a camera of that name."""
        own = self.agency.device
        broker = keys.broker_files(
            self.agency.files, [own.device], SeededEntropy("broker"), FOUNDED
        )
        broker_identity = SoftwareIdentity(broker[keys.BROKER_KEY], broker[keys.BROKER])
        auditor = self._person(own.device, "auditor")
        other = BenchAgency("another", device=own.device)
        second = BenchAgency("mutations", device="bench-camera-2")
        found = {
            "camera": own,
            "custodian": self._person("Ada", "custodian"),
            "auditor named like the camera": auditor,
            "broker": broker_identity,
            "another agency's": other.device,
            "another camera": second.device,
        }
        signers = {
            name: Signer(identity, identity.device, identity.certificate_pem.decode())
            for name, identity in found.items()
        }
        # A person's key with the camera's certificates, and the other way round.
        signers["a mix"] = Signer(auditor, own.device, own.certificate_pem.decode())
        return signers

    # --- writing --------------------------------------------------------------------------------

    def _write(self, plan: Plan, vault: Path) -> None:
        (vault / "ledger").mkdir(parents=True)
        (vault / "footage").mkdir()
        number, before = 0, "0" * 64
        for boot in plan.boots:
            data = b""
            key = signature.private_key(f"boot {boot.number}".encode().ljust(48, b"."))
            for kind, told in [("boot", self._boot(boot, key, number, before)), *boot.lines]:
                fields = {"n": number + 1, "prev": before, "t": 10 * number, "kind": kind, **told}
                if isinstance(fields.get("statement"), dict):
                    fields["statement"] = self._said(fields["statement"], number, before)
                line = _line(fields, key)
                number, before = number + 1, _sha256(line)
                data += line + b"\n"
            path = vault / "ledger" / f"{boot.number:08d}.ledger"
            path.write_bytes(data + boot.raw)
        for name, data in plan.files.items():
            (vault / "footage" / name).write_bytes(data)
        for link in plan.links:
            _as_link(vault, link)

    def _boot(self, boot: BootPlan, key: Any, number: int, before: str) -> Fields:
        point = signature.public_bytes(key.public_key()).hex()
        certified = {
            "purpose": BOOT_KEY, "device": boot.signer.device, "boot": boot.number,
            "boot_key": point, "prev": before, "n": number + 1,
        }  # fmt: skip
        said = signature.from_der(boot.signer.identity.sign(_canonical(certified))).hex()
        cause = "start" if boot.number == 1 else "power cut"
        return {"format": 2, "device": boot.signer.device, "boot": boot.number, "boot_key": point,
                "certificate": boot.signer.certificate, "device_signature": said, "cause": cause,
                **boot.changed}  # fmt: skip

    def _said(self, told: Fields, number: int, before: str) -> str:
        """A receipt, signed by intake; its anchor is the line before."""
        anchor = told["anchor"] if told.get("anchor") else {"number": number, "digest": before}
        chain = statement.chain_of(self._intake.certificate_pem)
        said = {"by": statement.fingerprint(chain[0]), "purpose": RECEIPT, **told, "anchor": anchor}
        said = {name: value for name, value in said.items() if value != DELETED}
        signed = _canonical(said)
        return (signed + b"\t").decode() + signature.from_der(self._intake.sign(signed)).hex()


def judge(vault: Path, agency: BenchAgency) -> Result:
    """What both say; any exception of either is a failure."""
    try:
        report = verify(vault, [agency.root])
        first = "changed" if not report.ok else "whole" if report.complete else "open"
    except Exception as error:  # noqa: BLE001 - a crash is what is looked for
        return Result("crash", "", f"the first verifier ends: {type(error).__name__}: {error}")
    try:
        second_judge = Judge(vault, [agency.root])
        second = second_judge.judge()
    except Exception as error:  # noqa: BLE001
        return Result(first, "crash", f"the second verifier ends: {type(error).__name__}: {error}")
    if first != second:
        told = (report.problems[:2], report.remarks[:2], second_judge.complaints[:2])
        return Result(first, second, f"first {first}, second {second}: {told}")
    statuses = {v.name: v.status.value for v in report.segments}
    if statuses != second_judge.verdicts:
        return Result(first, second, f"files: {statuses} and {second_judge.verdicts}")
    return Result(first, second, "")


# --- mutations -----------------------------------------------------------------------------------

DELETED = "(left out)"
Mutation = Callable[[SignedMutations, Plan, Draws], None]


def _some_table(plan: Plan, draws: Draws) -> Fields:
    """The fields of some line, or a table within."""
    boot = draws.pick(plan.boots)
    at = draws.below(len(boot.lines))
    kind, fields = boot.lines[at]
    fields = json.loads(json.dumps(fields))
    boot.lines[at] = (kind, fields)
    inner = [value for value in fields.values() if isinstance(value, dict)]
    return draws.pick(inner) if inner and draws.chance(500) else fields


def _put(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    table = _some_table(plan, draws)
    if table:
        table[draws.pick(sorted(table))] = draws.pick(VALUES)


def _delete(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    table = _some_table(plan, draws)
    if table:
        table.pop(draws.pick(sorted(table)))


def _add(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    names = ("segment", "recording", "nonce", "torn", "branches", "kind", "n", "prev", "t", "x",
             "officer", "at_ns", "video", "follows", "by")  # fmt: skip
    _some_table(plan, draws)[draws.pick(names)] = draws.pick(VALUES)


def _borrow(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """A field of one line takes the value of another's."""
    source, target = _some_table(plan, draws), _some_table(plan, draws)
    common = sorted(source.keys() & target.keys()) or sorted(source)
    if common:
        name = draws.pick(common)
        target[name] = source[name]


def _spell(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """Another spelling of the same text."""
    table = _some_table(plan, draws)
    texts = sorted(name for name, value in table.items() if isinstance(value, str))
    if texts:
        name = draws.pick(texts)
        table[name] = draws.pick(SPELLINGS)(table[name])


SPELLINGS: tuple[Callable[[str], str], ...] = (
    str.upper,
    lambda text: text + "\n",
    lambda text: " " + text,
    lambda text: text + "junk",
    lambda text: text + text,
    lambda text: text[:-1],
    lambda text: text.replace("\n", "\r\n"),
)


def _move_line(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    boot = draws.pick(plan.boots)
    line = boot.lines.pop(draws.below(len(boot.lines)))
    target = draws.pick(plan.boots)
    target.lines.insert(draws.below(len(target.lines) + 1), line)


def _repeat_line(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    source, target = draws.pick(plan.boots), draws.pick(plan.boots)
    line = draws.pick(source.lines)
    target.lines.insert(draws.below(len(target.lines) + 1), line)


def _drop_line(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    boot = draws.pick(plan.boots)
    if len(boot.lines) > 1:
        boot.lines.pop(draws.below(len(boot.lines)))


def _other_kind(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    boot = draws.pick(plan.boots)
    at = draws.below(len(boot.lines))
    kinds = (
        "open",
        "sync",
        "seal",
        "still",
        "recovered",
        "dock",
        "receipt",
        "wipe",
        "boot",
        "stop",
        "custodian",
        "marker",
        "made-up",
        "",
    )
    boot.lines[at] = (draws.pick(kinds), boot.lines[at][1])


def _boot_line(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """Its fields, after the device key has certified them."""
    boot = draws.pick(plan.boots)
    names = (
        "format",
        "device",
        "boot",
        "boot_key",
        "device_signature",
        "cause",
        "torn",
        "branches",
        "certificate",
        "time",
        "software",
        "config_sha256",
    )
    name = draws.pick(names)
    made = suite._boot(boot, signature.private_key(b"x" * 48), 0, "0" * 64)
    value: Any = draws.pick(VALUES)
    if name in ("boot_key", "device_signature", "certificate", "device") and draws.chance(700):
        value = draws.pick(SPELLINGS)(str(made[name]))
    boot.changed[name] = value


def _signer(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    name = draws.pick(sorted(suite._signers))
    for boot in plan.boots if draws.chance(700) else [draws.pick(plan.boots)]:
        boot.signer = suite._signers[name]


def _named_like_the_camera(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """Somebody else's key and certificate, under the camera's name."""
    name = draws.pick(sorted(suite._signers))
    other, own = suite._signers[name], suite._signers["camera"]
    for boot in plan.boots:
        boot.signer = Signer(other.identity, own.device, other.certificate)


def _chain(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """Certificates too many, too few, in another order, with something around them."""
    boot = draws.pick(plan.boots)
    root = suite.agency.files[keys.ROOT].decode()
    pems = boot.signer.certificate.split("-----END CERTIFICATE-----\n")[:-1]
    pems = [f"{pem}-----END CERTIFICATE-----\n" for pem in pems] or [root]
    ways: tuple[list[str], ...] = (
        pems[:1], pems[::-1], [*pems, root], [*pems, *pems], ["junk\n", *pems], [*pems, "junk"],
        [pems[0], "\n", *pems[1:]], [pems[0], root], [],
    )  # fmt: skip
    boot.signer = Signer(boot.signer.identity, boot.signer.device, "".join(draws.pick(ways)))


def _custodian(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """Somebody else introduces himself, or certificates come with something around them."""
    for boot in plan.boots:
        for at, (kind, fields) in enumerate(boot.lines):
            if kind != "custodian":
                continue
            pem = str(fields.get("certificate"))
            others = [signer.certificate for signer in suite._signers.values()]
            odd = [pem + "junk", "junk" + pem, pem + pem, pem[:-40], pem + "\n"]
            boot.lines[at] = (kind, {"certificate": draws.pick([*others, *odd])})


def _receipt_field(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """A field of the store's receipt, which its key signs all the same."""
    for boot in plan.boots:
        for at, (kind, fields) in enumerate(boot.lines):
            if kind != "receipt" or not isinstance(fields.get("statement"), dict):
                continue
            told = dict(fields["statement"])
            name = draws.pick([*sorted(told), "by", "purpose", "extra"])
            told[name] = DELETED if draws.chance(200) and name != "anchor" else draws.pick(VALUES)
            if name == "anchor":
                told[name] = draws.pick(ANCHORS)
            boot.lines[at] = (kind, {**fields, "statement": told})


ANCHORS: tuple[Any, ...] = (
    {"number": 1, "digest": None},
    {"number": 10**9, "digest": None},
    {"number": 1},
    {"digest": "0" * 64},
    {"number": True, "digest": "0" * 64},
    {"number": 1, "digest": "0" * 64, "by": "0" * 64},
    [],
    "x",
    5,
    {"number": 0, "digest": "0" * 64},
)


def _raw(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """Bytes behind the last line, or that look like one."""
    draws.pick(plan.boots).raw = draws.pick(
        (
            b"junk",
            b"\n",
            b"{}\t" + b"0" * 128 + b"\n",
            b'{"a":"' + b'\\"' * 2000,
            b"[" * 3000 + b"\n",
            bytes(100),
        )
    )


def _file(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    name = draws.pick(sorted(plan.files) or ["00000001-0009-0001.mp4.age"])
    way = draws.below(6)
    if way == 0:
        plan.files.pop(name, None)
    elif way == 1:
        plan.files[name] = plan.files.get(name, b"")[:-1]
    elif way == 2:
        plan.files[name.removesuffix(".part") + draws.pick(("", ".part", ".x"))] = b"other"
    elif way == 3:
        plan.files[draws.pick(("x", "00000002-0009-0001.mp4.age.part", "a\nsealed x"))] = b""
    else:
        plan.links.append(draws.pick((f"footage/{name}", "footage", "ledger", "empty footage",
                                      "ledger/00000001.ledger", "plain footage")))  # fmt: skip


def _empty_file(suite: SignedMutations, plan: Plan, draws: Draws) -> None:
    """A file of no bytes is sealed, and is there or not."""
    name = "00000002-0002-0001.mp4.age"
    nothing = {"segment": name, "length": 0, "sha256": _sha256(b"")}
    kind = draws.pick(("still", "seal", "recovered"))
    if kind == "still":
        name = "00000002-0002-0001.jpg.age"
        line = ("still", {**nothing, "segment": name, "recording": "00000002-0002", "pts_ns": 1})
    elif kind == "seal":
        line = ("seal", {**nothing, "plaintext_sha256": "0" * 64})
        opened = {"segment": name, "recording": "00000002-0002", "header": "", "nonce": "00" * 16,
                  "first_pts_ns": 0}  # fmt: skip
        plan.boots[-1].lines.insert(0, ("open", opened))
    else:
        name = "00000001-0009-0001.mp4.age"
        line = ("recovered", {**nothing, "segment": name, "recording": "", "attested_length": 0})
    plan.boots[-1].lines.insert(1, line)
    if draws.chance(500):
        plan.files[name] = b""


MUTATIONS: tuple[Mutation, ...] = (
    _put,
    _put,
    _put,
    _delete,
    _add,
    _borrow,
    _borrow,
    _spell,
    _spell,
    _move_line,
    _repeat_line,
    _drop_line,
    _other_kind,
    _boot_line,
    _boot_line,
    _signer,
    _named_like_the_camera,
    _chain,
    _custodian,
    _receipt_field,
    _receipt_field,
    _raw,
    _file,
    _empty_file,
)


# --- bytes ---------------------------------------------------------------------------------------


def _line(fields: Fields, key: Any) -> bytes:
    signed = _canonical(fields)
    return signed + b"\t" + signature.sign(key, signed).hex().encode()


def _canonical(fields: Fields) -> bytes:
    """In the canonical order, also of what has no canonical form."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _as_link(vault: Path, what: str) -> None:
    """Puts something in another place, and a link to it in its own."""
    path = vault / what.removeprefix("empty ").removeprefix("plain ")
    outside = vault.with_name(f"outside-{path.name}")
    shutil.rmtree(outside, ignore_errors=True)
    outside.unlink(missing_ok=True)
    if not path.exists() or path.is_symlink() or path.parent.is_symlink():
        return
    if what.startswith(("empty ", "plain ")) and not path.is_dir():
        return
    if what.startswith("empty "):
        shutil.rmtree(path)
        outside.mkdir()
    elif what.startswith("plain "):
        shutil.rmtree(path)
        path.write_bytes(b"")
        return
    else:
        path.rename(outside)
    path.symlink_to(outside)
