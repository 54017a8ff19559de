"""Changes of a package, by a stranger or by somebody with a disclosure officer's key. What must be
said of each stands in docs/package-verdicts.md."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from bwv_device.formats import canonical_json, statement
from bwv_device.formats.grammar.purposes import PACKAGE
from bwv_device.formats.statement import Signer
from bwv_device.verification.second_video_verifier import (
    UUID,
    Movie,
    boxes,
    nal_units,
    only,
    table_of,
)
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
        """Its first film, or any file where another change has left none."""
        names = [str(film["name"]) for film in self.said["films"] if film["name"] in self.files]
        return names[0] if names else self.any_file()

    def any_file(self) -> str:
        return self.draws.pick(sorted(self.files))

    def sealed(self) -> str:
        """One of the sealed segments, or any file where there is none."""
        names = sorted(n for n in self.files if n.startswith(SEALED) and ".mp4" in n)
        return self.draws.pick(names) if names else self.any_file()

    def flip(self, name: str, least: int = 0) -> None:
        data = bytearray(self.files.get(name, b""))
        if data:
            data[self.draws.between(min(least, len(data) - 1), len(data) - 1)] ^= (
                1 << self.draws.below(8)
            )
            self.files[name] = bytes(data)

    def cut(self, name: str) -> None:
        data = self.files.get(name, b"")
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

    def with_line(self, change: Callable[[dict[str, Any]], None]) -> None:
        told = self.custody()
        lines = [line for line in told["lines"] if line]
        if lines:
            change(self.draws.pick(lines))
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


@edit(BY_STRANGER, "a certificate that is none")
def _no_certificate(draft: Draft) -> None:
    der = base64.b64encode(bytes.fromhex("300a30030201013000030100")).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n".encode()
    draft.files[SIGNATURE] = draft.files[SIGNATURE].partition(b"\n")[0] + b"\n" + pem


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


@edit(BY_INSIDER, "a key too many")
def _key_too_many(draft: Draft) -> None:
    draft.files[KEYS] = canonical_json.encode({**_keys(draft), "x": "ZZ"})


@edit(BY_INSIDER, "a picture that nobody took")
def _still(draft: Draft) -> None:
    draft.files[draft.said["recording"] + "-0099.jpg"] = b"\xff\xd8 another street"


@edit(BY_INSIDER, "another picture than was taken")
def _other_still(draft: Draft) -> None:
    for name in [name for name in draft.files if name.endswith(".jpg") and "/" not in name]:
        draft.files[name] = b"\xff\xd8 another street"


@edit(BY_INSIDER, "words behind the camera's lines")
def _words(draft: Draft) -> None:
    draft.files[CAMERA] = draft.files.get(CAMERA, b"") + b"the officer did nothing wrong"


@edit(BY_INSIDER, "no table of custody lines")
def _no_table(draft: Draft) -> None:
    draft.write_custody({**draft.custody(), "lines": [None]})


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
# In place: what is left out becomes filler, which players and verifiers pass over.


class _Sample(NamedTuple):
    """Of the pictures: where it lies, how long it is, and where that is written."""

    place: int
    size: int
    written_at: int


class _Nal(NamedTuple):
    sample: int
    at: int  # of its first byte, behind its length
    kind: int


def _samples(film: bytearray) -> list[_Sample]:
    moov = only(film, 0, len(film), b"moov")
    tracks = [Movie(film, at, end) for kind, at, end in boxes(film, *moov) if kind == b"trak"]
    (stbl,) = (track.stbl for track in tracks if track.kind == b"vide")
    sizes, _ = only(film, *stbl, b"stsz")
    rows = table_of(film, *stbl)
    return [_Sample(at, size, sizes + 12 + 4 * n) for n, (at, size) in enumerate(rows)]


def _nals(film: bytearray, samples: list[_Sample]) -> list[_Nal]:
    found = list[_Nal]()
    for number, sample in enumerate(samples):
        at = sample.place
        while at + 4 < sample.place + sample.size:
            kind = film[at + 4] & 31
            if kind == 6 and UUID not in film[at + 4 : at + 64]:
                kind = 0  # the encoder's own
            found.append(_Nal(number, at + 4, kind))
            at += 4 + int.from_bytes(film[at : at + 4], "big")
    return found


def _in_film(draft: Draft, change: Callable[[bytearray, list[_Sample]], None]) -> None:
    film = bytearray(draft.files.get(draft.film, b""))
    try:
        change(film, _samples(film))
    except (ValueError, IndexError):
        return  # another change has left no film
    draft.files[draft.film] = bytes(film)


def _fill(film: bytearray, nal: _Nal) -> None:
    film[nal.at] = film[nal.at] & 0xE0 | 12


def _in_the_middle(draft: Draft, nals: list[_Nal], kind: int) -> _Nal:
    """Of no end: there, pictures may be missing without a word."""
    keys = [nal.sample for nal in nals if nal.kind == 5]
    return draft.draws.pick([n for n in nals if n.kind == kind and keys[1] <= n.sample < keys[-2]])


@edit(OF_EXCERPT, "a group of pictures left out of an excerpt")
def _group(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        """With the statement about it, which stands in the second picture of the next one."""
        nals = _nals(film, samples)
        keys = [nal.sample for nal in nals if nal.kind == 5]
        said = {nal.sample for nal in nals if nal.kind == 6}
        first, after = draft.draws.pick([
            (one, other) for one, other in pairwise(keys[1:-1])
            if other + 1 in said and not said & set(range(one + 2, other + 1))
        ])  # fmt: skip
        for nal in nals:
            of_next = nal.sample == after + 1 and nal.kind == 6
            if of_next or (first <= nal.sample < after and nal.kind in (1, 5)):
                _fill(film, nal)

    _in_film(draft, change)


@edit(OF_EXCERPT, "a picture left out of an excerpt")
def _picture(draft: Draft) -> None:
    _in_film(draft, lambda film, samples: _fill(
        film, _in_the_middle(draft, _nals(film, samples), 1)
    ))  # fmt: skip


def _neighbours(
    draft: Draft, film: bytearray, samples: list[_Sample], fits: Callable[[int, int], bool]
) -> tuple[_Sample, _Sample]:
    """Two pictures, one behind the other, with nothing else in them."""
    nals = _nals(film, samples)
    plain = {nal.sample for nal in nals if nal.kind == 1} - {n.sample for n in nals if n.kind != 1}
    found = [
        (one, other)
        for number, (one, other) in enumerate(pairwise(samples))
        if {number, number + 1} <= plain
        and one.place + one.size == other.place
        and fits(one.size, other.size)
    ]
    return draft.draws.pick(found)


@edit(OF_EXCERPT, "pictures of an excerpt exchanged")
def _pictures_exchanged(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        one, other = _neighbours(draft, film, samples, lambda a, b: True)
        both = film[other.place :][: other.size] + film[one.place :][: one.size]
        film[one.place : one.place + len(both)] = both
        for sample, size in ((one, other.size), (other, one.size)):
            film[sample.written_at : sample.written_at + 4] = size.to_bytes(4, "big")

    _in_film(draft, change)


@edit(OF_EXCERPT, "a picture of an excerpt twice")
def _picture_twice(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        one, other = _neighbours(draft, film, samples, lambda a, b: a + 5 <= b)
        left = other.size - one.size
        again = film[one.place :][: one.size] + (left - 4).to_bytes(4, "big") + b"\x0c"
        film[other.place : other.place + len(again)] = again

    _in_film(draft, change)


@edit(OF_EXCERPT, "the camera's statements left out of an excerpt")
def _no_statements(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        for nal in _nals(film, samples):
            if nal.kind == 6:
                _fill(film, nal)

    _in_film(draft, change)


# --- films that players and verifiers could read in two ways --------------------------------------


@edit(OF_EXCERPT, "two descriptions of an excerpt")
def _two_moovs(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        at, end = only(film, 0, len(film), b"moov")
        film += film[at - 8 : end]

    _in_film(draft, change)


@edit(OF_EXCERPT, "another length of lengths in an excerpt")
def _lengths(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        film[film.index(b"avcC") + 8] ^= 2

    _in_film(draft, change)


@edit(OF_EXCERPT, "two tracks of one number in an excerpt")
def _one_number(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        moov = only(film, 0, len(film), b"moov")
        for kind, at, end in boxes(film, *moov):
            if kind == b"trak":
                header, _ = only(film, at, end, b"tkhd")
                where = header + (20 if film[header] else 12)
                film[where : where + 4] = (1).to_bytes(4, "big")

    _in_film(draft, change)


@edit(OF_EXCERPT, "a track of another kind in an excerpt")
def _other_kind(draft: Draft) -> None:
    def change(film: bytearray, samples: list[_Sample]) -> None:
        at = film.index(b"soun")
        film[at : at + 4] = b"pict"

    _in_film(draft, change)


@edit(OF_EXCERPT, "an excerpt with start codes")
def _start_codes(draft: Draft) -> None:
    try:
        nals = [bytes(nal) for nal in nal_units(draft.files[draft.film])]
    except (ValueError, IndexError, KeyError):
        return
    draft.files[draft.film] = b"".join(b"\0\0\0\1" + nal for nal in nals)
