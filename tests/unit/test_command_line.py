"""Lists of commands, and parameters that click does not check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bwv_device.__main__ import bwv
from bwv_device.commands.cli.lazy_group import LazyGroup
from bwv_device.commands.cli.parameters import PositiveSeconds
from bwv_device.errors import OutputError
from bwv_device.files import read_small, writable_folder
from sim.__main__ import bwv_sim


def groups() -> list[LazyGroup]:
    context = click.Context(bwv)
    nested = [bwv.get_command(context, name) for name in ("custody", "fleet")]
    return [g for g in (bwv, bwv_sim, *nested) if isinstance(g, LazyGroup)]


def test_every_command_of_the_lists_is_there() -> None:
    assert len(groups()) == 4
    for group in groups():
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            assert isinstance(command, click.Command), name
            assert command.help, name


def test_no_help_is_cut_off() -> None:
    for group in groups():
        text = CliRunner().invoke(group, ["--help"], terminal_width=80).output
        assert "..." not in text.replace("ARGS]...", "")
        for lazy in group.lazy.values():
            assert lazy.short_help in text


def test_the_list_of_commands_imports_none_of_them() -> None:
    heavy = "{'av', 'boto3', 'cv2', 'fpdf', 'jinja2', 'matplotlib', 'numpy', 'paho', 'rich'}"
    code = (
        "import sys; from bwv_device.__main__ import bwv; "
        "bwv(['--help'], standalone_mode=False); "
        f"found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_press_of_tab_lists_the_commands() -> None:
    asked = {"_BWV_COMPLETE": "bash_complete", "COMP_WORDS": "bwv ver", "COMP_CWORD": "1"}
    done = CliRunner().invoke(bwv, [], prog_name="bwv", env=asked)
    assert done.output == "plain,verify\nplain,verify-page\n"


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "x", "1e400"])
def test_seconds_are_finite_and_positive(text: str) -> None:
    with pytest.raises(click.BadParameter):
        PositiveSeconds().convert(text, None, None)


def test_a_small_file_is_read_and_an_endless_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"key")
    assert read_small(tmp_path / "small") == b"key"
    with pytest.raises(OSError, match="larger than 4 MiB"):
        read_small(Path("/dev/zero"))


def test_a_place_for_results_is_tried_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(OutputError, match="is a file"):
            writable_folder(place)
    assert writable_folder(tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []
