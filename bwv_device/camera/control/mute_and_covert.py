"""Recording without sound, and recording without lights and sounds. Policy decides; the ledger says
it.
"""

from __future__ import annotations

from collections.abc import Callable

from bwv_device.camera.indicators.lights_and_sounds import LightsAndSounds
from bwv_device.camera.loop import Loop
from bwv_device.camera.recording.recorder import Recorder
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.settings import Policy, seconds
from hal.ports import Timer


class MuteAndCovert:
    """`refuse` sounds and writes down a refusal; `changed` follows each switch of covert mode."""

    def __init__(
        self,
        loop: Loop,
        policy: Policy,
        vault_lane: VaultLane,
        recorder: Recorder,
        cues: LightsAndSounds,
        refuse: Callable[[str, str], None],
        changed: Callable[[], None],
        reminder_min: int = 15,
    ) -> None:
        self._loop, self._policy, self._vault_lane = loop, policy, vault_lane
        self._recorder, self._cues, self._refuse = recorder, cues, refuse
        self._limit: Timer | None = None
        self._muted = False
        self._while_held = False
        self.covert = False
        self._changed = changed
        self._reminder_ns = seconds(60 * reminder_min)
        self._reminder: Timer | None = None

    def switch_mute(self) -> None:
        """Three presses; the third may go on, and then mutes only while it does."""
        self._mute(not self._muted, "button")
        self._while_held = self._muted

    def let_go(self) -> None:
        """The third press was held, and is over."""
        if self._while_held and self._muted:
            self._mute(False, "button let go")
        self._while_held = False

    def switch_covert(self) -> None:
        self._go_covert(not self.covert, "button")

    def ended(self) -> None:
        """The recording ended: muting ends with it."""
        if self._muted:
            self._mute(False, "the recording ended")

    def leave(self) -> None:
        """Covert mode ends in the dock and at shutdown."""
        if self.covert:
            self._go_covert(False, "dock or shutdown")

    def _mute(self, on: bool, reason: str) -> None:
        if not self._policy.mute:
            self._refuse("mute", "policy forbids mute")
            return
        if on and self._recorder.recording is None:
            self._refuse("mute", "it is not recording")
            return
        self._muted = on
        self._recorder.mute.switch(on, self._loop.now_ns())
        self._vault_lane.note("mute", on=on, reason=reason)
        self._cues.muted(on)

    def _go_covert(self, on: bool, reason: str) -> None:
        if not self._policy.covert:
            self._refuse("covert", "policy forbids covert mode")
            return
        self.covert = on
        self._vault_lane.note("covert", on=on, reason=reason)
        self._cues.covert(on)
        for timer in (self._limit, self._reminder):
            if timer:
                timer.cancel()
        if on:
            self._remind_later()
            until_ns = self._loop.now_ns() + seconds(self._policy.covert_limit_min * 60)
            self._limit = self._loop.call_at(until_ns, lambda: self._go_covert(False, "time limit"))
        self._changed()

    def _remind_later(self) -> None:
        when_ns = self._loop.now_ns() + self._reminder_ns
        self._reminder = self._loop.call_at(when_ns, self._remind)

    def _remind(self) -> None:
        """A camera that neither shines nor sounds is felt: else it is forgotten as it is."""
        self._cues.remind_of_covert()
        self._remind_later()
