"""S3 policies of least privilege, one per camera and one per role of custody (docs/operations.md).

No key can both lift a legal hold and delete; a camera's can neither read, list, overwrite nor
delete what it delivered.
"""

from __future__ import annotations

from typing import Any

MULTIPART = [
    "s3:CreateMultipartUpload",
    "s3:UploadPart",
    "s3:UploadPartCopy",
    "s3:CompleteMultipartUpload",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
]
# What a camera's PUT never carries.
FOREIGN_HEADERS = [
    "x-amz-acl",
    "x-amz-tagging",
    "x-amz-copy-source",
    "x-amz-website-redirect-location",
    "x-amz-server-side-encryption-customer-algorithm",
]
ROLES = ("intake", "custodian", "hold", "retention")

Policy = dict[str, Any]


def camera(bucket: str, device: str) -> Policy:
    """Creates below its own name, with a checksum; reads its own outbox and software. Nothing
    else."""
    own = [f"{kind}/{device}/*" for kind in ("dockings", "ledgers", "footage")]
    return _policy(
        _allow(["s3:PutObject"], _objects(bucket, own)),
        _allow(["s3:GetObject"], _objects(bucket, [f"outbox/{device}/*", "software/*"])),
        _deny(MULTIPART, bucket),
        _deny(["s3:PutObject"], bucket, Null={"s3:x-amz-checksum-sha256": "true"}),
        *[
            _deny(["s3:PutObject"], bucket, Null={f"s3:{header}": "false"})
            for header in FOREIGN_HEADERS
        ],
    )


def role(bucket: str, name: str) -> Policy:
    """Of `ROLES`. All read everything and write the custody ledger; what they may beyond that
    excludes each other."""
    common = [
        _allow(
            [
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:GetObjectRetention",
                "s3:GetObjectLegalHold",
            ],
            _objects(bucket, ["*"]),
        ),
        _allow(["s3:ListBucket", "s3:ListBucketVersions"], [f"arn:aws:s3:::{bucket}"]),
        _allow(
            ["s3:PutObject"],
            _objects(bucket, ["custody/*", "outbox/*", "quarantine/*", "software/*"]),
        ),
    ]
    beyond = {
        "intake": [
            _allow(["s3:PutObjectRetention"], _objects(bucket, ["footage/*"])),
            # A marker over an upload with wrong bytes; no version can be erased with this.
            _allow(["s3:DeleteObject"], _objects(bucket, ["footage/*"])),
            _allow(["s3:DeleteObject", "s3:DeleteObjectVersion"], _objects(bucket, ["dockings/*"])),
        ],
        "custodian": [],
        "hold": [_allow(["s3:PutObjectLegalHold"], _objects(bucket, ["footage/*"]))],
        "retention": [
            _allow(
                ["s3:DeleteObject", "s3:DeleteObjectVersion"],
                _objects(
                    bucket,
                    [
                        "footage/*",
                        "custody/bodies/*",
                        "custody/letters/*",
                        "quarantine/*",
                        "dockings/*",
                    ],
                ),
            )
        ],
    }
    return _policy(*common, *beyond[name])


def _policy(*statements: dict[str, Any]) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _objects(bucket: str, keys: list[str]) -> list[str]:
    return [f"arn:aws:s3:::{bucket}/{key}" for key in keys]


def _allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def _deny(actions: list[str], bucket: str, **condition: dict[str, str]) -> dict[str, Any]:
    said = {"Effect": "Deny", "Action": actions, "Resource": _objects(bucket, ["*"])}
    return {**said, "Condition": condition} if condition else said
