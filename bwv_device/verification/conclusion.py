"""What the verdict on a vault comes to: one of six answers, each with its sentence."""

from __future__ import annotations

import enum

from bwv_device.verification.vault_report import Report


class Conclusion(enum.Enum):
    """The value is the exit code of `bwv verify` (docs/commands.md)."""

    WHOLE = 0
    CHANGED = 10
    NOT_CLOSED = 11
    NO_ROOT = 12
    OTHER_ROOT = 21
    FORKED = 22


def conclude(report: Report) -> Conclusion:
    if not report.ok:
        return Conclusion.OTHER_ROOT if report.only_root_differs else Conclusion.CHANGED
    if not report.complete:
        return Conclusion.NOT_CLOSED
    if not report.rooted:
        return Conclusion.NO_ROOT
    return Conclusion.FORKED if report.whole_since else Conclusion.WHOLE


def sentence(report: Report) -> str:
    """The conclusion in words, for a non-technical reader."""
    return {
        Conclusion.WHOLE: "Verified: nothing was changed, removed or added.",
        Conclusion.OTHER_ROOT: "The camera is not of the agency of this root file: it is the wrong "
        "file, another agency's camera, or a forged vault. The vault is consistent in itself.",
        Conclusion.CHANGED: "Not verified: something was changed, removed or added.",
        Conclusion.NOT_CLOSED: "Nothing was changed. The camera stopped in order, but bytes that "
        "it did not sign stand behind its last line."
        if report.stopped
        else "Nothing was changed, but the camera did not stop in order; what was open is attested "
        "up to its last acknowledged byte.",
        Conclusion.FORKED: f"Whole since boot {report.whole_since}: nothing was changed, removed "
        f"or added. Before, the ledger had forked into {len(report.branches)} branches: two "
        "programs wrote this vault, or files of two cards were put together. All branches are "
        "here.",
        Conclusion.NO_ROOT: "Consistent, but nobody vouches for the camera: give --root with the "
        "agency's root certificate.",
    }[conclude(report)]
