"""The options of a disclosure."""

from __future__ import annotations

from dataclasses import dataclass

from bwv_device.custody.disclosure.redaction_plan import Redaction


@dataclass(slots=True)
class DisclosureRequest:
    """The options of a disclosure. `redaction` was confirmed by a person."""

    recording: str
    recipient: str
    reason: str
    request: str = ""
    from_s: float | None = None
    to_s: float | None = None
    redaction: Redaction | None = None
    confirmed_by: str = ""
    only_redacted: bool = False

    @property
    def is_excerpt(self) -> bool:
        return self.from_s is not None or self.to_s is not None
