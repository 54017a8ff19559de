"""Errors a user meets: one sentence, a remedy, and an exit code (docs/commands.md)."""

from __future__ import annotations


class BwvError(Exception):
    """Something the user can act on."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ConfigError(BwvError):
    """The configuration can't be used; carries every problem found, not only the first."""

    exit_code = 3

    def __init__(self, message: str, problems: list[tuple[str, str]]) -> None:
        super().__init__(message)
        self.problems = problems

    def __str__(self) -> str:
        lines = [f"  {path}: {problem}" for path, problem in self.problems]
        return "\n".join([self.message, *lines])


class ClipError(BwvError):
    """A video file that can't be used as the scene."""

    exit_code = 4


class KeyFileError(BwvError):
    """A key, recipient or identity that can't be used."""

    exit_code = 5


class VaultError(BwvError):
    """A vault or card that can't be used."""

    exit_code = 6


class VaultInUseError(VaultError):
    """Another process writes it."""


class CertificateError(BwvError):
    """A certificate that can't be used."""

    exit_code = 7


class MissingPartError(BwvError):
    """A part of the installation is absent."""

    exit_code = 8


class SealedFileError(BwvError):
    """A sealed file that does not open: malformed, altered, or sealed to another recipient."""

    exit_code = 9


class CustodyError(BwvError):
    """Something custody may not, or can't, do."""

    exit_code = 13


class EvidenceStoreError(BwvError):
    """An evidence store that can't be used."""

    exit_code = 14


class BrokerError(BwvError):
    """An MQTT broker, or a camera behind it, that can't be used."""

    exit_code = 17


class OutputError(BwvError):
    """A place for results that can't be written."""

    exit_code = 20
