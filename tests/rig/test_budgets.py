"""What the whole agent costs while it records 720p with the default buffer, on real libraries.

A Pi Zero 2 W has about 416 MiB for everything. The rig's own parts are left out: the scene that the
virtual sensor shows, and the pictures' memory, which on a board is the camera's (CMA).
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from material import View
from virtual_rig import Rig, make_root, read_from_disk_again

pytestmark = pytest.mark.virtual_rig

LIMIT_MIB = 190
PRE_EVENT_S = 30  # the default
# What only the rig maps: its scene, and anonymous files instead of a board's picture memory.
RIGS_OWN = re.compile(r"/data/scene\.nv12|/memfd:")
HEADING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")


def pss_mib(pid: int) -> float:
    """Proportional: what processes share counts once."""
    total, counted = 0, True
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        heading = HEADING.match(line)
        if heading:
            counted = not RIGS_OWN.search(heading[1])
        elif line.startswith("Pss:") and counted:
            total += int(line.split()[1])
    return total / 1024


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    make_root()
    read_from_disk_again()
    view = View(width=1280, height=720, fps=30)
    rig = Rig(tmp_path_factory.mktemp("rig"), view, pre_event_s=PRE_EVENT_S, bitrate_kbps=4000)
    rig.prepare()
    return rig


def test_memory_and_libraries(rig: Rig) -> None:
    with rig.running() as camera:
        camera.wait_for_word("→ ready")
        began = time.monotonic()
        camera.wait_until(lambda: time.monotonic() - began > PRE_EVENT_S, "a full buffer")
        camera.type("record")
        camera.wait_for_word("→ recording")
        camera.wait_for_footage(5)
        family = camera.family()
        pss = {name: pss_mib(pid) for name, pid in family.items()}
        maps = {name: Path(f"/proc/{pid}/maps").read_text() for name, pid in family.items()}
        assert camera.finish() == 0
    print("\n" + "\n".join(f"{name}: {size:.0f} MiB" for name, size in pss.items()))
    print(f"all: {sum(pss.values()):.0f} MiB of {LIMIT_MIB}")
    assert len(family) == 4, "agent, panel, camera, microphone"
    for name, text in maps.items():
        assert "cv2" not in text, name
        assert "opencv" not in text, name
    assert sum(pss.values()) <= LIMIT_MIB
