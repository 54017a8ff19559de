"""The options of a disclosure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bwv_device.custody.disclosure.redaction_plan import Redaction
from bwv_device.errors import CustodyError


@dataclass(slots=True)
class DisclosureRequest:
    """The options of a disclosure. `redaction` was confirmed by a person; the original goes out
    beside a redacted copy only `with_original`."""

    recording: str
    recipient: str
    reason: str
    request: str = ""
    from_s: float | None = None
    to_s: float | None = None
    redaction: Redaction | None = None
    confirmed_by: str = ""
    with_original: bool = False

    @property
    def is_excerpt(self) -> bool:
        return self.from_s is not None or self.to_s is not None

    @property
    def is_whole(self) -> bool:
        """Whether all of the recording goes out as it is."""
        return not self.is_excerpt and self.gives_original

    @property
    def gives_original(self) -> bool:
        return self.redaction is None or self.with_original

    def check(self) -> None:
        """Before anything is opened. Raises `CustodyError` where it makes no sense."""
        if self.with_original and self.redaction is None:
            raise CustodyError(
                "The original goes out anyway: nothing is redacted.", "Leave --with-original out."
            )
        if self.redaction is not None and not self.confirmed_by:
            raise CustodyError(
                "Nobody has confirmed the redaction.", "Look at the contact sheet, then --confirm."
            )
        if self.redaction is not None and not (self.redaction.boxes or self.redaction.mute):
            raise CustodyError(
                "The redaction covers nothing: the copy would show everything.",
                "Draw boxes or spans into it, or disclose without --redact.",
            )
        times = [time for time in (self.from_s, self.to_s) if time is not None]
        if not all(math.isfinite(time) and time >= 0 for time in times):
            raise CustodyError("A time of the excerpt is none.", "Give seconds of the film.")
        if len(times) == 2 and times[0] >= times[1]:
            raise CustodyError("The excerpt ends before it begins.", "Give --from-s below --to-s.")

    def check_against(self, longest_s: float) -> None:
        """Once the length of the longest film is known. Raises `CustodyError` for what lies
        outside."""
        for name, time in (("--from-s", self.from_s), ("--to-s", self.to_s)):
            beyond = time is not None and time > math.ceil(longest_s)
            if beyond or (name == "--from-s" and time is not None and time >= longest_s):
                raise CustodyError(
                    f"{name} {time:g} lies outside: the film has {longest_s:.1f} s.",
                    "Choose other times.",
                )
