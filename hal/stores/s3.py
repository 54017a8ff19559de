"""S3 as evidence store: one PUT for an object, with its SHA-256, refused where the key is taken.

A bucket with versions and Object Lock (docs/operations.md). What a store does not honour, intake
finds out by looking: it re-reads every byte, and asks for the lock that it set.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import io
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
from botocore.response import StreamingBody

from hal.ports import Body, Stored, StoreError, StoreTrouble

BLOCK = 1 << 20

STATUSES = {
    400: StoreTrouble.REFUSED,
    401: StoreTrouble.DENIED,
    403: StoreTrouble.DENIED,
    404: StoreTrouble.MISSING,
    409: StoreTrouble.TRANSIENT,  # two at once; the later one gets 412
    411: StoreTrouble.REFUSED,
    412: StoreTrouble.EXISTS,
    413: StoreTrouble.REFUSED,
    507: StoreTrouble.FULL,
}
# By name, where the status says too little.
CODES = {
    "RequestTimeTooSkewed": StoreTrouble.TRANSIENT,  # the greeting sets the clock
    "RequestTimeout": StoreTrouble.TRANSIENT,
    "NoSuchBucket": StoreTrouble.DENIED,
    "QuotaExceeded": StoreTrouble.FULL,
    "XMinioStorageFull": StoreTrouble.FULL,
    "BadDigest": StoreTrouble.REFUSED,
}


class S3Place(NamedTuple):
    """Where a bucket is, and who asks. `ca` pins the authority of the server's certificate;
    `client_certificate` is a file with certificate and key, where the store takes one."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    ca: str = ""
    client_certificate: str = ""


class S3Store:
    """`hal.ports.EvidenceStore` over one bucket."""

    def __init__(self, place: S3Place, timeout_s: int = 60) -> None:
        config = Config(
            signature_version="s3v4",
            connect_timeout=10,
            read_timeout=timeout_s,
            # Whether and when to try again is the conversation's to decide.
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path", "payload_signing_enabled": False},
            client_cert=place.client_certificate or None,
        )
        self._bucket = place.bucket
        self._s3: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=place.endpoint or None,
            aws_access_key_id=place.access_key,
            aws_secret_access_key=place.secret_key,
            region_name=place.region,
            verify=place.ca or None,
            config=config,
        )

    # --- what a camera may --------------------------------------------------------------------

    def create(self, key: str, body: Body) -> None:
        checksum = base64.b64encode(bytes.fromhex(body.sha256)).decode()
        with _troubles(key):
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=_Reader(body),
                ContentLength=body.length,
                ChecksumSHA256=checksum,
                IfNoneMatch="*",
            )

    def read(self, key: str, limit: int) -> bytes:
        with _troubles(key):
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            with contextlib.closing(answer["Body"]) as stream:
                data: bytes = stream.read(limit + 1)
        if len(data) > limit:
            raise StoreError(StoreTrouble.REFUSED, f"{key} is longer than {limit} bytes")
        return data

    # --- what custody may ---------------------------------------------------------------------

    def entries(self, prefix: str, after: str = "") -> Iterator[Stored]:
        with _troubles(prefix):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, **({"StartAfter": after} if after else {})
            )
            for page in pages:
                for item in page.get("Contents", []):
                    if item["Key"] <= after:  # SeaweedFS starts by folders, a little too early
                        continue
                    yield Stored(item["Key"], int(item["Size"]), "")

    def stat(self, key: str) -> Stored:
        with _troubles(key):
            answer = self._s3.head_object(Bucket=self._bucket, Key=key)
        return Stored(key, int(answer["ContentLength"]), answer.get("VersionId") or "")

    def written_utc_s(self, key: str) -> int:
        with _troubles(key):
            answer = self._s3.head_object(Bucket=self._bucket, Key=key)
        modified: datetime.datetime = answer["LastModified"]
        return int(modified.timestamp())

    def versions(self, key: str) -> list[Stored]:
        with _troubles(key):
            pages = self._s3.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=key
            )
            items = [i for page in pages for i in page.get("Versions", []) if i["Key"] == key]
        # Listed from the newest on; LastModified is too coarse to sort by.
        return [Stored(key, int(item["Size"]), item["VersionId"]) for item in reversed(items)]

    def blocks(self, stored: Stored) -> Iterator[bytes]:
        with _troubles(stored.key), contextlib.closing(self._stream(stored)) as stream:
            while block := stream.read(BLOCK):
                yield block

    def _stream(self, stored: Stored) -> StreamingBody:
        """Of the version named; of none, the newest, also behind a delete marker."""
        try:
            answer = self._s3.get_object(
                Bucket=self._bucket, Key=stored.key, **_version(stored.version)
            )
        except ClientError:
            if stored.version or not (found := self.versions(stored.key)):
                raise
            newest = _version(found[-1].version)
            answer = self._s3.get_object(Bucket=self._bucket, Key=stored.key, **newest)
        body: StreamingBody = answer["Body"]
        return body

    def retain(self, stored: Stored, until_utc_s: int) -> bool:
        until = datetime.datetime.fromtimestamp(until_utc_s, datetime.UTC)
        with _troubles(stored.key):
            self._s3.put_object_retention(
                Bucket=self._bucket,
                Key=stored.key,
                Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until},
                **_version(stored.version),
            )
            # Some stores take a lock and forget it: only what they say they keep counts.
            kept = self._s3.get_object_retention(
                Bucket=self._bucket, Key=stored.key, **_version(stored.version)
            )["Retention"]
        return bool(kept.get("Mode") == "COMPLIANCE" and kept.get("RetainUntilDate") >= until)

    def hold(self, stored: Stored, on: bool) -> bool:
        status = "ON" if on else "OFF"
        with _troubles(stored.key):
            self._s3.put_object_legal_hold(
                Bucket=self._bucket,
                Key=stored.key,
                LegalHold={"Status": status},
                **_version(stored.version),
            )
            kept = self._s3.get_object_legal_hold(
                Bucket=self._bucket, Key=stored.key, **_version(stored.version)
            )
        return bool(kept["LegalHold"]["Status"] == status)

    def hide(self, key: str) -> None:
        """A delete marker over every version."""
        if not self._is_hidden(key):
            self._hide_now(key)

    def unhide(self, key: str) -> None:
        with _troubles(key):
            for version in self._markers(key):
                self._s3.delete_object(Bucket=self._bucket, Key=key, VersionId=version)

    def free(self, key: str) -> None:
        self._hide_now(key)

    def erase(self, key: str) -> None:
        with _troubles(key):
            for version in [*self._versions(key, "Versions"), *self._markers(key)]:
                self._s3.delete_object(Bucket=self._bucket, Key=key, VersionId=version)

    def _hide_now(self, key: str) -> None:
        with _troubles(key):
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def _is_hidden(self, key: str) -> bool:
        """Whether a marker is the newest: after `free` an older one lies below what came then."""
        with _troubles(key):
            pages = self._s3.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=key
            )
            markers = [item for page in pages for item in page.get("DeleteMarkers", [])]
        return any(item["Key"] == key and item.get("IsLatest") for item in markers)

    # --- inside -------------------------------------------------------------------------------

    def _markers(self, key: str) -> list[str]:
        return self._versions(key, "DeleteMarkers")

    def _versions(self, key: str, kind: str) -> list[str]:
        with _troubles(key):
            pages = self._s3.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=key
            )
            return [
                item["VersionId"]
                for page in pages
                for item in page.get(kind, [])
                if item["Key"] == key
            ]


class _Reader(io.RawIOBase):
    """A body as the HTTP client reads it, from the start again where it must send it again."""

    def __init__(self, body: Body) -> None:
        self._body, self._at = body, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._body.length}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = self._body.length - self._at
        data = self._body.read(self._at, left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def __len__(self) -> int:
        return self._body.length


def _version(version: str) -> dict[str, str]:
    return {"VersionId": version} if version else {}


@contextlib.contextmanager
def _troubles(key: str) -> Iterator[None]:
    """What S3 and the way to it can answer, in the words of the port."""
    try:
        yield
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response.get("Error", {}).get("Code", ""))
        trouble = CODES.get(code, STATUSES.get(status, StoreTrouble.TRANSIENT))
        raise StoreError(trouble, f"{key}: {status} {code}") from error
    except (SSLError, ssl.SSLError) as error:
        raise StoreError(
            StoreTrouble.DENIED, f"the store's certificate is not the one expected: {error}"
        ) from error
    except (BotoCoreError, HTTPClientError, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(StoreTrouble.TRANSIENT, f"the store can't be reached: {error}") from error
