"""custody.toml, as custody and `bwv config check` read it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from bwv_device.commands.config import command
from bwv_device.custody.settings import CustodySettings, check
from bwv_device.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[store]\nadress = "x"\n', "did you mean 'address'"),
        ('[service]\nintake_s = "2 s"\n', "a whole number of seconds"),
        ('[agency]\nzone = "Mars/Base"\n', "unknown time zone"),
        ("[retention]\ndays = 5\nhidden_days = 7\n", "must not exceed retention.days"),
    ],
)
def test_config_check_knows_custodys_file(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "custody.toml"
    file.write_text(text)
    done = CliRunner().invoke(command, ["check", str(file)])
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)
    with pytest.raises(ConfigError, match=said):
        check(tomllib.loads(text), "custody.toml")


def test_what_is_right_is_said_to_be_custodys(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[agency]\nzone = "Europe/Paris"\n')
    done = CliRunner().invoke(command, ["check", str(file)])
    assert "valid as custody's configuration" in done.output
    assert check({}, "nothing") == CustodySettings()
