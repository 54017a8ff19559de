"""How somebody gets the keys of a recording's files: a line first, then the keys.

Through a key desk, each look by itself; or with the agency's own identity, for the day when nothing
else works, and for a package that is made on the machine where that identity is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from bwv_device.custody.key_desk.key_desk import Answer
from bwv_device.custody.key_desk.view_request import digest_of, make_request
from bwv_device.custody.key_desk.viewing_policy import VIEWERS
from bwv_device.custody.ledger.ledger import Decided
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, SealedFileError
from bwv_device.formats import age, statement
from bwv_device.formats.certificates import KEY_DESK
from bwv_device.formats.grammar.statements import VIEWED_LIMIT, Grant
from bwv_device.formats.statement import StatementError

NONCE_BYTES = 16


class FootageKeys(Protocol):
    """Keys of a recording's sealed files, by name. Whoever asks is in custody's ledger first.
    Raises `CustodyError` where they may not look, or nothing could be written down."""

    def of(
        self, recording: str, files: Mapping[str, Path], reason: str
    ) -> Sequence[age.Identity]: ...


class Desk(Protocol):
    """A key desk, here or on another machine. Raises `CustodyError`, `StoreError`, `OSError`."""

    def answer(self, request: bytes, approval: bytes = b"") -> Answer: ...


class AgencyKeys:
    """With the agency's identity, after an `exported` line."""

    def __init__(self, session: CustodySession, identities: Sequence[age.Identity]) -> None:
        self._session, self._identities = session, identities

    def of(self, recording: str, files: Mapping[str, Path], reason: str) -> Sequence[age.Identity]:
        device = recording.partition("/")[0]
        write_exported(self._session, device, [recording], reason)
        return self._identities


def write_exported(
    session: CustodySession, device: str, recordings: Sequence[str], reason: str
) -> int:
    """The line of who opens files without a grant; its number. `recordings` by their full names.
    Raises `CustodyError`, `StoreError`."""

    def decide() -> Decided:
        return "exported", {
            "device": device,
            "recordings": list(recordings),
            "person": session.person,
            "reason": reason,
        }

    line = session.append(decide)
    assert line is not None
    return line.number


class ViewingKey(NamedTuple):
    """A person's key to look with, and its certificates (PEM)."""

    identity: age.X25519Identity
    pem: bytes


class DeskKeys:
    """Through a key desk. `again`: waits until it is worth asking again; False to give up. `asked`:
    a request that was made before, and its `approval`."""

    def __init__(
        self,
        session: CustodySession,
        desk: Desk,
        key: ViewingKey,
        *,
        case: str = "",
        asked: bytes = b"",
        approval: bytes = b"",
        again: Callable[[], bool] = lambda: False,
    ) -> None:
        self._session, self._desk, self._key = session, desk, key
        self._case, self._asked, self._approval = case, asked, approval
        self._again = again

    def of(self, recording: str, files: Mapping[str, Path], reason: str) -> Sequence[age.Identity]:
        keys = GrantedKeys()
        names = sorted(files)
        for at in range(0, len(names), VIEWED_LIMIT):
            some = names[at : at + VIEWED_LIMIT]
            request = self._asked or ask(
                self._session, recording, some, self._key.pem, reason, self._case
            )
            keys.take(self._grant(request), self._key.identity, files)
        return [keys]

    def _grant(self, request: bytes) -> Grant:
        """Asks until witnesses have seen the line. Raises `CustodyError`."""
        answer = self._desk.answer(request, self._approval)
        while not answer.grant:
            if not self._again():
                raise CustodyError(
                    f"Line {answer.line} says that you look, and no quorum of witnesses has seen "
                    "it.", "See that 'bwv custody log' runs and reaches them, and ask again.",
                )  # fmt: skip
            answer = self._desk.answer(request, self._approval)
        return read_grant(answer.grant, request, self._session)


def ask(
    session: CustodySession,
    recording: str,
    names: Sequence[str],
    key_pem: bytes,
    reason: str,
    case: str,
) -> bytes:
    """A request, signed by the person of the session."""
    session.index.catch_up()
    return make_request(
        session.signer,
        store=session.index.store_id,
        recording=recording,
        segments=names,
        key_pem=key_pem,
        reason=reason,
        case=case,
        nonce=session.entropy.token(NONCE_BYTES).hex(),
        utc_ns=session.now_ns(),
    )


def read_grant(data: bytes, request: bytes, session: CustodySession) -> Grant:
    """Raises `CustodyError` unless a desk of this agency gives it for this request, and the line is
    where it says."""
    try:
        grant = statement.of_role(data, Grant, (KEY_DESK, *VIEWERS), session.roots).value
    except StatementError as error:
        raise CustodyError(f"The key desk's answer {error}.", "Check its address.") from None
    session.index.catch_up()
    row = session.index.row("SELECT 1 FROM views WHERE request = ? AND n = ?",
                            digest_of(request), grant.line)  # fmt: skip
    if grant.request != digest_of(request) or row is None:
        raise CustodyError(
            "The key desk's answer is for another request, or no line says that you look.",
            "Check its address, and that it works on this store.",
        )
    return grant


class GrantedKeys:
    """An age identity that opens what was granted, and nothing else."""

    def __init__(self) -> None:
        self._keys: dict[age.Stanza, bytes] = {}

    def take(self, grant: Grant, identity: age.X25519Identity, files: Mapping[str, Path]) -> None:
        """File keys of a grant, for the headers that stand in the files. Raises `CustodyError`."""
        for granted in grant.headers:
            if granted.segment not in files:
                continue
            with files[granted.segment].open("rb") as file:
                head = file.read(age.HEADER_LIMIT)
            try:
                key = age.open_file_key(
                    age.parse_header(granted.header.encode("ascii")), [identity]
                )
                stanzas = age.parse_header(head).stanzas
            except SealedFileError as error:
                raise CustodyError(
                    f"{granted.segment} does not open with what was granted: {error}",
                    "Ask the key desk again.",
                ) from None
            self._keys |= dict.fromkeys(stanzas, key)

    def unwrap(self, stanza: age.Stanza) -> bytes | None:
        return self._keys.get(stanza)
