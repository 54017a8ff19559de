"""What of a recording is not in its films, in seconds and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bwv_device.custody.key_desk.open_recording import Opened
from bwv_device.verification.footage_claims import Claim
from hal.ports import SECOND_NS


def losses(opened: Opened) -> list[str]:
    """Sentences; none where each picture that the camera sealed is there."""
    claims = [
        found.claim
        for found in opened.survey.files
        if found.claim is not None and found.claim.recording and found.claim.pictures
    ]
    names = {item.recording for item in opened.films} or {c.recording for c in claims}
    mine = [claim for claim in claims if claim.recording in names]
    expected, there = sum(c.pictures for c in mine), sum(f.video_units for f in opened.films)
    if expected <= there:
        return []
    seconds = sum(map(_length_ns, mine)) / SECOND_NS
    missing = expected - there
    lost_s = missing / expected * seconds
    said = f"{lost_s:.1f} s ({missing} pictures) of {seconds:.1f} s are missing"
    return [said, *_reasons(opened)]


def _length_ns(claim: Claim) -> int:
    return (claim.end_pts_ns or 0) - (claim.first_pts_ns or 0)


def _reasons(opened: Opened) -> Iterator[str]:
    """Why, by file."""
    told = set[str]()
    for item in opened.films:
        for row in json.loads(item.path.with_suffix(".json").read_text())["not_exported"]:
            if row["name"] not in told:
                told.add(row["name"])
                yield f"{row['name']}: {row['reason']}"
    for name in opened.absent:
        if name not in told:
            yield f"{name}: the store does not have it any more"
