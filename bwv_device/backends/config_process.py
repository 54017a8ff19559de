"""Checks a configuration in a process that ends again: a validator takes 13 MiB, for as long as a
camera runs, to look at a page of text once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import Any

from bwv_device import config
from bwv_device.errors import ConfigError, MissingPartError
from bwv_device.settings import Settings

PATIENCE_S = 120.0


def check(table: dict[str, Any], name: str) -> Settings:
    """As `bwv_device.config.check`. Raises `ConfigError` with every problem, `MissingPartError`
    where the process gives no answer."""
    asked = json.dumps({"table": table, "name": name}, default=str)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bwv_device.backends.config_process"],
            input=asked,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        raise MissingPartError(
            f"The configuration {name} can't be checked: the process that does it gave no answer.",
            "See 'bwv config check'.",
        ) from None
    if "problems" in said:
        raise ConfigError(said["message"], [(path, text) for path, text in said["problems"]])
    return settings_of(said["settings"])


def settings_of(table: dict[str, Any]) -> Settings:
    """From `Settings.as_dict`."""
    return Settings(
        **{field.name: _section(field, table[field.name]) for field in fields(Settings)}
    )


def _section(field: Any, values: dict[str, Any]) -> Any:
    return type(field.default_factory())(**values)


def main() -> None:
    asked = json.loads(sys.stdin.read())
    try:
        answer: dict[str, Any] = {"settings": config.check(asked["table"], asked["name"]).as_dict()}
    except ConfigError as error:
        answer = {"message": error.message, "problems": error.problems}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
