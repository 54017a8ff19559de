"""A camera that answers no start: the machine is restarted, three times in a row at most."""

from __future__ import annotations

from pathlib import Path

import pytest

from bwv_device.commands.running.machine_restarts import LIMIT, MachineRestarts
from hal import memory
from hal.ports import HardwareError
from hal.rpi.panel import i2s


def test_three_in_a_row(tmp_path: Path) -> None:
    for _ in range(LIMIT):
        assert MachineRestarts(tmp_path / "vault").one_more()
    assert not MachineRestarts(tmp_path / "vault").one_more()
    MachineRestarts(tmp_path / "vault").over()
    assert MachineRestarts(tmp_path / "vault").one_more()


def test_none_where_it_can_not_be_counted(tmp_path: Path) -> None:
    assert not MachineRestarts(tmp_path / "absent" / "vault").one_more()


def test_swap_in_memory_is_none(tmp_path: Path) -> None:
    head = "Filename\tType\tSize\tUsed\tPriority\n"
    (tmp_path / "swaps").write_text(f"{head}/dev/zram0 partition 1 0 100\n/var/swap file 1 0 -2\n")
    assert memory.swaps_to_storage(tmp_path) == ["/var/swap"]
    (tmp_path / "swaps").write_text(head)
    assert memory.swaps_to_storage(tmp_path) == []


@pytest.mark.parametrize("node", ["soc/i2s@7e203000", "axi/pcie@1000120000/i2s@a0000"])
def test_pins_of_a_sound_card_in_use_are_refused(tmp_path: Path, node: str) -> None:
    status = tmp_path / node / "status"
    status.parent.mkdir(parents=True)
    status.write_bytes(b"disabled\0")
    i2s.refuse({"beeper": 18}, tmp_path)
    status.write_bytes(b"okay\0")
    i2s.refuse({"beeper": 24}, tmp_path)
    with pytest.raises(HardwareError, match=r"pins\.beeper = 18"):
        i2s.refuse({"beeper": 18, "front_light": 17}, tmp_path)
