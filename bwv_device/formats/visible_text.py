"""Text from outside on its way to a terminal, a table, a log, a page or a PDF.

A file's name, an officer's name, a reason: each may hold what makes a line of output say something
else (a newline, an escape sequence, a mark that turns the direction of writing). All of it goes
through `visible` first.
"""

from __future__ import annotations

from bwv_device.formats.grammar.forms import UNSEEN

# Half characters come from names of files; a terminal's encoding knows none.
_HALVES = range(0xD800, 0xE000)


def visible(text: object) -> str:
    """One line; what would not be seen, or would change how the rest is seen, is written out as
    `\\x1b` or `\\u202e`."""
    said = str(text)
    if said.isprintable() and UNSEEN.isdisjoint(said):
        return said
    return "".join(_written_out(c) if _is_unseen(c) else c for c in said)


def visible_lines(text: object) -> str:
    """Of a text that has lines of its own, as an error with many problems: each for itself."""
    return "\n".join(visible(line) for line in str(text).split("\n"))


def _is_unseen(character: str) -> bool:
    return character in UNSEEN or ord(character) in _HALVES or not character.isprintable()


def _written_out(character: str) -> str:
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
