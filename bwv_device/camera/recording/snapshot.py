"""A snapshot on demand: the next keyframe as a JPEG, sealed as segments are."""

from __future__ import annotations

from collections.abc import Sequence

from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.recording.recording import OpenRecording
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import age
from bwv_device.formats.age_payload import Seal
from hal.ports import AccessUnit, Board


class Snapshots:
    """Waits for a keyframe, has it encoded in a lane of its own, seals and keeps it."""

    def __init__(
        self, board: Board, loop: Loop, vault_lane: VaultLane, recipients: Sequence[age.Recipient]
    ) -> None:
        self._board, self._loop, self._vault_lane = board, loop, vault_lane
        self._recipients = recipients
        self._wanted: OpenRecording | None = None
        self._count = 0

    def want(self, recording: OpenRecording) -> None:
        self._wanted = recording
        self._board.camera.request_keyframe()

    def ended(self) -> None:
        """The recording is over: a later picture would be none of it."""
        if self._wanted is not None:
            self._wanted = None
            reason = "the recording ended before the next keyframe"
            self._vault_lane.note("fault", part="snapshot", reason=reason)

    def keyframe(self, unit: AccessUnit) -> None:
        recording, self._wanted = self._wanted, None
        if recording is None:
            return
        stills = self._board.stills
        self._loop.lane("stills").submit(
            lambda: stills.jpeg(unit), lambda outcome: self._encoded(outcome, unit, recording)
        )

    def _encoded(self, outcome: Outcome, unit: AccessUnit, recording: OpenRecording) -> None:
        if outcome.error is not None:
            self._vault_lane.note("fault", part="snapshot", reason=str(outcome.error))
            return
        self._count += 1
        seal = Seal(self._recipients, self._board.entropy)
        chunks = [seal.header, seal.nonce, *seal.feed(outcome.value), seal.finish()]
        # The ledger may have been opened anew since: a boot's lines speak of its own files only.
        name = str(
            recording.name._replace(
                boot=self._vault_lane.boot, number=self._count, suffix=".jpg.age"
            )
        )
        t_ns = self._loop.now_ns()
        head = {"header": seal.header.decode(), "nonce": seal.nonce.hex()}
        fields = {"recording": recording.id, "pts_ns": unit.pts_ns, **head}
        self._vault_lane.submit(lambda vault: vault.keep(name, chunks, t_ns, fields), self._kept)

    def _kept(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._vault_lane.note("fault", part="snapshot", reason=str(outcome.error))
