"""The stream to the page, what the page keeps, and browsers that do not keep up."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bwv_device.live_panel import frames
from bwv_device.live_panel.acts import ActError, Button, Sentence, parse
from bwv_device.live_panel.frames import Frame, FrameError, FrameReader
from bwv_device.live_panel.hub import (
    BROWSERS,
    WAITING_BYTES,
    WAITING_MESSAGES,
    Browser,
    Hub,
)  # fmt: skip
from bwv_device.live_panel.ledger_words import SENTENCES, words
from hal.ports import AccessUnit, Track


def unit(number: int, keyframe: bool, size: int = 10) -> AccessUnit:
    return AccessUnit(Track.VIDEO, number * 40_000_000, 40_000_000, keyframe, bytes(size))


def picture(number: int, keyframe: bool, size: int = 10) -> Frame:
    (frame,) = FrameReader().feed(frames.picture(unit(number, keyframe, size)))
    return frame


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 40))
def test_frames_come_whole_however_they_are_cut(bodies: list[bytes], step: int) -> None:
    sent = [frames.message({"kind": "x", "data": body.hex()}) for body in bodies]
    stream, reader = b"".join(sent), FrameReader()
    found = [
        frame.table()["data"]
        for at in range(0, len(stream), step)
        for frame in reader.feed(stream[at : at + step])
    ]
    assert found == [body.hex() for body in bodies]


def test_a_frame_that_says_it_is_endless_is_refused() -> None:
    with pytest.raises(FrameError):
        list(FrameReader().feed(b"\xff\xff\xff\xff\x01"))
    with pytest.raises(FrameError):
        frames.picture(unit(0, True, frames.LIMIT))


async def taken(browser: Browser | None) -> list[str | bytes]:
    """All that waits for it."""
    assert browser is not None
    found: list[str | bytes] = []
    while True:
        try:
            found.append(await asyncio.wait_for(browser.next(), 0.01))
        except TimeoutError:
            return found


def test_who_comes_late_is_told_what_all_know() -> None:
    hub = Hub()
    for level in ("on", "off"):
        hub.tell({"kind": "level", "output": "front light", "level": level})
    hub.tell({"kind": "level", "output": "beeper", "level": "on"})
    hub.tell({"kind": "status", "state": "ready"})
    for n in (1, 2, 3, 2):  # a power cut took line 3 and wrote line 2 anew
        hub.tell({"kind": "line", "n": n, "text": str(n)})
    hub.take(picture(0, keyframe=True))
    browser = hub.join()
    told = [json.loads(item) for item in asyncio.run(taken(browser)) if isinstance(item, str)]
    assert [m["level"] for m in told if m["kind"] == "level"] == ["off", "on"]
    assert [m["n"] for m in told if m["kind"] == "line"] == [1, 2]


def test_a_slow_browser_loses_pictures_up_to_a_keyframe_and_nobody_else_does() -> None:
    size = WAITING_BYTES // 4

    async def look() -> list[int]:
        hub = Hub()
        slow, quick = hub.join(), hub.join()
        for number in range(12):
            hub.take(picture(number, keyframe=number % 6 == 0, size=size))
            assert [type(item) for item in await taken(quick)] == [bytes]
        pictures = [item for item in await taken(slow) if isinstance(item, bytes)]
        return [frames.PICTURE_HEAD.unpack_from(item)[1] // 40_000_000 for item in pictures]

    numbers = asyncio.run(look())
    assert numbers[:3] == [0, 1, 2]
    assert len(numbers) < 12


def test_a_browser_that_reads_nothing_is_let_go() -> None:
    hub = Hub()
    browser = hub.join()
    assert browser is not None
    for number in range(WAITING_MESSAGES + 1):
        hub.tell({"kind": "status", "number": number})
    assert browser.gone.is_set()


def test_there_are_not_endless_browsers() -> None:
    hub = Hub()
    browsers = [hub.join() for _ in range(BROWSERS)]
    assert hub.join() is None
    assert browsers[0]
    hub.leave(browsers[0])
    assert hub.join() is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "{}", '{"act": "erase"}', '{"act": "button", "button": "record"}',
        '{"act": "button", "button": "dock", "pressed": true}',
        '{"act": "button", "button": "record", "pressed": 1}',
        '{"act": "button", "button": "record", "pressed": true, "more": 1}',
        '{"act": "rate", "rate": 61}', '{"act": "rate", "rate": -1}',
        '{"act": "rate", "rate": 1.5}',
        '{"act": "step", "ms": 100000000}', '{"act": "sentence", "text": ""}',
        '{"act": "sentence", "text": "a\\nb"}', '{"act": "sentence", "text": "' + "a" * 201 + '"}',
        "[" * 100_000, '{"act": "rate", "rate": ' + "9" * 10_000 + "}", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_act_is_refused(text: str) -> None:
    with pytest.raises(ActError):
        parse(text)


@given(st.text(max_size=200))
def test_no_text_of_a_browser_is_an_accident(text: str) -> None:
    try:
        parse(text)
    except ActError:
        return


def test_acts() -> None:
    pressed = parse('{"act": "button", "button": "marker", "pressed": true}')
    assert pressed == Button("button", "marker", True)
    assert parse('{"act": "sentence", "text": "dock"}') == Sentence("sentence", "dock")


def test_a_line_of_a_kind_that_is_not_known_is_told_as_it_is() -> None:
    assert words("new-kind", {"a": 1}) == "new-kind: a 1"
    assert len(SENTENCES) > 25
