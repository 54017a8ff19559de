"""Tables in a pipe or on a narrow terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from bwv_device.commands.cli.tables import print_table


@pytest.mark.parametrize("width", [20, 80, 300])
def test_nothing_is_cut_off_whatever_the_terminal(width: int) -> None:
    table = Table("name", "when", "", box=None, pad_edge=False)
    cells = ("00000001-0001-0001.mp4.age" * 3, "2026-11-29 01:02:03 GMT", "outside their cases")
    table.add_row(*cells)
    console = Console(width=width, file=io.StringIO())
    print_table(table, console)
    assert isinstance(console.file, io.StringIO)
    rows = console.file.getvalue().splitlines()
    assert len(rows) == 2
    assert all(cell in rows[1] for cell in cells)
