"""What is put on a Pi: its configuration is valid, its unit says what the agent does, the diagram
has the pins of the settings, and the script refuses other machines with a sentence."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bwv_device import config
from bwv_device.commands.pins_safe import command
from bwv_device.errors import MissingPartError
from bwv_device.settings import Pins
from sim.docs import wiring_diagram

ROOT = Path(__file__).parents[2]


def unit(name: str = "bwv-device") -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "systemd" / f"{name}.service")
    return parser


def test_the_rigs_configuration_is_valid() -> None:
    settings = config.load(ROOT / "systemd" / "rig.toml").settings
    assert settings.device.board == "rpi"
    assert settings.camera.interpreter == "/usr/bin/python3"


def test_the_unit_speaks_the_agents_protocol_and_makes_pins_safe() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) == 30
    assert "pins-safe" in service["ExecStopPost"]
    assert service["Restart"] == "always"
    assert service["KillMode"] == "mixed"  # else its children would not live to give their last
    assert {"video", "audio", "gpio"} <= set(service["SupplementaryGroups"].split())


# Measured with `systemd-analyze security --offline`: camera 2.0, custody's units 1.2.
FENCES = {
    "UMask": "0077",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectProc": "invisible",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
}


@pytest.mark.parametrize("name", ["device", "custody-intake", "custody-retention"])
def test_a_unit_gives_its_service_no_more_than_it_needs(name: str) -> None:
    service = unit(f"bwv-{name}")["Service"]
    assert {key: service.get(key) for key in FENCES} == FENCES
    if name == "device":
        assert service["DevicePolicy"] == "closed"
    else:
        assert service["PrivateDevices"] == service["MemoryDenyWriteExecute"] == "yes"


def test_retention_is_a_unit_of_its_own_with_its_own_key() -> None:
    intake, retention = (unit(f"bwv-custody-{n}")["Service"] for n in ("intake", "retention"))
    assert "intake-key.pem intake --watch" in intake["ExecStart"]
    assert "retention-key.pem expire --watch" in retention["ExecStart"]


def test_a_unit_whose_storage_is_missing_still_starts() -> None:
    """Found on an emulated Pi: StateDirectory= requires the mount, the unit failed, and its failure
    restarted the machine."""
    parser = unit()
    assert "StateDirectory" not in parser["Service"]
    assert "RequiresMountsFor" not in parser["Unit"]
    assert parser["Unit"]["OnFailure"] == "bwv-device-reboot.service"
    assert parser["Service"]["RestartPreventExitStatus"] == "24"
    condition = unit("bwv-device-reboot")["Service"]["ExecCondition"]
    assert '"$MONITOR_EXIT_STATUS" = 24' in condition


def test_the_diagram_is_that_of_the_settings() -> None:
    assert (ROOT / "docs" / "wiring.svg").read_text() == wiring_diagram.svg(Pins())


def test_every_pin_of_the_settings_is_on_the_header() -> None:
    numbers = [what for what in wiring_diagram.HEADER if isinstance(what, int)]
    assert sorted(numbers) == list(range(2, 28))
    assert len(wiring_diagram.HEADER) == 40


def test_other_machines_are_refused_with_a_sentence() -> None:
    done = subprocess.run(
        ["sh", ROOT / "scripts" / "install-pi"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "for a Raspberry Pi" in done.stderr


def test_pins_are_made_safe_where_there_are_pins(tmp_path: Path) -> None:
    (tmp_path / "mock.toml").write_text('[panel]\nfactory = "mock"\n')
    assert CliRunner().invoke(command, ["--config", str(tmp_path / "mock.toml")]).exit_code == 0


def test_pins_that_are_not_there_are_named() -> None:
    result = CliRunner().invoke(command, [])
    assert isinstance(result.exception, MissingPartError)
    assert "pins" in str(result.exception).lower()
