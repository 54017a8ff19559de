"""Signs each group of pictures on its way into a segment (docs/format.md, 2.3).

The statement about a group stands in the second picture of the next one, so that a film can be cut
at keyframes and each part still verifies; at a segment's end, behind the last picture. Counter and
link run on from segment to segment, also where one is written again after the disk refused it: a
group is always signed as what it was.

A key that can't be used for a while (a token, say) holds up no picture: what it did not sign waits,
and is signed and said with what comes later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from bwv_device import __version__
from bwv_device.formats.media.h264 import (
    IDR,
    SLICE,
    ParameterSets,
    append_nal,
    insert_before_slices,
    nal_views,
)
from bwv_device.formats.media.signing_sei import (
    NO_HASH,
    GopStatement,
    Vendor,
    gop_hash,
    linked,
    sets_digest,
    signing_sei,
    slice_hash,
    time_100ns,
)
from hal.ports import AccessUnit, Identity, SigningError

# What a statement can count.
MOST_SLICES, COUNTER_LIMIT = 0xFFFF, 1 << 32
# Groups that wait for the key; and how many are signed in one go, as a token takes its time.
UNSIGNED_LIMIT, CATCH_UP = 600, 2
FIRST_IN_PICTURE = 0x80  # of the byte behind a slice's header: its first macroblock is number 0


MANUFACTURER = "bwv-device"


def video_vendor(device: str, sets: ParameterSets | None) -> Vendor:
    """Names the camera, and pins the parameter sets, which nothing else in the stream covers."""
    pinned = sets_digest(sets) if sets else ""
    return Vendor(f"{__version__} {pinned}", device, MANUFACTURER)


class Link(NamedTuple):
    """What a group continues: its number, and the first hash of the group before."""

    counter: int = 1
    hash: bytes = NO_HASH


class Unsigned(NamedTuple):
    """A group that waits for its signature."""

    statement: GopStatement
    hashes: list[bytes]
    vendor: Vendor


class SigningChain:
    """By keyframe, what its group continues; of groups that may have to be written again."""

    def __init__(self) -> None:
        self._links: dict[int, Link] = {}
        self._next = Link()
        # Statements of a segment whose last picture was written before they were due.
        self.unsaid: list[bytes] = []
        self.unsigned: deque[Unsigned] = deque(maxlen=UNSIGNED_LIMIT)

    def link(self, keyframe_ns: int, anchor: bytes) -> Link:
        """Of the group whose keyframe this is. `anchor` is its first hash."""
        link = self._links.setdefault(keyframe_ns, self._next)
        self._next = Link((link.counter + 1) % COUNTER_LIMIT, anchor)
        return link

    def forget_before(self, pts_ns: int) -> None:
        """Groups that end before this need not be written again."""
        for keyframe_ns, following_ns in list(pairwise(self._links)):
            if following_ns > pts_ns:
                return
            del self._links[keyframe_ns]


class _Gop:
    """A group that is being written."""

    def __init__(self, keyframe_ns: int, anchor: bytes, link: Link) -> None:
        self.start_ns, self.anchor, self.link = keyframe_ns, anchor, link
        self.hashes = [anchor]

    def statement(self, end_ns: int, utc_offset_ns: int) -> GopStatement:
        return GopStatement(
            time_100ns(self.start_ns + utc_offset_ns), time_100ns(end_ns + utc_offset_ns),
            self.link.counter, len(self.hashes), gop_hash(self.hashes), self.link.hash,
        )  # fmt: skip


class VideoSigner:
    """Of one segment. `utc_offset_ns`: from monotonic times to the wall clock. `failed` hears why
    the key did not sign."""

    def __init__(
        self,
        chain: SigningChain,
        identity: Identity,
        vendor: Vendor,
        utc_offset_ns: int,
        failed: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._chain, self._identity, self._vendor = chain, identity, vendor
        self._failed = failed
        self._utc_offset_ns = utc_offset_ns
        self._gop: _Gop | None = None
        self._waiting: list[bytes] = []  # statements for the next second picture
        self._end_ns = 0

    def take(self, unit: AccessUnit) -> AccessUnit:
        """A picture in decoding order; with the statements that are due. Raises `ValueError` where
        it is malformed."""
        for nal in nal_views(unit.data):
            kind = nal[0] & 31 if len(nal) > 1 else 0
            if kind == IDR and nal[1] & FIRST_IN_PICTURE:
                self._begin(unit.pts_ns, slice_hash(nal))
            elif kind in (SLICE, IDR) and self._gop is not None:
                self._gop.hashes.append(linked(self._gop.anchor, slice_hash(nal)))
                if len(self._gop.hashes) > MOST_SLICES:  # half an hour without a keyframe
                    self._gop = None
        self._end_ns = unit.end_ns
        due = [*self._chain.unsaid, *self._waiting]
        if unit.keyframe or not due:
            return unit
        self._chain.unsaid, self._waiting = [], []
        return unit._replace(data=insert_before_slices(unit.data, due))

    def finish(self, last: AccessUnit) -> AccessUnit:
        """The segment's last picture, with all that is not said yet."""
        self._end(last.end_ns)
        due = [*self._chain.unsaid, *self._waiting]
        self._chain.unsaid, self._waiting = [], []
        return last._replace(data=append_nal(last.data, due))

    def carry_over(self) -> None:
        """The last picture was written already, because no more came: the next segment says what
        this one does not."""
        self._end(self._end_ns)
        self._chain.unsaid += self._waiting
        self._waiting = []

    def _begin(self, keyframe_ns: int, anchor: bytes) -> None:
        self._end(keyframe_ns)
        self._gop = _Gop(keyframe_ns, anchor, self._chain.link(keyframe_ns, anchor))

    def _end(self, end_ns: int) -> None:
        if self._gop is None:
            return
        gop, self._gop = self._gop, None
        statement = gop.statement(end_ns, self._utc_offset_ns)
        self._chain.unsigned.append(Unsigned(statement, gop.hashes, self._vendor))
        self._sign()

    def _sign(self) -> None:
        unsigned, identity = self._chain.unsigned, self._identity
        for _ in range(min(CATCH_UP, len(unsigned))):
            try:
                sei = signing_sei(*unsigned[0], identity.certificate_pem, identity.sign)
            except SigningError as error:
                self._failed(str(error))
                return
            unsigned.popleft()
            self._waiting.append(sei)
