"""Writes tests/vectors/video/base.h264 and root.pem: four groups of pictures, signed by a camera.

    PYTHONPATH=.:tests python tests/vectors/make_video_vectors.py

`verdicts.toml` beside them is written by hand: it came first.
"""

from __future__ import annotations

from pathlib import Path

from support.encoded_video import annex_b, encoded, signed

from bwv_device.camera.recording.video_signer import SigningChain
from bwv_device.keys import ROOT
from sim.world.test_keys import BenchAgency

OUT = Path(__file__).parent / "video"
GOP = 3


def main() -> None:
    agency, chain = BenchAgency(), SigningChain()
    units = encoded(4 * GOP, gop=GOP)
    parts = [signed(agency, units[at : at + 2 * GOP], chain) for at in (0, 2 * GOP)]
    (OUT / "base.h264").write_bytes(annex_b([unit for part in parts for unit in part]))
    (OUT / "root.pem").write_bytes(agency.files[ROOT])


if __name__ == "__main__":
    main()
