"""Fragments of a segment (docs/format.md, 2), found in plaintext that comes in pieces.

Memory is bounded, whatever the sizes in the boxes say: four megabytes, or what one fragment takes,
up to a limit that no camera reaches.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bwv_device.formats import age
from bwv_device.formats.media.mp4_reader import (
    BOX_HEADER,
    MOOF_LIMIT,
    Box,
    InitSegment,
    boxes,
    read_init,
    runs,
)
from bwv_device.verification.footage_reading import FootageReading

BUFFER = 4 << 20
# A fragment is half a second: at 50 Mbit/s some 3 MiB.
FRAGMENT_LIMIT = 64 << 20
# Below this there is not even an init: nothing that could hold a picture.
SHORTEST = 1024


class TooShortError(ValueError):
    """Nothing that could be shown."""

    def __init__(self) -> None:
        super().__init__("cut off before its first picture")


class Fragment(NamedTuple):
    """Two boxes by their places in `data`, which holds until more plaintext comes. Where the
    plaintext ends within its samples, `mdat` is not whole."""

    data: bytearray
    moof: Box
    mdat: Box


class FragmentStream:
    """Ask for `room`, write there, and `take` what is complete."""

    def __init__(self) -> None:
        self._data = bytearray(BUFFER)
        self._view = memoryview(self._data)
        # Between them lies what is not handed out yet.
        self._start = self._end = 0
        self._moof: Box | None = None
        # Behind a gap: a box may begin anywhere.
        self._searching = False
        self._init: InitSegment | None = None

    @property
    def init(self) -> InitSegment:
        """Raises `TooShortError` as long as there is none."""
        if self._init is None:
            raise TooShortError
        return self._init

    def room(self, length: int) -> memoryview:
        if self._end + length > len(self._data):
            self._make_room(length)
        return self._view[self._end : self._end + length]

    def take(self, length: int) -> Iterator[Fragment]:
        """What `length` more bytes complete. Raises `ValueError` on what no camera writes."""
        self._end += length
        if self._init is None:
            if self._end < SHORTEST:
                raise TooShortError
            self._init = read_init(bytes(self._view[: self._end]))
        if self._searching:
            self._search()
        while not self._searching and (found := self._box()) is not None:
            if found.kind == b"moof":
                self._moof = found
            elif found.kind == b"mdat" and self._moof is not None:
                moof, self._moof = self._moof, None
                yield Fragment(self._data, moof, found)

    def gap(self) -> Iterator[Fragment]:
        """What comes next does not continue what came: the samples that are there, of the fragment
        that was cut."""
        yield from self.cut()
        self._start, self._moof, self._searching = self._end, None, True

    def cut(self) -> Iterator[Fragment]:
        """The same at the end. Raises `TooShortError` if there is nothing at all."""
        if self._init is None:
            raise TooShortError
        if self._moof is None or self._start + BOX_HEADER > self._end:
            return
        if self._data[self._start + 4 : self._start + BOX_HEADER] == b"mdat":
            mdat = Box(b"mdat", self._start, self._end, whole=False)
            yield Fragment(self._data, self._moof, mdat)

    def _box(self) -> Box | None:
        """The next one, once it is whole."""
        found = next(boxes(self._data, self._start, self._end), None)
        if found is None or not found.whole:
            return None
        self._start = found.end
        return found

    def _search(self) -> None:
        """On to the first fragment; what lies before it is lost."""
        at = self._data.find(b"moof", self._start + 4, self._end)
        while at >= 0:
            begins = self._begins(at - 4)
            if begins is not False:
                self._start, self._searching = at - 4, begins is None
                return
            at = self._data.find(b"moof", at + 1, self._end)
        self._start = max(self._start, self._end - BOX_HEADER)

    def _begins(self, start: int) -> bool | None:
        """Whether a fragment begins there; None if more must come to know."""
        (size,) = struct.unpack_from(">I", self._data, start)
        if not BOX_HEADER <= size <= MOOF_LIMIT:
            return False
        end = start + size
        if end + BOX_HEADER > self._end:
            return None
        try:
            return self._data[end + 4 : end + BOX_HEADER] == b"mdat" and bool(
                runs(self._data, Box(b"moof", start, end, whole=True))
            )
        except (ValueError, KeyError, struct.error):
            return False

    def _make_room(self, length: int) -> None:
        """Moves what is not handed out to the front, of a larger buffer if it must be."""
        keep = self._start if self._moof is None else self._moof.start
        held = self._end - keep
        if held + length > FRAGMENT_LIMIT:
            raise ValueError(f"a fragment of more than {FRAGMENT_LIMIT >> 20} MiB")
        old = self._view[keep : self._end]
        if held + length > len(self._data):
            self._data = bytearray(min(FRAGMENT_LIMIT, 2 * (held + length)))
            self._view = memoryview(self._data)
        self._view[:held] = old
        if self._moof is not None:
            self._moof = self._moof._replace(start=0, end=self._moof.end - keep)
        self._start, self._end = self._start - keep, held


def opened_fragments(
    reading: FootageReading, identities: Sequence[age.Identity]
) -> Iterator[tuple[InitSegment, Fragment]]:
    """What a segment holds, as its plaintext comes. Raises `TooShortError` if that is nothing."""
    stream = FragmentStream()
    for length in reading.opened(identities, stream.room):
        for fragment in stream.take(length) if length else stream.gap():
            yield stream.init, fragment
    for fragment in stream.cut():
        yield stream.init, fragment
