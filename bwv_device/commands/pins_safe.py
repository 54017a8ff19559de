"""`bwv pins-safe`: switches all outputs off. A supervisor runs it after the camera has ended."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from bwv_device.config import load
from bwv_device.errors import MissingPartError
from bwv_device.settings import Settings
from hal.ports import HardwareError


@click.command()
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Default: built in.")
def command(config_file: Path | None) -> None:
    """Drives every output of the panel to off and lets it go.

    The panel's own process does this when the camera ends; this is for the case that it was killed
    too, on boards that leave a pin as it was.
    """
    settings = load(config_file).settings if config_file else Settings()
    try:
        from hal.panel.gpio_panel import Panel, PanelPins
        from hal.rpi.panel.pin_factory import open_factory
        from hal.scheduler import RealScheduler

        factory = open_factory(settings.panel.factory, settings.panel.chip)
    except HardwareError as error:
        raise MissingPartError(str(error), error.remedy) from None
    except ImportError as error:
        raise MissingPartError(
            f"The pins need {error.name}.", "pip install 'bwv-device[rpi]'"
        ) from None
    from hal.host import HostClock

    Panel(PanelPins(**asdict(settings.pins)), RealScheduler(HostClock()), factory).close()
