"""Judges a film by what the camera signed inside of it, with the agency's root alone
(docs/format.md, 2.3).

Stricter than ONVIF's reference: no picture stays pending, parameter sets are those that were
signed, the certificate is a camera's of this agency, and is judged at the time of recording.
"""

from __future__ import annotations

import datetime
import enum
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from bwv_device.formats.certificates import UNREADABLE_CERTIFICATE
from bwv_device.formats.media.h264 import IDR, PPS, SLICE, SPS, ParameterSets
from bwv_device.formats.media.signing_sei import (
    NO_HASH,
    GopStatement,
    SigningSei,
    gop_hash,
    is_signing_sei,
    linked,
    parse_signing_sei,
    sets_digest,
    slice_hash,
    utc_ns,
)
from bwv_device.formats.statement import StatementError, camera_of, chain_of
from hal.ports import SECOND_NS

FIRST_IN_PICTURE = 0x80
# A film may hold some hours; a group, half an hour of pictures.
GROUP_LIMIT = 0xFFFF
# Data partitions, auxiliary pictures and other layers: no camera makes them.
OTHER_PICTURES = (2, 3, 4, 19, 20, 21)
# Groups of a keyframe alone that may follow one another in a segment.
MOST_WAITING = 4096
# Signs of change after which the answer is clear, and nobody's time is spent on more.
GIVE_UP = 1000
# Sentences of one kind that are told.
TOLD_LIMIT = 20
UNSIGNED = "nothing in it is signed"
NOT_SIGNED = "its pictures are not signed"
CLOCKS_DIFFER = datetime.timedelta(hours=1)


class Answer(enum.Enum):
    """In plain words, and as exit code."""

    GENUINE = "genuine and complete"
    EXCEPTION = "genuine, with this exception"
    NOT_GENUINE = "not genuine"


@dataclass(slots=True)
class VideoVerdict:
    """What was found. `problems` are signs of change, `exceptions` what is missing or not proven.
    Times are the camera's, of the first and the last group that is proven."""

    device: str = ""
    groups: int = 0
    slices: int = 0
    unsigned_slices: int = 0
    first_utc_ns: int = 0
    last_utc_ns: int = 0
    problems: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    pinned: list[str] = field(default_factory=list)

    @property
    def parameter_sets(self) -> set[str]:
        """Digests of the parameter sets with which its groups are shown."""
        return set(self.pinned)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> VideoVerdict:
        """Of `as_dict`, from another process. Raises `ValueError`, `TypeError` or `KeyError`."""
        verdict = cls(**said)
        for name, value in said.items():
            if type(value) is not type(getattr(cls(), name)):
                raise ValueError(f"{name} is none")
        return verdict

    def vouched_for(self, *, to_the_end: bool) -> None:
        """The camera's ledger names the sealed files that these pictures come out of: what is not
        signed is then no sign of change. Cameras may be set so, and keys be out of reach. Not
        `to_the_end`: of some file the ledger does not name all bytes, and who has its key could
        have added to it."""
        unsigned = [
            problem
            for problem in self.problems
            if problem == UNSIGNED or (to_the_end and problem.endswith(f": {NOT_SIGNED}"))
        ]
        self.problems = [problem for problem in self.problems if problem not in unsigned]
        self.exceptions += unsigned

    @property
    def answer(self) -> Answer:
        if self.problems:
            return Answer.NOT_GENUINE
        return Answer.EXCEPTION if self.exceptions else Answer.GENUINE


@dataclass(slots=True)
class _Group:
    """Pictures from one keyframe to the next, as they stand in the film."""

    anchor: bytes
    sets: str
    number: int
    hashes: list[bytes]
    signed: bool = False
    digest: tuple[int, bytes] = (0, b"")

    def gop_hash(self) -> bytes:
        """Of what it has so far. Kept: somebody may ask again and again."""
        if self.digest[0] != len(self.hashes):
            self.digest = len(self.hashes), gop_hash(self.hashes)
        return self.digest[1]


class VideoJudge:
    """Takes the NAL units of a film in decoding order; `finish` gives the verdict."""

    def __init__(self, roots: Sequence[x509.Certificate]) -> None:
        self._roots = list(roots)
        self.verdict = VideoVerdict()
        self._sets = dict[int, bytes]()
        self._pinned_now = ""
        self._wrong = 0
        self._groups: deque[_Group] = deque()
        self._count = 0  # of groups that began
        self._headless = 0  # slices in front of the first keyframe
        self._key: ec.EllipticCurvePublicKey | None = None
        self._certificates = b""
        self._chain: list[x509.Certificate] = []
        self._before: GopStatement | None = None
        self._before_anchor = NO_HASH
        self._ended_unsigned = 0

    def take(self, nal: bytes) -> None:
        kind = nal[0] & 31 if nal else 0
        if self._wrong > GIVE_UP:
            return
        if kind in (SLICE, IDR) and len(nal) > 1:
            self._slice(kind, nal)
        elif kind in (SPS, PPS):
            self._sets[kind] = nal.rstrip(b"\x00")
            self._pinned_now = self._pinned()
        elif kind in OTHER_PICTURES:
            self._problem("it has pictures of a kind that is never signed")
        elif is_signing_sei(nal):
            try:
                self._statement(parse_signing_sei(nal))
            except (ValueError, IndexError) as error:
                self._problem(f"a signature can't be read: {error}")

    def finish(self) -> VideoVerdict:
        verdict = self.verdict
        if not self._certificates and not verdict.problems:
            verdict.unsigned_slices = verdict.slices
            self._problem(UNSIGNED)
            return verdict
        waiting = [group for group in self._groups if not group.signed]
        if len(waiting) > 1:
            self._unsigned(waiting[:-1])
        if waiting:
            verdict.unsigned_slices += len(waiting[-1].hashes)
            self._exception(
                f"the last {len(waiting[-1].hashes)} pictures or parts of pictures are not signed: "
                "the film was cut there, or the camera lost power"
            )
        if self._headless:
            self._problem(f"{self._headless} parts of pictures stand in front of a keyframe")
        return verdict

    # --- pictures -----------------------------------------------------------------------------

    def _slice(self, kind: int, nal: bytes) -> None:
        digest = slice_hash(nal)
        self.verdict.slices += 1
        if kind == IDR and nal[1] & FIRST_IN_PICTURE:
            self._count += 1
            self._groups.append(_Group(digest, self._pinned_now, self._count, [digest]))
            self._give_up_waiting()
        elif not self._groups:
            self._headless += 1
        elif self._groups[-1].signed:
            self._problem(f"group {self._groups[-1].number}: pictures stand behind its signature")
        elif self._groups[-1].sets != self._pinned_now:
            self._problem(f"group {self._groups[-1].number}: its parameters change within it")
        elif len(self._groups[-1].hashes) < GROUP_LIMIT:
            self._groups[-1].hashes.append(linked(self._groups[-1].anchor, digest))

    def _give_up_waiting(self) -> None:
        """A statement comes in the second picture of the next group that has one, at the latest at
        a segment's end."""
        waiting = [group for group in self._groups if not group.signed]
        self._unsigned(waiting[:-MOST_WAITING])
        while self._groups[0].signed and len(self._groups) > 1:
            self._groups.popleft()

    def _pinned(self) -> str:
        sps, pps = self._sets.get(SPS), self._sets.get(PPS)
        return sets_digest(ParameterSets(sps, pps)) if sps and pps else ""

    # --- statements ---------------------------------------------------------------------------

    def _statement(self, sei: SigningSei) -> None:
        if sei.certificates_pem:
            self._take_certificates(sei.certificates_pem)
        if sei.gop is None:
            return
        if self._key is None:
            self._problem("it brings no certificate of a camera")
            return
        try:
            self._key.verify(sei.signature, sei.signed, ec.ECDSA(SHA256()))
        except InvalidSignature:
            self._problem("a signature does not hold: it was changed, or is another camera's")
            return
        group = self._meant(sei)
        if group is None:
            return  # of a group in front of the film's first
        self._hold_against(group, sei, sei.gop)
        self._follow(group, sei.gop)

    def _meant(self, sei: SigningSei) -> _Group | None:
        """The group that a statement is about. It comes in the second picture of the next group,
        or at the end of its own."""
        assert sei.gop is not None
        waiting = [group for group in self._groups if not group.signed]
        for at, group in enumerate(waiting):
            if group.gop_hash() == sei.gop.gop_hash:
                self._unsigned(waiting[:at])
                return group
        begins = not self.verdict.groups and self._before is None and self._count <= 1
        if begins and (not waiting or not _shares(waiting[0], sei)):
            return None
        if not waiting:
            self._problem("a signature speaks of pictures that are not there")
            return None
        shared = [at for at, group in enumerate(waiting) if _shares(group, sei)]
        at = shared[0] if shared else 0
        self._unsigned(waiting[:at])
        return waiting[at]

    def _hold_against(self, group: _Group, sei: SigningSei, said: GopStatement) -> None:
        group.signed = True
        while self._groups and self._groups[0].signed and len(self._groups) > 1:
            self._groups.popleft()
        verdict, where = self.verdict, f"group {group.number}"
        if not sei.vendor or sei.vendor.serial != verdict.device:
            self._problem(f"{where}: its signature names another camera than its certificate")
        pinned = sei.vendor.firmware.rpartition(" ")[2] if sei.vendor else ""
        if group.sets not in verdict.pinned:
            verdict.pinned.append(group.sets)
        if pinned != group.sets:
            self._problem(f"{where}: the picture's parameters are not those that were signed")
        self._judge_time(said)
        if group.gop_hash() == said.gop_hash and len(group.hashes) == said.slices:
            verdict.groups += 1
            verdict.first_utc_ns = verdict.first_utc_ns or utc_ns(said.start_100ns)
            verdict.last_utc_ns = utc_ns(said.end_100ns)
            return
        if sei.hashes is None or gop_hash(sei.hashes) != said.gop_hash:
            self._problem(f"{where}: its pictures are not those that were signed")
            return
        if _in_order(group.hashes, sei.hashes):
            missing = said.slices - len(group.hashes)
            self._exception(f"{where}: {missing} pictures or parts of pictures are missing")
            verdict.groups += 1
            return
        strange = len(set(group.hashes) - set(sei.hashes))
        told = f"{strange} pictures are not" if strange else "their order is not"
        self._problem(f"{where}: {told} what was signed")

    def _judge_time(self, said: GopStatement) -> None:
        if said.end_100ns < said.start_100ns:
            self._problem("a group ends before it begins")
        try:
            moment = datetime.datetime.fromtimestamp(
                utc_ns(said.start_100ns) // SECOND_NS, datetime.UTC
            )
        except (OverflowError, ValueError, OSError):
            self._exception("the camera's clock said no time that there is")
            return
        leaf = self._chain[0]
        if not leaf.not_valid_before_utc - CLOCKS_DIFFER <= moment <= leaf.not_valid_after_utc:
            self._exception("by the camera's clock its certificate was not valid then")

    def _follow(self, group: _Group, said: GopStatement) -> None:
        """Whether it continues the group before."""
        before, anchor = self._before, self._before_anchor
        self._before, self._before_anchor = said, group.anchor
        where = f"group {group.number}"
        if before is None or (said.linked_hash == anchor and said.counter == before.counter + 1):
            return
        if (
            said.linked_hash == NO_HASH
            and said.counter == 1
            and said.start_100ns > before.end_100ns
        ):
            self._exception(f"{where}: another recording begins here")
        elif said.counter > before.counter + 1:
            lost = said.counter - before.counter - 1
            self._exception(f"{where}: {lost} groups of pictures are missing in front of it")
        else:
            self._problem(f"{where}: it does not continue the pictures before it")

    def _unsigned(self, groups: Sequence[_Group]) -> None:
        """Pictures that nobody signed, in the middle of a film."""
        for group in groups:
            group.signed = True
            self.verdict.unsigned_slices += len(group.hashes)
            # Where the ledger vouches for them they are none: a sign of change must find room.
            if sum(p.endswith(NOT_SIGNED) for p in self.verdict.problems) < TOLD_LIMIT // 2:
                self._problem(f"group {group.number}: {NOT_SIGNED}")

    # --- who signs ----------------------------------------------------------------------------

    def _take_certificates(self, pem: bytes) -> None:
        if pem == self._certificates:
            return
        if self._certificates:
            self._problem("the certificate changes within the film")
            return
        self._certificates = pem
        try:
            chain = chain_of(pem)
            self.verdict.device = camera_of(chain, self._roots)
            key = chain[0].public_key()
        except StatementError as error:
            self._problem(f"its certificate is not one of this agency's cameras: {error}")
            return
        except UNREADABLE_CERTIFICATE:
            self._problem("its certificate can't be read")
            return
        if not isinstance(key, ec.EllipticCurvePublicKey):
            self._problem("its certificate is for another kind of key")
            return
        self._key, self._chain = key, chain

    def _problem(self, text: str) -> None:
        self._wrong += 1
        if len(self.verdict.problems) < TOLD_LIMIT and text not in self.verdict.problems:
            self.verdict.problems.append(text)

    def _exception(self, text: str) -> None:
        if len(self.verdict.exceptions) < TOLD_LIMIT and text not in self.verdict.exceptions:
            self.verdict.exceptions.append(text)


def judge_video(nals: Iterable[bytes], roots: Sequence[x509.Certificate]) -> VideoVerdict:
    """Of the NAL units of one film, parameter sets among them, in decoding order."""
    judge = VideoJudge(roots)
    for nal in nals:
        judge.take(nal)
    return judge.finish()


def _shares(group: _Group, sei: SigningSei) -> bool:
    return sei.hashes is not None and not set(group.hashes).isdisjoint(sei.hashes)


def _in_order(some: Sequence[bytes], every: Sequence[bytes]) -> bool:
    """Whether `some` is what is left of `every`."""
    rest = iter(every)
    return all(digest in rest for digest in some)
