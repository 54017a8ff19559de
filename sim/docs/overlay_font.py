"""Draws the overlay's font anew: DejaVu Sans Mono (its licence allows it) in cells of 8 by 16.

python -m sim.docs.overlay_font hal/rpi/capture/view/overlay_font.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

CELL_WIDTH, CELL_HEIGHT, BASELINE, SIZE_PX = 8, 16, 12, 13
HEAD = '''"""The overlay's letters, ASCII and Latin-1: 16 rows of 8 pixels, from DejaVu Sans Mono.

Written by `python -m sim.docs.overlay_font`.
"""

FIRST, WIDTH, HEIGHT = {first}, {width}, {height}
GLYPHS = bytes.fromhex("""
{rows}
""")
'''


def glyph(font: FT2Font, letter: str) -> bytes:
    cell = np.zeros((CELL_HEIGHT, CELL_WIDTH), bool)
    if not letter.isprintable():
        return bytes(CELL_HEIGHT)
    font.clear()
    font.set_text(letter)
    font.draw_glyphs_to_bitmap(antialiased=False)
    image = np.asarray(font.get_image()) > 0
    if image.any() and letter.strip():
        # The box of the ink: left and top of it against the pen on the baseline, in 1/64 pixels.
        left, _, _, top = (edge // 64 for edge in font.load_char(ord(letter)).bbox)
        rows, columns = np.nonzero(image)
        image = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        width = image.shape[1]
        row, column = max(0, BASELINE - top), max(0, min(left, CELL_WIDTH - width))
        image = image[: CELL_HEIGHT - row, :CELL_WIDTH]
        cell[row : row + image.shape[0], column : column + image.shape[1]] = image
    return np.packbits(cell, axis=1).tobytes()


def main() -> None:
    font = FT2Font(font_manager.findfont("DejaVu Sans Mono"))
    font.set_size(SIZE_PX, 72)
    rows = "\n".join(glyph(font, chr(code)).hex() for code in range(32, 256))
    page = HEAD.format(first=32, width=CELL_WIDTH, height=CELL_HEIGHT, rows=rows)
    Path(sys.argv[1]).write_text(page)


if __name__ == "__main__":
    main()
