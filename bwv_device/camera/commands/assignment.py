"""The newest signed assignment: who wears the camera, and with which settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cryptography import x509

from bwv_device.camera.commands.check import ROLE, conform
from bwv_device.formats import statement
from bwv_device.formats.grammar.statements import Assignment, Command
from bwv_device.formats.statement import Statement, StatementError


class Assignments:
    """The one in force. It lives in the ledger: each boot writes it again, so that the next one
    need not look far."""

    def __init__(
        self,
        device: str,
        note: Callable[..., None],
        roots: Sequence[x509.Certificate],
        settings_assigned: Callable[[dict[str, Any]], None],
    ) -> None:
        self._device, self._note, self._roots = device, note, roots
        self.version = 0
        self.officer = ""
        self._issued: tuple[Statement[Command], str] | None = None
        self.settings: dict[str, Any] = {}
        self._settings_assigned = settings_assigned

    def take(self, said: Statement[Assignment]) -> None:
        """Takes a newer assignment."""
        if said.value.version <= self.version:
            self._note("fault", part="assignment", reason="it is older than the one in force")
            return
        self._adopt(said)
        self._note("assignment", statement=said.text, certificate=said.certificate)

    def issue(self, said: Statement[Command], officer: str) -> None:
        """A command names the officer, until the next assignment."""
        self._issue(said, officer)
        self._note("officer", statement=said.text, certificate=said.certificate)

    def remember(
        self, kept: Mapping[str, str] | None, officer: Mapping[str, str] | None = None
    ) -> None:
        """What earlier boots wrote, and recovery has written again. Checked: a card can be written
        by anybody."""
        issued = self._issued
        self._remember_assignment(kept)
        if officer is None:
            if issued is not None:  # of this process, and not in the ledger that was opened anew
                self.issue(*issued)
            return
        try:
            said = read_issued(officer, self._device, self._roots)
        except StatementError as error:
            self._note("fault", part="assignment", reason=f"the officer in the ledger {error}")
            return
        self._issue(said, str(said.value.arguments["officer"]))

    def _remember_assignment(self, kept: Mapping[str, str] | None) -> None:
        if kept is None:
            return
        try:
            said = read_kept(kept, self._device, self._roots)
        except StatementError as error:
            self._note("fault", part="assignment", reason=f"the one in the ledger {error}")
            return
        if said.value.version >= self.version:
            self._adopt(said)

    def _issue(self, said: Statement[Command], officer: str) -> None:
        self.officer, self._issued = officer, (said, officer)

    def _adopt(self, said: Statement[Assignment]) -> None:
        self._issued = None
        self.version = said.value.version
        self.officer = said.value.officer
        self.settings = dict(said.value.settings)
        self._settings_assigned(self.settings)


def read_issued(
    kept: Mapping[str, str], device: str, roots: Sequence[x509.Certificate]
) -> Statement[Command]:
    """A command that assigned an officer, as the ledger keeps it. Raises `StatementError`."""
    said = statement.of_role(_object(kept), Command, (ROLE,), roots)
    if said.value.device != device:
        raise StatementError("is another camera's")
    if said.value.command != "assign" or conform("assign", said.value.arguments) is None:
        raise StatementError("names no officer")
    return said


def read_kept(
    kept: Mapping[str, str], device: str, roots: Sequence[x509.Certificate]
) -> Statement[Assignment]:
    """An assignment as the ledger keeps it. Raises `StatementError`."""
    said = statement.of_role(_object(kept), Assignment, ("configuration",), roots)
    if said.value.device != device:
        raise StatementError("is another camera's")
    return said


def _object(kept: Mapping[str, str]) -> bytes:
    return f"{kept['statement']}\n{kept['certificate']}".encode()
