"""What is exported is what was judged; and a hostile film ends nobody else's export."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.made_vault import MadeVault

from bwv_device.camera.vault.ledger_writer import Ledger
from bwv_device.commands.export import command
from bwv_device.formats import canonical_json
from bwv_device.formats.age_payload import Opener, Seal
from bwv_device.formats.ledger_lines import START
from bwv_device.verification import export as export_module
from bwv_device.verification.conclusion import Conclusion
from bwv_device.verification.export import Exported, export
from bwv_device.verification.footage_reading import FootageReading
from bwv_device.verification.vault_report import FileStatus, digests, judge, survey
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.test_keys import BenchAgency

ONE, OTHER = "00000001-0001", "00000002-0001"


@pytest.fixture
def vault(made_vault: MadeVault, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_vault.path, tmp_path / "vault"))


def footage(vault: Path, pattern: str) -> list[Path]:
    return sorted((vault / "footage").glob(pattern))


def plaintext(path: Path, agency: BenchAgency) -> bytes:
    with path.open("rb") as file:
        return b"".join(Opener(file, agency.identities).whole_chunks())


def sealed(agency: BenchAgency, data: bytes) -> bytes:
    """Anybody can seal to the public key."""
    seal = Seal(agency.recipients, SeededEntropy("forger"))
    return seal.header + seal.nonce + b"".join(seal.feed(data)) + seal.finish()


def put(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


SWAPS: dict[str, tuple[str, Callable[[Path, Path, BenchAgency], None]]] = {
    "another of its segments": (
        f"{ONE}-0002.mp4.age", lambda path, vault, agency: put(
            path, footage(vault, f"{ONE}-0001.mp4.age")[0].read_bytes())),
    "sealed anew by anybody": (
        f"{ONE}-0001.mp4.age", lambda path, vault, agency: put(
            path, sealed(agency, plaintext(path, agency)))),
    "one byte more": (
        f"{ONE}-0001.mp4.age", lambda path, vault, agency: put(path, path.read_bytes() + b"x")),
    "a chunk less": (
        f"{ONE}-0001.mp4.age", lambda path, vault, agency: put(path, path.read_bytes()[:-70_000])),
    "one that was recovered": (
        "00000001-0002-0001.mp4.age.part", lambda path, vault, agency: put(
            path, sealed(agency, plaintext(path, agency)))),
    "a still": (
        f"{ONE}-0001.jpg.age", lambda path, vault, agency: put(path, sealed(agency, b"forged"))),
}  # fmt: skip


@pytest.mark.parametrize("name", SWAPS)
def test_a_file_that_was_swapped_behind_the_ledger_is_exported_as_what_it_is(
    name: str, vault: Path, agency: BenchAgency, tmp_path: Path
) -> None:
    """There is one reading: whoever swaps a file meanwhile is found by that reading."""
    surveyed = survey(vault, [agency.root])
    pattern, swap = SWAPS[name]
    (path,) = footage(vault, pattern)
    swap(path, vault, agency)
    report, films, _ = export(surveyed, agency.identities, tmp_path / "out")
    assert not report.ok
    verdicts = {verdict.name: verdict.status for verdict in report.segments}
    sealed_name = path.name.removesuffix(".part")
    assert verdicts[sealed_name] is FileStatus.BAD
    rows = [row for film in films for row in sidecar(film)["segments"]]
    assert all(row["status"] == "bad" for row in rows if row["name"] == sealed_name)
    assert not any(sidecar(film)["ledger_verified"] for film in films)
    assert not (tmp_path / "out" / f"{ONE}-0001.jpg").exists() or name != "a still"
    assert {film.recording for film in films} >= {OTHER}


def test_without_the_digest_the_swap_would_go_through(
    vault: Path, agency: BenchAgency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a verdict on what stood there before."""
    surveyed = survey(vault, [agency.root])
    before = {found.name: digests(found) for found in surveyed.files}
    pattern, swap = SWAPS["sealed anew by anybody"]
    (path,) = footage(vault, pattern)
    swap(path, vault, agency)
    monkeypatch.setattr(
        export_module, "judge", lambda report, found, read: judge(report, found, before[found.name])
    )
    report, _, _ = export(surveyed, agency.identities, tmp_path / "out")
    assert report.ok


def sidecar(film: Exported) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(film.path.with_suffix(".json").read_text())
    return said


# --- hostile media, signed ------------------------------------------------------------------------

INFO = {"device": "bench-camera-1", "segment": "00000001-0001-0001.mp4.age", "index": 0,
        "recording": ONE, "first_pts_ns": 5,
        "time": {"utc_ns": 1, "error_ns": 1, "source": "ntp"}}  # fmt: skip


def signed_vault(
    agency: BenchAgency,
    folder: Path,
    films: list[bytes],
    said: list[bytes],
    recordings: list[int] | None = None,
) -> None:
    """Sealed recordings of one segment each, or as `recordings` says; the ledger names the digests
    of `said`."""
    of_recording, segments = recordings or list(range(1, len(films) + 1)), Counter[int]()
    ledger = Ledger(agency.device, b"k" * 48, 1, START)
    data = ledger.boot_line(0, {"cause": "start"})
    (folder / "ledger").mkdir(parents=True)
    (folder / "footage").mkdir()
    for number, (film, plain) in enumerate(zip(films, said, strict=True), 1):
        recording = of_recording[number - 1]
        segments[recording] += 1
        name = f"00000001-{recording:04d}-{segments[recording]:04d}.mp4.age"
        seal = Seal(agency.recipients, SeededEntropy(f"film {number}"))
        whole = seal.header + seal.nonce + b"".join(seal.feed(film)) + seal.finish()
        (folder / "footage" / name).write_bytes(whole)
        told = {"segment": name, "recording": f"00000001-{recording:04d}", "first_pts_ns": 5,
                "header": seal.header.decode("ascii"), "nonce": seal.nonce.hex()}  # fmt: skip
        data += ledger.line("open", 1, told)
        told = {"segment": name, "length": len(whole), "plaintext_length": len(plain),
                "sha256": hashlib.sha256(whole).hexdigest(),
                "plaintext_sha256": hashlib.sha256(plain).hexdigest()}  # fmt: skip
        data += ledger.line("seal", 2, told)
    data += ledger.line("stop", 3, {})
    (folder / "ledger" / "00000001.ledger").write_bytes(data)


def with_info(film: bytes, info: dict[str, Any]) -> bytes:
    """The same film with another box of ours."""
    at = film.index(b"uuid") - 4
    end = at + int.from_bytes(film[at : at + 4], "big")
    body = film[at + 8 : at + 24] + canonical_json.encode(info)
    return film[:at] + (8 + len(body)).to_bytes(4, "big") + b"uuid" + body + film[end:]


def with_trafs(film: bytes, count: int) -> bytes:
    """The first fragment describes its samples again and again."""
    moof = film.index(b"moof") - 4
    traf = film.index(b"traf", moof) - 4
    end = traf + int.from_bytes(film[traf : traf + 4], "big")
    again = film[traf:end] * count
    size = int.from_bytes(film[moof : moof + 4], "big") + len(again)
    return film[:moof] + size.to_bytes(4, "big") + film[moof + 4 : end] + again + film[end:]


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "no time": lambda film: with_info(film, {k: v for k, v in INFO.items() if k != "time"}),
    "a table for a time": lambda film: with_info(film, {**INFO, "first_pts_ns": {}}),
    "a negative time": lambda film: with_info(film, {**INFO, "first_pts_ns": -1}),
    "no clock": lambda film: film.replace((48_000).to_bytes(4, "big"), bytes(4)),
    "no box of ours": lambda film: film.replace(b"uuid", b"free", 1),
    "no handler": lambda film: film.replace(b"hdlr", b"skip", 1),
    "no descriptions": lambda film: film.replace(b"stsd", b"skip"),
    "no first track": lambda film: film.replace(b"trak", b"skip", 1),
    "junk": lambda film: b"junk" * 5000,
    "boxes of no length": lambda film: film[:2000] + bytes(8) * 1000,
    "one fragment's samples a thousand times": lambda film: with_trafs(film, 1000),
    "a moof of four megabytes": lambda film: with_trafs(film, 40_000),
    "a box longer than the file": lambda film: film[:1500] + b"\xff\xff\xff\xffmoof" + film[1500:],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_film_is_named_and_the_others_are_exported(
    name: str, made_vault: MadeVault, agency: BenchAgency, tmp_path: Path
) -> None:
    (path,) = footage(made_vault.path, f"{OTHER}-0001.mp4.age")
    good = plaintext(path, agency)
    ill = HOSTILE[name](good)
    assert ill != good
    vault = tmp_path / "vault"
    signed_vault(agency, vault, [ill, good], [ill, good])
    tracemalloc.start()
    report, films, _ = export(survey(vault, [agency.root]), agency.identities, tmp_path / "out")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
    assert report.complete, report.problems
    assert "00000001-0002" in {item.recording for item in films}
    assert not list((tmp_path / "out").glob("*.part"))


def test_what_the_ledger_does_not_name_is_a_failure(
    made_vault: MadeVault, agency: BenchAgency, tmp_path: Path
) -> None:
    """The sealed bytes are those of the ledger, what is inside is not: nothing is exported of it,
    and the command fails."""
    paths = footage(made_vault.path, f"{ONE}-000?.mp4.age")
    one, two = (plaintext(path, agency) for path in paths)
    vault = tmp_path / "vault"
    signed_vault(agency, vault, [one, two], [two, two])
    surveyed = survey(vault, [agency.root])
    report, films, changed = export(surveyed, agency.identities, tmp_path / "out")
    assert report.complete
    assert [item.recording for item in films] == ["00000001-0002"]
    assert changed == ["00000001-0001-0001.mp4.age"]
    identity = tmp_path / "identity.txt"
    identity.write_bytes(agency.files["agency-identity.txt"])
    words = [str(vault), "--identity", str(identity), "--out", str(tmp_path / "again")]
    ran = CliRunner().invoke(command, words)
    assert ran.exit_code == Conclusion.CHANGED.value
    assert "not what the ledger names" in ran.output
    alone = export(surveyed, agency.identities, tmp_path / "alone", "00000001-0001")
    assert (alone.films, alone.changed) == ([], changed)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", ["junk", "a negative time", "a box longer than the file"])
def test_other_content_is_a_failure_whatever_it_looks_like(
    made_vault: MadeVault, agency: BenchAgency, tmp_path: Path, name: str, native: bool
) -> None:
    """It does not even have to be a film."""
    (path,) = footage(made_vault.path, f"{OTHER}-0001.mp4.age")
    good = plaintext(path, agency)
    vault = tmp_path / "vault"
    signed_vault(agency, vault, [HOSTILE[name](good), good], [good, good])
    surveyed = survey(vault, [agency.root])
    out = export(surveyed, agency.identities, tmp_path / "out", native=native)
    assert out.changed == ["00000001-0001-0001.mp4.age"]
    assert [film.recording for film in out.films] == ["00000001-0002"]
    assert ("video_units" in sidecar(out.films[0])) is not native


def test_a_bad_place_of_the_card_costs_what_lies_there(
    vault: Path, agency: BenchAgency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk in the middle of a file; a file that is gone when it is opened."""
    (ill,) = footage(vault, f"{ONE}-0002.mp4.age")
    (gone,) = footage(vault, f"{OTHER}-0001.mp4.age")
    surveyed = survey(vault, [agency.root])
    gone.unlink()
    real = FootageReading._read

    def failing(reading: FootageReading, into: memoryview) -> int:
        if reading.size == ill.stat().st_size and reading._length:
            reading._file.close()
            reading._file = Failing()  # type: ignore[assignment]
        return real(reading, into)

    monkeypatch.setattr(FootageReading, "_read", failing)
    report, films, _ = export(surveyed, agency.identities, tmp_path / "out")
    verdicts = {verdict.name: verdict for verdict in report.segments}
    for path, words in ((ill, "Input/output error"), (gone, "No such file")):
        assert verdicts[path.name].status is FileStatus.BAD
        assert words in verdicts[path.name].detail
    said = {row["name"]: row["reason"] for row in sidecar(films[0])["not_exported"]}
    assert "Input/output error" in said[ill.name]
    assert films[0].recording == ONE


class Failing:
    def readinto(self, into: memoryview) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def close(self) -> None: ...


def test_a_film_that_can_not_be_finished_takes_no_other_with_it(
    made_vault: MadeVault, agency: BenchAgency, tmp_path: Path
) -> None:
    """Three segments of one recording, the first with a start that no tables can be made from."""
    (path,) = footage(made_vault.path, f"{OTHER}-0001.mp4.age")
    good = plaintext(path, agency)
    ill = good.replace(b"stsd", b"skip", 1)
    vault = tmp_path / "vault"
    signed_vault(agency, vault, [ill, good, good], [ill, good, good], recordings=[1, 1, 2])
    report, films, changed = export(survey(vault), agency.identities, tmp_path / "out")
    assert (report.complete, changed) == (True, [])
    assert [film.recording for film in films] == ["00000001-0001", "00000001-0002"]
    said = sidecar(films[0])
    assert [row["name"] for row in said["segments"]] == ["00000001-0001-0002.mp4.age"]
    assert [row["name"] for row in said["not_exported"]] == ["00000001-0001-0001.mp4.age"]
    assert not list((tmp_path / "out").glob("*.part"))
