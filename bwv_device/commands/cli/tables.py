"""Tables on a terminal, in a pipe or in a log: no name, date or verdict is cut off."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from bwv_device.formats.visible_text import visible

WIDEST = 100_000


def plain(text: object) -> str:
    """Text from outside, for a cell or a line that rich prints: no markup, nothing unseen."""
    return escape(visible(text))


def print_table(table: Table, console: Console | None = None) -> None:
    """As wide as its content: a narrow terminal wraps long rows, and nothing is replaced by "…"."""
    console = console or Console(highlight=False)
    options = console.options.update(max_width=WIDEST)
    natural = Measurement.get(console, options, table).maximum
    console.width = max(console.width, natural)
    console.print(table, crop=False, no_wrap=True, soft_wrap=True)
