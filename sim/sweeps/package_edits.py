"""Changes of a package, by a stranger or by somebody with a disclosure officer's key. What must be
said of each stands in docs/package-verdicts.md."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bwv_device.formats import canonical_json, statement
from bwv_device.formats.grammar.purposes import PACKAGE
from bwv_device.formats.statement import Signer
from bwv_device.verification.second_video_verifier import nal_units
from sim.random_streams import Draws
from sim.sweeps.disclosed_packages import ANOTHER, DisclosedPackages, Files

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
CAMERA, CUSTODY, KEYS = "proof/camera.ledger", "proof/custody.json", "proof/keys.json"
SEALED = "proof/sealed/"


@dataclass
class Draft:
    """A package on somebody's desk. `said`: what its signature will say."""

    source: DisclosedPackages
    files: Files
    draws: Draws

    def __post_init__(self) -> None:
        fields = json.loads(self.files[SIGNATURE].split(b"\t")[0])
        self.purpose = fields.pop("purpose")
        self.said: dict[str, Any] = {k: v for k, v in fields.items() if k != "by"}
        self.signer: Signer = self.source.officer

    # --- signing anew ---

    def list_anew(self) -> None:
        names = sorted(name for name in self.files if name not in (SUMS, SIGNATURE))
        rows = (f"{hashlib.sha256(self.files[n]).hexdigest()}  {n}\n" for n in names)
        self.files[SUMS] = "".join(rows).encode()

    def sign_anew(self) -> None:
        """With every digest right."""
        self.list_anew()
        self.said["sums"] = hashlib.sha256(self.files[SUMS]).hexdigest()
        for film in self.said["films"]:
            if film["name"] in self.files:
                film["sha256"] = hashlib.sha256(self.files[film["name"]]).hexdigest()
        self.files[SIGNATURE] = statement.make(self.signer, self.purpose, self.said)

    # --- parts ---

    @property
    def film(self) -> str:
        return str(self.said["films"][0]["name"]) if self.said["films"] else self.any_file()

    def any_file(self) -> str:
        return self.draws.pick(sorted(self.files))

    def sealed(self) -> str:
        """One of the sealed segments, or any file where there is none."""
        names = sorted(n for n in self.files if n.startswith(SEALED) and ".mp4" in n)
        return self.draws.pick(names) if names else self.any_file()

    def flip(self, name: str, least: int = 0) -> None:
        data = bytearray(self.files[name])
        if data:
            data[self.draws.between(min(least, len(data) - 1), len(data) - 1)] ^= (
                1 << self.draws.below(8)
            )
        self.files[name] = bytes(data)

    def cut(self, name: str) -> None:
        data = self.files[name]
        self.files[name] = data[: max(0, len(data) - self.draws.between(1, 5000))]

    def drop(self, name: str) -> None:
        self.files.pop(name, None)

    # --- ledgers ---

    def lines(self) -> list[bytes]:
        return self.files.get(CAMERA, b"").split(b"\n")[:-1]

    def write_lines(self, lines: list[bytes]) -> None:
        self.files[CAMERA] = b"".join(line + b"\n" for line in lines)

    def without_lines(self, unwanted: Callable[[dict[str, Any]], bool]) -> None:
        self.write_lines([line for line in self.lines() if not unwanted(_fields(line))])

    def custody(self) -> dict[str, Any]:
        try:
            told = json.loads(self.files.get(CUSTODY, b"{}"))
        except ValueError:
            told = {}
        empty = {"lines": [], "checkpoint": "", "trust": "", "others": []}
        return {**empty, **told} if isinstance(told, dict) else empty

    def write_custody(self, told: dict[str, Any]) -> None:
        self.files[CUSTODY] = canonical_json.encode(told)

    def a_line(self, told: dict[str, Any]) -> dict[str, Any]:
        return dict(self.draws.pick(told["lines"])) if told["lines"] else {}

    def with_line(self, change: Callable[[dict[str, Any]], None]) -> None:
        told = self.custody()
        if told["lines"]:
            change(told["lines"][self.draws.below(len(told["lines"]))])
            self.write_custody(told)


def _fields(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line.split(b"\t")[0])
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


Edit = Callable[[Draft], None]
BY_STRANGER: dict[str, Edit] = {}
BY_INSIDER: dict[str, Edit] = {}
OF_EXCERPT: dict[str, Edit] = {}


def edit(table: dict[str, Edit], name: str) -> Callable[[Edit], Edit]:
    def keep(change: Edit) -> Edit:
        table[name] = change
        return change

    return keep


# --- by a stranger --------------------------------------------------------------------------------


@edit(BY_STRANGER, "nothing")
def _nothing(draft: Draft) -> None: ...


@edit(BY_STRANGER, "a byte of a file")
def _a_byte(draft: Draft) -> None:
    draft.flip(draft.any_file())


@edit(BY_STRANGER, "a file cut short")
def _cut_short(draft: Draft) -> None:
    draft.cut(draft.any_file())


@edit(BY_STRANGER, "a file removed")
def _removed(draft: Draft) -> None:
    draft.drop(draft.draws.pick(sorted(set(draft.files) - {SUMS})))


@edit(BY_STRANGER, "two files exchanged")
def _exchanged(draft: Draft) -> None:
    one, other = draft.film, draft.draws.pick(sorted(set(draft.files) - {draft.film}))
    draft.files[one], draft.files[other] = draft.files[other], draft.files[one]


@edit(BY_STRANGER, "a file added")
def _added(draft: Draft) -> None:
    name = draft.draws.pick(("note.txt", "proof/more", SEALED + "x", "00000001-0001.2.mp4"))
    draft.files[name] = b"believe me"


@edit(BY_STRANGER, "a file of the operating system added")
def _stray(draft: Draft) -> None:
    name = draft.draws.pick((".DS_Store", "proof/Thumbs.db", "._report.html", "desktop.ini"))
    draft.files[name] = b"\0\0\0\1Bud1"


@edit(BY_STRANGER, "the list summed anew")
def _summed(draft: Draft) -> None:
    draft.flip("report.html")
    draft.list_anew()


# --- by an insider --------------------------------------------------------------------------------


@edit(BY_INSIDER, "signed anew")
def _signed(draft: Draft) -> None: ...


@edit(BY_INSIDER, "another report")
def _report(draft: Draft) -> None:
    draft.files["report.html"] = b"<p>All is well.</p>"


@edit(BY_INSIDER, "signed by a custodian")
def _custodian(draft: Draft) -> None:
    draft.signer = draft.source.custodian


@edit(BY_INSIDER, "signed by another agency's officer")
def _stranger(draft: Draft) -> None:
    draft.signer = draft.source.stranger


@edit(BY_INSIDER, "signed for another purpose")
def _purpose(draft: Draft) -> None:
    draft.purpose = PACKAGE + "1"


@edit(BY_INSIDER, "a field too many")
def _field(draft: Draft) -> None:
    draft.said["more"] = 1


@edit(BY_INSIDER, "a time before the certificate")
def _early(draft: Draft) -> None:
    draft.said["utc_ns"] = draft.said["utc_ns"] // 2


@edit(BY_INSIDER, "the film of another recording")
def _other_film(draft: Draft) -> None:
    others = draft.source.packages[ANOTHER]
    (name,) = (n for n in others if n.endswith(".mp4") and "/" not in n)
    draft.files[draft.film] = others[name]


@edit(BY_INSIDER, "a byte of the film")
def _film_byte(draft: Draft) -> None:
    draft.flip(draft.film, 64)


@edit(BY_INSIDER, "the film cut short")
def _film_cut(draft: Draft) -> None:
    draft.cut(draft.film)


def _called(draft: Draft, kind: str) -> None:
    for film in draft.said["films"]:
        film["kind"] = kind


@edit(BY_INSIDER, "the film called an excerpt")
def _called_excerpt(draft: Draft) -> None:
    _called(draft, "excerpt")


def _without_originals(draft: Draft) -> None:
    for name in [n for n in draft.files if n.startswith(SEALED) or n == KEYS]:
        draft.drop(name)


@edit(BY_INSIDER, "the film called an excerpt, without originals")
def _excerpt_alone(draft: Draft) -> None:
    _called(draft, "excerpt")
    _without_originals(draft)


@edit(BY_INSIDER, "the film called redacted, without originals")
def _redacted_alone(draft: Draft) -> None:
    _called(draft, "redacted")
    _without_originals(draft)


@edit(BY_INSIDER, "no film")
def _no_film(draft: Draft) -> None:
    draft.drop(draft.film)
    draft.said["films"] = []


@edit(BY_INSIDER, "a sealed original removed")
def _no_original(draft: Draft) -> None:
    draft.drop(draft.sealed())


@edit(BY_INSIDER, "a byte of a sealed original")
def _sealed_byte(draft: Draft) -> None:
    draft.flip(draft.sealed())


@edit(BY_INSIDER, "sealed originals exchanged")
def _originals_exchanged(draft: Draft) -> None:
    names = sorted(n for n in draft.files if n.startswith(SEALED) and ".mp4" in n)
    if len(names) > 1:
        one, other = names[0], names[1]
        draft.files[one], draft.files[other] = draft.files[other], draft.files[one]


@edit(BY_INSIDER, "a key changed")
def _key(draft: Draft) -> None:
    keys = _keys(draft)
    names = sorted(name for name in keys if ".mp4" in name)
    if names:
        keys[draft.draws.pick(names)] = "00" * 16
        draft.files[KEYS] = canonical_json.encode(keys)


@edit(BY_INSIDER, "a key left out")
def _no_key(draft: Draft) -> None:
    keys = _keys(draft)
    names = sorted(name for name in keys if ".mp4" in name)
    if names:
        del keys[draft.draws.pick(names)]
        draft.files[KEYS] = canonical_json.encode(keys)


def _keys(draft: Draft) -> dict[str, Any]:
    try:
        keys = json.loads(draft.files.get(KEYS, b"{}"))
    except ValueError:
        return {}
    return keys if isinstance(keys, dict) else {}


def _segments(draft: Draft) -> list[int]:
    return [n for n, row in enumerate(draft.said["sealed"]) if ".mp4" in row["segment"]]


@edit(BY_INSIDER, "a segment left out")
def _segment(draft: Draft) -> None:
    if at := _segments(draft):
        row = draft.said["sealed"].pop(draft.draws.pick(at))
        draft.drop(SEALED + row["segment"])


@edit(BY_INSIDER, "a segment that the camera does not name")
def _strange_segment(draft: Draft) -> None:
    name = draft.said["recording"] + "-0099.mp4.age"
    draft.said["sealed"].append({"segment": name, "sha256": "0" * 64})


@edit(BY_INSIDER, "another recording named")
def _recording(draft: Draft) -> None:
    draft.said["recording"] = "00000001-0002"


@edit(BY_INSIDER, "another camera named")
def _camera(draft: Draft) -> None:
    draft.said["device"] = "bench-camera-2"


@edit(BY_INSIDER, "the camera's end left out")
def _no_end(draft: Draft) -> None:
    draft.without_lines(lambda said: said.get("kind") == "close")


@edit(BY_INSIDER, "a segment's lines left out")
def _no_segment_lines(draft: Draft) -> None:
    names = sorted({str(_fields(line).get("segment")) for line in draft.lines()
                    if ".mp4" in str(_fields(line).get("segment"))})  # fmt: skip
    if names:
        unwanted = draft.draws.pick(names)
        draft.without_lines(lambda said: said.get("segment") == unwanted)


@edit(BY_INSIDER, "a line within the recording left out")
def _no_line(draft: Draft) -> None:
    within = [
        n for n, line in enumerate(draft.lines()) if _fields(line).get("kind") in ("sync", "marker")
    ]
    if within:
        lines = draft.lines()
        del lines[draft.draws.pick(within)]
        draft.write_lines(lines)


@edit(BY_INSIDER, "a boot left out")
def _no_boot(draft: Draft) -> None:
    draft.without_lines(lambda said: said.get("kind") == "boot")


@edit(BY_INSIDER, "a word of a camera's line")
def _camera_word(draft: Draft) -> None:
    lines = draft.lines()
    if lines:
        at = draft.draws.below(len(lines))
        lines[at] = lines[at].replace(b'"kind":"', b'"kind":"x', 1)
        draft.write_lines(lines)


@edit(BY_INSIDER, "camera's lines exchanged")
def _camera_order(draft: Draft) -> None:
    lines = draft.lines()
    if len(lines) > 2:
        at = draft.draws.between(1, len(lines) - 2)
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
        draft.write_lines(lines)


@edit(BY_INSIDER, "another camera's lines")
def _other_camera(draft: Draft) -> None:
    draft.files[CAMERA] = draft.source.strange_lines


@edit(BY_INSIDER, "a custody line changed")
def _custody_word(draft: Draft) -> None:
    def change(line: dict[str, Any]) -> None:
        line["line"] = str(line["line"]).replace('"n":', '"n":1', 1)

    draft.with_line(change)


@edit(BY_INSIDER, "a custody line of another recording")
def _custody_other(draft: Draft) -> None:
    told, others = draft.custody(), json.loads(draft.source.packages[ANOTHER][CUSTODY])
    told["lines"].append(draft.draws.pick(others["lines"]))
    draft.write_custody(told)


@edit(BY_INSIDER, "a custody line under another number")
def _custody_number(draft: Draft) -> None:
    draft.with_line(lambda line: line.update(number=line["number"] + 1))


@edit(BY_INSIDER, "a step of a proof left out")
def _proof_step(draft: Draft) -> None:
    draft.with_line(lambda line: line.update(proof=line["proof"][:-1]))


@edit(BY_INSIDER, "a byte of a proof")
def _proof_byte(draft: Draft) -> None:
    def change(line: dict[str, Any]) -> None:
        if line["proof"]:
            line["proof"][0] = hashlib.sha256(line["proof"][0].encode()).hexdigest()

    draft.with_line(change)


@edit(BY_INSIDER, "no custody lines")
def _no_custody(draft: Draft) -> None:
    draft.write_custody({**draft.custody(), "lines": []})


@edit(BY_INSIDER, "no checkpoint")
def _no_checkpoint(draft: Draft) -> None:
    draft.write_custody({**draft.custody(), "checkpoint": ""})


@edit(BY_INSIDER, "no trust list")
def _no_trust(draft: Draft) -> None:
    draft.write_custody({**draft.custody(), "trust": ""})


def _note(draft: Draft, change: Callable[[str, list[str]], tuple[str, list[str]]]) -> None:
    told = draft.custody()
    text, split, tail = told["checkpoint"].rpartition("\n\n")
    if split:
        text, rows = change(text, tail.split("\n")[:-1])
        told["checkpoint"] = text + "\n\n" + "".join(row + "\n" for row in rows)
        draft.write_custody(told)


@edit(BY_INSIDER, "no cosignatures")
def _no_cosignatures(draft: Draft) -> None:
    _note(draft, lambda text, rows: (text, rows[:1]))


@edit(BY_INSIDER, "a byte of a cosignature")
def _cosignature_byte(draft: Draft) -> None:
    def change(text: str, rows: list[str]) -> tuple[str, list[str]]:
        head, _, said = rows[-1].rpartition(" ")
        data = bytearray(base64.b64decode(said))
        data[draft.draws.between(4, len(data) - 1)] ^= 1
        return text, [*rows[:-1], f"{head} {base64.b64encode(data).decode()}"]

    _note(draft, change)


@edit(BY_INSIDER, "the checkpoint of another log")
def _other_log(draft: Draft) -> None:
    _note(draft, lambda text, rows: ("x" + text, rows))


@edit(BY_INSIDER, "another size in the checkpoint")
def _other_size(draft: Draft) -> None:
    def change(text: str, rows: list[str]) -> tuple[str, list[str]]:
        origin, size, *rest = text.split("\n")
        return "\n".join([origin, str(int(size) + 1), *rest]), rows

    _note(draft, change)


@edit(BY_INSIDER, "a byte of the trust list")
def _trust_byte(draft: Draft) -> None:
    told = draft.custody()
    told["trust"] = told["trust"].replace('"quorum":1', '"quorum":0', 1)
    draft.write_custody(told)


@edit(BY_INSIDER, "another form of the same JSON")
def _other_form(draft: Draft) -> None:
    draft.files[CUSTODY] = b" " + draft.files.get(CUSTODY, b"{}")


# --- pictures of an excerpt -----------------------------------------------------------------------
# As H.264 with start codes: the verifiers read it as they read an MP4.


def _pictures(draft: Draft, change: Callable[[list[bytes]], list[bytes]]) -> None:
    try:
        nals = [bytes(nal) for nal in nal_units(draft.files[draft.film])]
    except (ValueError, IndexError, KeyError):
        return
    if nals:
        draft.files[draft.film] = b"".join(b"\0\0\0\1" + nal for nal in change(nals))


def _slices(nals: list[bytes], kinds: tuple[int, ...]) -> list[int]:
    return [at for at, nal in enumerate(nals) if nal and nal[0] & 31 in kinds]


def _in_the_middle(draft: Draft, nals: list[bytes], kinds: tuple[int, ...]) -> int | None:
    """A picture that is of no end: those may be missing without a word."""
    idr = _slices(nals, (5,))
    found = [at for at in _slices(nals, kinds) if len(idr) > 3 and idr[1] <= at < idr[-2]]
    return draft.draws.pick(found) if found else None


@edit(OF_EXCERPT, "a group of pictures left out of an excerpt")
def _group(draft: Draft) -> None:
    def change(nals: list[bytes]) -> list[bytes]:
        """With the statement about it, which stands in the next one."""
        at = _in_the_middle(draft, nals, (5,))
        if at is None:
            return nals
        idr = _slices(nals, (5,))
        end = idr[idr.index(at) + 1]
        kept = [nal for nal in nals[at:end] if nal and nal[0] & 31 in (6,)]
        after = nals[end:]
        own = next((n for n, nal in enumerate(after) if nal and nal[0] & 31 == 6), None)
        if own is not None:
            after = after[:own] + after[own + 1 :]
        return nals[:at] + nals[end : end + 1] + kept + after[1:]

    _pictures(draft, change)


@edit(OF_EXCERPT, "a picture left out of an excerpt")
def _picture(draft: Draft) -> None:
    def change(nals: list[bytes]) -> list[bytes]:
        at = _in_the_middle(draft, nals, (1,))
        return nals if at is None else nals[:at] + nals[at + 1 :]

    _pictures(draft, change)


@edit(OF_EXCERPT, "pictures of an excerpt exchanged")
def _pictures_exchanged(draft: Draft) -> None:
    def change(nals: list[bytes]) -> list[bytes]:
        at = _in_the_middle(draft, nals, (1,))
        following = next((n for n in _slices(nals, (1,)) if at is not None and n > at), None)
        if at is not None and following is not None:
            nals[at], nals[following] = nals[following], nals[at]
        return nals

    _pictures(draft, change)


@edit(OF_EXCERPT, "a picture of an excerpt twice")
def _picture_twice(draft: Draft) -> None:
    def change(nals: list[bytes]) -> list[bytes]:
        at = _in_the_middle(draft, nals, (1,))
        return nals if at is None else [*nals[: at + 1], nals[at], *nals[at + 1 :]]

    _pictures(draft, change)


@edit(OF_EXCERPT, "the camera's statements left out of an excerpt")
def _no_statements(draft: Draft) -> None:
    _pictures(draft, lambda nals: [nal for nal in nals if not nal or nal[0] & 31 != 6])
