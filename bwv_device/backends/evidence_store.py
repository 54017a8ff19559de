"""Opens an evidence store by its address: a directory, or `https://host:port/bucket` for S3."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bwv_device.errors import EvidenceStoreError, KeyFileError, MissingPartError
from hal.ports import EvidenceStore
from hal.stores.directory import DirectoryStore

ACCESS, SECRET = "BWV_STORE_ACCESS_KEY", "BWV_STORE_SECRET_KEY"
LOCAL = ("127.0.0.1", "localhost", "::1")


class Credentials(NamedTuple):
    access_key: str
    secret_key: str
    region: str = "us-east-1"


def open_store(
    address: str,
    credentials: Path,
    ca: str = "",
    client_certificate: str = "",
    environment: Mapping[str, str] = os.environ,
) -> EvidenceStore:
    """Opens no connection yet. Raises `EvidenceStoreError`, `KeyFileError`, `MissingPartError`."""
    if "://" not in address:
        return DirectoryStore(Path(address).absolute())
    parts = urlsplit(address)
    bucket = parts.path.strip("/")
    if parts.scheme not in ("https", "http") or not parts.hostname or not bucket or "/" in bucket:
        raise EvidenceStoreError(
            f"Invalid store address {address!r}.",
            "Give a directory, or https://host:port/bucket.",
        )
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise EvidenceStoreError(
            f"{address} is not encrypted.", "Use https; http is for this machine only."
        )
    try:
        from hal.stores.s3 import S3Place, S3Store  # noqa: PLC0415  boto3 is an extra
    except ImportError:
        raise MissingPartError(
            "S3 needs boto3, which is not installed.", "pip install 'bwv-device[s3]'"
        ) from None
    for path in (ca, client_certificate):
        if path and not Path(path).is_file():
            raise KeyFileError(f"{path} is not there.", "Correct the path in the configuration.")
    keys = read_credentials(credentials, environment)
    endpoint = f"{parts.scheme}://{parts.netloc}"
    return S3Store(S3Place(endpoint, bucket, *keys, ca, client_certificate))


def read_credentials(path: Path, environment: Mapping[str, str]) -> Credentials:
    """From the environment, or a TOML file that nobody else may read."""
    if environment.get(ACCESS) and environment.get(SECRET):
        return Credentials(environment[ACCESS], environment[SECRET])
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        table = tomllib.loads(path.read_text())
        return Credentials(
            table["access_key"], table["secret_key"], table.get("region", "us-east-1")
        )
    except OSError as error:
        raise KeyFileError(
            f"The store's credentials {path} can't be read: {error.strerror}.",
            f"Write access_key and secret_key there, or set {ACCESS} and {SECRET}.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise KeyFileError(
            f"{path} does not hold access_key and secret_key.", "Write it as TOML."
        ) from None
