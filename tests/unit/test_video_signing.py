"""Pictures that are signed inside the stream: real encoders' output, cut, joined and changed."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Collection, Sequence
from itertools import count
from pathlib import Path

import pytest
from support.encoded_video import BEGAN_UTC_NS, annex_b, encoded, nals, signed

from bwv_device.camera.recording.video_signer import SigningChain, VideoSigner, video_vendor
from bwv_device.formats.media.h264 import IDR, PPS, SPS, append_nal, nal_units, parameter_sets
from bwv_device.formats.media.mp4_writer import box
from bwv_device.formats.media.signing_sei import (
    SigningSei,
    is_signing_sei,
    linked,
    parse_signing_sei,
    slice_hash,
)
from bwv_device.verification import second_video_verifier as second
from bwv_device.verification.video_signatures import Answer, VideoJudge, VideoVerdict, judge_video
from hal.ports import AccessUnit, SigningError
from sim.world.test_keys import BenchAgency

GOP = 30
# Delimiters, ends, filler: what a parameter set's type is one bit from.
UNSEEN = (0, 6, 9, 10, 12, 15, 23, 24)


def verdict(agency: BenchAgency, units: Sequence[AccessUnit]) -> VideoVerdict:
    return judge_video(nals(units), [agency.root])


@pytest.fixture(scope="module")
def whole(agency: BenchAgency) -> list[AccessUnit]:
    """Two segments of three groups each."""
    units, chain = encoded(6 * GOP), SigningChain()
    return signed(agency, units[: 3 * GOP], chain) + signed(agency, units[3 * GOP :], chain)


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("delimiters", [False, True])
@pytest.mark.parametrize("gop", [1, 7, 30])
def test_what_encoders_make_is_genuine(
    agency: BenchAgency, slices: int, b_frames: int, delimiters: bool, gop: int
) -> None:
    units = encoded(
        40, gop=gop, slices=slices, b_frames=b_frames if gop > 1 else 0, delimiters=delimiters
    )
    told = verdict(agency, signed(agency, units))
    assert told.answer is Answer.GENUINE, told
    assert told.groups == sum(unit.keyframe for unit in units)
    assert told.device == "bench-camera-1"


def test_pictures_are_not_touched(agency: BenchAgency, whole: list[AccessUnit]) -> None:
    plain = [nal for nal in nals(whole) if not is_signing_sei(nal)]
    assert plain == nals(encoded(6 * GOP))


def test_no_start_code_stands_in_a_statement(whole: list[AccessUnit]) -> None:
    for nal in nals(whole):
        if is_signing_sei(nal):
            assert not any(nal.find(b"\x00\x00" + bytes([n])) >= 0 for n in (0, 1, 2))


def statements(units: Sequence[AccessUnit]) -> list[tuple[int, SigningSei]]:
    return [
        (at, parse_signing_sei(nal))
        for at, unit in enumerate(units) for nal in nal_units(unit.data) if is_signing_sei(nal)
    ]  # fmt: skip


def test_statements_stand_where_cuts_spare_them(whole: list[AccessUnit]) -> None:
    places = [at for at, _ in statements(whole)]
    assert places == [GOP + 1, 2 * GOP + 1, 3 * GOP - 1, 4 * GOP + 1, 5 * GOP + 1, 6 * GOP - 1]
    assert [sei.gop.counter for _, sei in statements(whole) if sei.gop] == [1, 2, 3, 4, 5, 6]


Edit = Callable[[list[AccessUnit], BenchAgency], list[AccessUnit]]
GENUINE, EXCEPTION, FALSE = Answer.GENUINE, Answer.EXCEPTION, Answer.NOT_GENUINE
# What is done to the six groups, what comes of it, and why.
EDITS: dict[str, tuple[Edit, Answer, str]] = {
    "nothing": (lambda w, a: w, GENUINE, ""),
    "the first segment alone": (lambda w, a: w[: 3 * GOP], GENUINE, ""),
    "the second segment alone": (lambda w, a: w[3 * GOP :], GENUINE, ""),
    "cut at a keyframe": (lambda w, a: w[2 * GOP :], GENUINE, ""),
    "the end cut": (lambda w, a: w[: 4 * GOP + 9], EXCEPTION, "are not signed: the film was cut"),
    "a picture left out": (lambda w, a: w[:40] + w[41:], EXCEPTION, "pictures are missing"),
    "a statement's picture left out": (
        lambda w, a: w[: GOP + 1] + w[GOP + 2 :], FALSE, "group 1: its pictures are not signed"),
    "a group left out": (lambda w, a: w[:GOP] + w[2 * GOP :], FALSE, "not what was signed"),
    "segments in another order": (
        lambda w, a: w[3 * GOP :] + w[: 3 * GOP], FALSE, "does not continue"),
    "a segment twice": (lambda w, a: w[: 3 * GOP] * 2, FALSE, "does not continue"),
    "two pictures swapped": (
        lambda w, a: [*w[:40], w[41], w[40], *w[42:]], FALSE, "their order is not"),
    "a picture twice": (lambda w, a: [*w[:41], *w[40:]], FALSE, "their order is not"),
    "a group that nobody signed": (
        lambda w, a: w[: 2 * GOP] + list(encoded(GOP)) + w[2 * GOP :], FALSE, "are not signed"),
    "pictures behind the last": (
        lambda w, a: w + list(encoded(40)[31:]), FALSE, "stand behind its signature"),
    "nothing signed": (lambda w, a: list(encoded(6 * GOP)), FALSE, "nothing in it is signed"),
    "signed by a camera of another agency": (
        lambda w, a: signed(BenchAgency("another"), encoded(60)), FALSE, "another agency|lead to"),
    "another camera's part": (
        lambda w, a: w[: 3 * GOP] + signed(
            BenchAgency("bench", device="bench-camera-2"), encoded(60)), FALSE, "changes within"),
    "another recording behind": (
        lambda w, a: w[: 2 * GOP] + later(signed(a, encoded(60)), 9), FALSE, "."),
    "another encoder's parameters": (
        lambda w, a: [w[0]._replace(data=other_parameters(w[0].data)), *w[1:]], FALSE,
        "parameters are not those"),
}  # fmt: skip


def later(units: list[AccessUnit], seconds: int) -> list[AccessUnit]:
    return [unit._replace(pts_ns=unit.pts_ns + seconds * 10**9) for unit in units]


def other_parameters(data: bytes) -> bytes:
    """One bit of the SPS flipped: the reference validator does not see it."""
    at = data.index(b"\x67") + 6
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("what", EDITS)
def test_edits(what: str, agency: BenchAgency, whole: list[AccessUnit]) -> None:
    edit, answer, why = EDITS[what]
    told = verdict(agency, edit(list(whole), agency))
    assert told.answer is answer, told
    assert re.search(why, " ".join([*told.problems, *told.exceptions])), told


def test_two_recordings_in_a_row_are_told(agency: BenchAgency) -> None:
    """The second began after the first ended, by the camera's clock."""
    units = encoded(4 * GOP)
    both = signed(agency, units[: 2 * GOP]) + signed(agency, units[2 * GOP :])
    told = verdict(agency, both)
    assert told.answer is Answer.EXCEPTION
    assert "another recording begins here" in told.exceptions[0]


def test_a_film_of_before_its_certificate_is_told(agency: BenchAgency) -> None:
    units = encoded(GOP)
    vendor = video_vendor("bench-camera-1", parameter_sets(units[0].data))
    signer = VideoSigner(SigningChain(), agency.device, vendor, 0)
    made = [signer.take(unit) for unit in units]
    told = verdict(agency, [*made[:-1], signer.finish(made[-1])])
    assert told.answer is Answer.EXCEPTION
    assert told.exceptions == ["by the camera's clock its certificate was not valid then"]


def test_no_flipped_bit_is_genuine(agency: BenchAgency, whole: list[AccessUnit]) -> None:
    """Of pictures, statements and parameter sets."""
    units, draws = nals(whole), random.Random(7)
    for _ in range(300):
        at = draws.randrange(len(units))
        changed = bytearray(units[at])
        changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
        told = judge_video([*units[:at], bytes(changed), *units[at + 1 :]], [agency.root])
        # One that repeats what is in force may become a unit that nobody looks at: nothing changes.
        is_repeated = units[at] in units[:at] and units[at][0] & 31 in (SPS, PPS)
        if is_repeated and changed[0] & 31 in UNSEEN:
            continue
        assert told.answer is not Answer.GENUINE, (at, units[at][0] & 31)


def test_a_group_that_is_written_again_is_signed_as_what_it_was(agency: BenchAgency) -> None:
    """The disk refused a segment in its third group: it is written again from memory."""
    units, chain = encoded(6 * GOP), SigningChain()
    first = signed(agency, units[: 2 * GOP + 9], chain)
    again = signed(agency, units[2 * GOP :], chain)
    # A joined film takes what is there of the first, and the rest of the second.
    joined = first[: 2 * GOP + 8] + again[8:]
    assert verdict(agency, joined).answer is Answer.GENUINE
    chain.forget_before(units[2 * GOP].pts_ns + 1)
    once_more = signed(agency, units[2 * GOP :], chain)
    assert [s.gop for _, s in statements(once_more)] == [s.gop for _, s in statements(again)]


@pytest.mark.parametrize("carries_over", [True, False])
@pytest.mark.parametrize("pictures", [2 * GOP, GOP + 1, GOP + 7])
def test_what_a_segment_could_not_say_the_next_one_says(
    agency: BenchAgency, pictures: int, carries_over: bool
) -> None:
    """Its last picture was written before it was known to be the last: none came for a while."""
    units, chain = encoded(6 * GOP), SigningChain()
    vendor = video_vendor(agency.device.device, parameter_sets(units[0].data))
    signer = VideoSigner(chain, agency.device, vendor, BEGAN_UTC_NS)
    film = [signer.take(unit) for unit in units[:pictures]]
    if carries_over:
        signer.carry_over()
    film += signed(agency, units[2 * GOP :], chain)
    told = verdict(agency, film)
    assert told.answer is (Answer.GENUINE if carries_over else Answer.NOT_GENUINE), told


class Drawn:
    """`hal.ports.Identity` whose token is away for some of the times that it is asked."""

    def __init__(self, agency: BenchAgency, away: Collection[int]) -> None:
        self.device, self.certificate_pem = agency.device.device, agency.device.certificate_pem
        self._sign, self._away, self._asked = agency.device.sign, away, count()

    def sign(self, message: bytes) -> bytes:
        if next(self._asked) in self._away:
            raise SigningError("there is no token 'camera'")
        return self._sign(message)


@pytest.mark.parametrize(
    ("away", "failures", "answer"),
    [
        ((), 0, Answer.GENUINE),
        ((0,), 1, Answer.GENUINE),
        ((1, 2), 2, Answer.GENUINE),
        ((2,), 1, Answer.GENUINE),  # at the end of a segment
        (range(5, 99), 1, Answer.EXCEPTION),
        # By the film alone nobody can tell: the ledger has a `fault` line.
        (range(2, 99), 4, Answer.NOT_GENUINE),
        (range(99), 6, Answer.NOT_GENUINE),
    ],
)
def test_what_a_token_did_not_sign_is_signed_later(
    agency: BenchAgency, away: Collection[int], failures: int, answer: Answer
) -> None:
    units, chain, told = encoded(6 * GOP), SigningChain(), list[str]()
    vendor = video_vendor(agency.device.device, parameter_sets(units[0].data))
    identity, film = Drawn(agency, away), list[AccessUnit]()
    for segment in (units[: 3 * GOP], units[3 * GOP :]):
        signer = VideoSigner(chain, identity, vendor, BEGAN_UTC_NS, told.append)
        film += [signer.take(unit) for unit in segment]
        film[-1] = signer.finish(film[-1])
    assert len(told) == failures
    assert verdict(agency, film).answer is answer


def test_a_ledger_vouches_only_as_far_as_it_names_the_bytes(
    agency: BenchAgency, whole: list[AccessUnit]
) -> None:
    strange = whole[: 2 * GOP] + list(encoded(GOP)) + whole[2 * GOP :]
    for to_the_end, answer in ((True, Answer.EXCEPTION), (False, Answer.NOT_GENUINE)):
        told = verdict(agency, strange)
        told.vouched_for(to_the_end=to_the_end)
        assert told.answer is answer, told
    many = list(encoded(40, gop=1)) * 2  # unsigned groups leave room for a sign of change
    told = verdict(agency, [*whole[: 2 * GOP], *many, *whole[2 * GOP :], *whole[: 3 * GOP]])
    told.vouched_for(to_the_end=True)
    assert told.answer is Answer.NOT_GENUINE, told
    changed = verdict(agency, [*whole[:40], whole[41], whole[40], *whole[42:]])
    changed.vouched_for(to_the_end=True)
    assert changed.answer is Answer.NOT_GENUINE


@pytest.mark.parametrize(
    "junk", [b"", b"\x06", b"\x06\x05\xff", b"\x06\x05" + b"\xff" * 70_000, b"\x65", b"\x67\x00"]
)
def test_junk_is_no_crash(agency: BenchAgency, junk: bytes) -> None:
    assert judge_video([junk, junk], [agency.root]).answer is Answer.NOT_GENUINE


def test_every_prefix_of_a_statement_is_refused(whole: list[AccessUnit]) -> None:
    nal = next(nal for nal in nals(whole) if is_signing_sei(nal))
    for length in range(len(nal)):
        with pytest.raises(ValueError, match=r"."):
            parse_signing_sei(nal[:length])
    assert annex_b(whole[:1])


def with_sets_behind_keyframes(units: list[AccessUnit]) -> list[AccessUnit]:
    """Other parameter sets for all but the keyframes, which bring their own again."""
    made = list(units)
    for at, unit in enumerate(units):
        if at and units[at - 1].keyframe:
            sets = parameter_sets(units[at - 1].data)
            assert sets is not None
            forged = sets.pps[:-1] + bytes([sets.pps[-1] ^ 0x10])
            made[at] = unit._replace(data=append_nal(b"", [forged]) + unit.data)
    return made


def test_parameters_that_change_within_groups_are_told(
    agency: BenchAgency, whole: list[AccessUnit], tmp_path: Path
) -> None:
    forged = with_sets_behind_keyframes(whole)
    told = verdict(agency, forged)
    assert told.answer is Answer.NOT_GENUINE
    assert "its parameters change within it" in told.problems[0]
    assert second_opinion(agency, annex_b(forged)) == "not genuine"
    assert second_opinion(agency, annex_b(whole)) == "genuine"


def second_opinion(agency: BenchAgency, film: bytes) -> str:
    return second.Film([agency.root]).judge(second.nal_units(film))


def test_a_statement_that_ends_in_zeros_is_read_alike(agency: BenchAgency) -> None:
    """A byte against emulation then stands in front of the signature, and is not signed."""
    units = encoded(3)
    anchor = slice_hash(next(nal for nal in nal_units(units[0].data) if nal[0] & 31 == IDR))
    begin = nal_units(units[1].data)[-1]
    for number in count():
        nal = begin + b"%d" % number
        if linked(anchor, slice_hash(nal)).endswith(b"\0\0"):
            break
    units = [units[0], units[1]._replace(data=append_nal(b"", [nal]))]
    film = signed(agency, units)
    assert any(b"\0\0\x03\x03\x00" in one for one in nals(film) if is_signing_sei(one))
    assert verdict(agency, film).answer is Answer.GENUINE
    assert second_opinion(agency, annex_b(film)) == "genuine"


def test_many_keyframes_and_statements_cost_no_more_than_they_must(
    agency: BenchAgency, whole: list[AccessUnit]
) -> None:
    """What is hashed, not seconds: somebody may repeat one statement for a whole day."""
    (statement, *_) = (nal for nal in nals(whole) if is_signing_sei(nal))
    flood = [b"\x65\x80" + number.to_bytes(4, "big") + b"\x80" for number in range(9000)]
    judge = VideoJudge([agency.root])
    repeated = [part for nal in flood for part in (nal, statement)]
    for part in [*nals(whole), *repeated]:
        judge.take(part)
    assert judge.finish().answer is Answer.NOT_GENUINE
    assert judge.verdict.slices < len(whole) + 5200
    raw = annex_b(whole) + b"".join(b"\0\0\1" + part for part in repeated)
    assert second_opinion(agency, raw) == "not genuine"


def test_other_kinds_of_pictures_are_told(agency: BenchAgency, whole: list[AccessUnit]) -> None:
    for kind in (2, 20):
        other = whole[0]._replace(data=append_nal(whole[0].data, [bytes([0x60 | kind]) + b"\x80"]))
        assert verdict(agency, [other, *whole[1:]]).answer is Answer.NOT_GENUINE
        assert second_opinion(agency, annex_b([other, *whole[1:]])) == "not genuine"


@pytest.mark.parametrize(
    "film",
    [
        b"".join(struct.pack(">I4s", 8 * (40 - n), b"moov") for n in range(40)),
        box(b"ftyp") + box(b"moov", box(b"trak", box(b"stsz", struct.pack(">III", 0, 1, 1 << 31)))),
        box(b"ftyp") + box(b"moof", box(b"trun", struct.pack(">II", 0, 1 << 31))),
    ],
)  # fmt: skip
def test_what_films_say_to_have_is_not_believed(film: bytes) -> None:
    with pytest.raises(ValueError, match="it"):
        list(second.nal_units(film + bytes(64)))
