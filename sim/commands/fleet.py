"""`bwv-sim fleet`: many cameras at a real broker."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from sim.fleet.camera_process import Orders
from sim.fleet.load_test import Drilled, drill


@click.command()
@click.option("--devices", default=100, show_default=True, type=click.IntRange(1, 8000))
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(5, 86_400),
              help="Of the wall clock, once all are connected.")  # fmt: skip
@click.option("--state-s", default=10, show_default=True, type=click.IntRange(1, 3600),
              help="A state message of each camera so often.")  # fmt: skip
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.1, 100),
              help="How fast the world runs.")  # fmt: skip
@click.option("--restart-at", type=float, help="The broker restarts after so many seconds.")
@click.option("--kill-at", type=float, help="The cameras' process is killed, and starts again.")
@click.option("--json", "as_json", is_flag=True)
def command(
    devices: int,
    seconds: float,
    state_s: int,
    speed: float,
    restart_at: float | None,
    kill_at: float | None,
    as_json: bool,
) -> None:
    """Whole agents with drawn shifts, each with a certificate and a TLS connection of its own, at a
    real mosquitto; one subscriber hears them all. Exit code 1 where a message was lost."""
    done = drill(
        lambda folder: Orders(devices, state_s, speed, kill_at is not None, folder),
        lambda text: click.echo(text, err=True),
        seconds=seconds,
        restart_at_s=restart_at,
        kill_at_s=kill_at,
    )
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
    else:
        click.echo(said(done))
    sys.exit(0 if done.ok else 1)


def said(done: Drilled) -> str:
    """One line a figure."""
    lines = [
        f"{done.devices} cameras, {done.seconds:g} s, {done.recordings} recordings, "
        f"{done.connections} connections, {done.restarts} restarts of the broker, "
        f"{done.kills} kills of the cameras",
        f"messages       {done.sent} sent, {done.arrivals} arrived; lost {done.lost}, "
        f"dropped {done.dropped}, waiting {done.waiting}, doubled {done.duplicates}, "
        f"out of order {done.out_of_order}",
    ]
    if not done.kills:
        lines += [
            f"rate           {done.rate_per_s:.1f} messages/s",
            f"latency        p50 {done.p50_ms:.1f} ms, p99 {done.p99_ms:.1f} ms, "
            f"worst {done.worst_ms:.0f} ms (handed over to heard)",
            f"cost           {done.cpu_ms_per_camera_s:.2f} ms CPU a camera and second "
            f"({done.mqtt_cpu_ms_per_camera_s:.2f} ms of it MQTT and TLS), "
            f"{done.kib_per_camera:.0f} KiB a camera",
            f"broker         {done.broker_cpu_percent:.1f} % of a core, "
            f"{done.broker_kib_per_camera:.0f} KiB a camera, "
            f"{done.connect_cpu_ms:.2f} ms CPU to take one in",
            f"pace           at worst {done.lag_ms:.0f} ms behind",
        ]
        if done.restarts:
            lines.append(f"restart        all are back after {done.back_s:.1f} s")
    if done.faults:
        lines.append(f"faults written {done.faults}")
    return "\n".join(lines)
