"""Types of command-line parameters that click does not have."""

from __future__ import annotations

import math

import click


class PositiveSeconds(click.ParamType[float]):
    """A finite number of seconds above zero: Python also takes `nan` and `inf` for numbers."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds) or not 0 < seconds <= 10**9:
            self.fail(f"{value!r} is not a number of seconds above 0.", param, ctx)
        return seconds
