"""Every still encoder gives a JPEG, or says why not."""

from __future__ import annotations

import pytest

from hal.ports import AccessUnit, StillEncoder, Track
from hal.simulated.capture import StubVideo
from hal.simulated.power_dock_and_place import StubStills
from hal.stills import PyavStills
from sim.media.scene import encode_second


@pytest.fixture(params=["pyav", "stub"])
def encoder(request: pytest.FixtureRequest) -> tuple[StillEncoder, AccessUnit]:
    if request.param == "stub":
        return StubStills(), AccessUnit(Track.VIDEO, 0, 1, True, StubVideo().gop(0)[0])
    video = StubVideo().format._replace(width=320, height=240, bitrate_bps=300_000)
    return PyavStills(), AccessUnit(Track.VIDEO, 0, 1, True, encode_second(video, 0, 1)[0])


def test_a_keyframe_becomes_a_jpeg(encoder: tuple[StillEncoder, AccessUnit]) -> None:
    still = encoder[0].jpeg(encoder[1])
    assert still.startswith(b"\xff\xd8")
    assert still.endswith(b"\xff\xd9")


def test_what_does_not_decode_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="keyframe"):
        PyavStills().jpeg(AccessUnit(Track.VIDEO, 0, 1, True, StubVideo().gop(0)[0]))
