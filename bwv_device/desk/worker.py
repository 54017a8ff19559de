"""Works on films in clear, at a person's signed order. It has keys of its own for looking, and none
for signing: what must be signed goes back to the person's browser, and so does what was made,
sealed to their key (docs/format.md, 12.4).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cryptography import x509

from bwv_device.custody.disclosure import render_order
from bwv_device.custody.disclosure.media_process import MediaProcess
from bwv_device.custody.disclosure.package import disclose
from bwv_device.custody.disclosure.package_films import require_one_film
from bwv_device.custody.disclosure.render_order import Order
from bwv_device.custody.disclosure.work_folder import work_folder
from bwv_device.custody.drafts import Ask
from bwv_device.custody.history.witnesses import WitnessLine
from bwv_device.custody.key_desk.looking import FootageKeys
from bwv_device.custody.key_desk.open_recording import open_recording
from bwv_device.custody.key_desk.view_request import digest_of
from bwv_device.custody.session import CustodySession
from bwv_device.errors import BwvError, CustodyError
from bwv_device.formats import age, statement
from bwv_device.formats.age_payload import Seal
from bwv_device.formats.grammar.purposes import RENDER_QUESTION
from bwv_device.verification.trust_list import Trust
from hal.ports import Entropy, StoreError

BLOCK = 1 << 20
# So often is a person asked, and so long.
ASKED_EVERY_S, ASKED_FOR_S = 0.5, 600


class DeskLine(Protocol):
    """`bwv_device.backends.desk_line.HttpDeskLine`. All raise `CustodyError`."""

    def get(self, path: str, **query: str) -> dict[str, Any]: ...

    def post(self, path: str, said: Mapping[str, str]) -> dict[str, Any]: ...

    def upload(self, path: str, file: Path, **query: str) -> None: ...


class Custody(NamedTuple):
    """What the worker has of the agency. `session_of` makes one of a person
    who is asked; `own` is the
    worker's; `keys` opens recordings by its grants."""

    own: CustodySession
    session_of: Callable[[bytes, Ask], CustodySession]
    keys: Callable[[], FootageKeys]
    roots: Sequence[x509.Certificate]
    root_pem: bytes
    witnesses: WitnessLine | None
    again: Callable[[], Callable[[], bool]]


class Worker:
    """`folder` is where films lie in clear: memory, never a disk. `pause` waits so many seconds."""

    def __init__(
        self,
        desk: DeskLine,
        custody: Custody,
        entropy: Entropy,
        folder: Path,
        pause: Callable[[float], object],
    ) -> None:
        self._desk, self._custody, self._entropy = desk, custody, entropy
        self._folder, self._pause = folder, pause

    def once(self) -> str:
        """Takes an order, and sees it to its end. What was done, in a sentence; "" for nothing.
        Raises `CustodyError` where the desk does not answer."""
        given = self._desk.post("/api/work/next", {})
        if not given:
            return ""
        text, approval = str(given.get("order", "")), str(given.get("approval", ""))
        digest = digest_of(text.encode("ascii", "replace"))
        try:
            order = self._read(text, approval)
            told = self._do(order)
        except (BwvError, StoreError) as error:
            self._tell(digest, str(error), "failed")
            return f"not done: {error}"
        self._tell(digest, told, "done")
        return f"{order.value.what} {order.recording} for {order.person}"

    def _read(self, text: str, approval: str) -> Order:
        custody = self._custody
        order = render_order.read_order(text.encode("ascii", "replace"), custody.roots)
        confirmed_by = ""
        if approval:
            confirmed_by = render_order.read_approval(
                approval.encode("ascii", "replace"), order, custody.roots
            )
        if render_order.needs_approval(order) and not confirmed_by:
            raise CustodyError("No second person has looked at what is covered.", "Ask one.")
        custody.own.check()
        trust: Trust | None = custody.own.trust()
        render_order.require_now(
            order, custody.own.index.store_id, custody.own.now_ns(), trust,
            approved=bool(confirmed_by),
        )  # fmt: skip
        if order.wish is not None:
            order.wish.confirmed_by = confirmed_by
        return order

    def _do(self, order: Order) -> str:
        with work_folder(self._folder) as work:
            return self._propose(order, work) if order.wish is None else self._disclose(order, work)

    def _propose(self, order: Order, work: Path) -> str:
        """What to cover, and the pictures that show it."""
        custody = self._custody
        keys = OrderedKeys(custody.keys(), order)
        opened = open_recording(
            custody.own, custody.roots, keys, order.recording, work, order.value.reason,
            self._advance(order),
        )  # fmt: skip
        require_one_film(opened.films)
        (film,) = opened.films
        seconds = max(1.0, film.duration_ms / 1000)
        made = work / "made"
        made.mkdir()
        media = MediaProcess(film.path, seconds, work)
        advance = self._advance(order)
        found = media.propose(lambda at_s: advance("looking for faces", at_s / seconds))
        found.write(made / "redaction.json")
        media.contact_sheet(found, made / "contact-sheet.jpg")
        self._deliver(order, made)
        return f"{len(found.boxes)} boxes proposed."

    def _disclose(self, order: Order, work: Path) -> str:
        assert order.wish is not None
        custody = self._custody
        session = custody.session_of(
            order.certificate_pem, lambda message, body: self._ask(order, message, body)
        )
        session.index.catch_up()
        keys = OrderedKeys(custody.keys(), order)
        package = disclose(
            session, custody.roots, custody.root_pem, keys, order.wish, work / "package",
            self._advance(order), custody.witnesses, custody.again(),
            lambda folder: self._deliver(order, folder),
        )  # fmt: skip
        why = [*package.verdict.problems, *package.verdict.exceptions, *package.missing]
        said = f"Whoever checks it reads: {package.verdict.answer.value}"
        return f"{said}: {'; '.join(why)}." if why else f"{said}."

    # --- to and from the person ---------------------------------------------------------------

    def _ask(self, order: Order, message: bytes, body: str) -> bytes:
        """The person's signature. Raises `CustodyError` where none comes."""
        digest = order.digest
        asked = {"order": digest, "message": hashlib.sha256(message).hexdigest()}
        # Else whoever carries questions could ask some of their own.
        said = statement.make(self._custody.own.signer, RENDER_QUESTION, asked).decode("ascii")
        question = json.dumps({"message": message.hex(), "body": body, "asked": said})
        self._desk.post("/api/work/ask", {"order": digest, "question": question})
        for _ in range(round(ASKED_FOR_S / ASKED_EVERY_S)):
            said = str(self._desk.get("/api/work/answer", order=digest).get("signature", ""))
            if said:
                self._tell(digest, "Signed; going on.")
                return _signature(said)
            self._pause(ASKED_EVERY_S)
        raise CustodyError("Nobody signed within ten minutes.", "Order it again.")

    def _deliver(self, order: Order, folder: Path) -> None:
        """As a zip file that the person's key alone opens."""
        made, sealed = folder.parent / "made.zip", folder.parent / "made.zip.age"
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        seal = Seal([age.X25519Recipient(order.viewer.public)], self._entropy)
        with made.open("rb") as source, sealed.open("wb") as target:
            target.write(seal.header + seal.nonce)
            while block := source.read(BLOCK):
                target.writelines(seal.feed(block))
            target.write(seal.finish())
        made.unlink()
        self._desk.upload("/api/work/result", sealed, order=order.digest)
        sealed.unlink()

    def _advance(self, order: Order) -> Callable[[str, float], None]:
        """Tells the person how far it is, now and then."""
        last = [""]

        def advance(what: str, share: float) -> None:
            told = f"{what}: {10 * int(share * 10)} %"
            if told != last[0]:
                last[0] = told
                self._tell(order.digest, told)

        return advance

    def _tell(self, digest: str, told: str, state: str = "taken") -> None:
        self._desk.post("/api/work/told", {"order": digest, "told": told, "state": state})


class OrderedKeys:
    """The worker's own way to look, for whom and why."""

    def __init__(self, keys: FootageKeys, order: Order) -> None:
        self._keys, self._order = keys, order

    def of(self, recording: str, files: Mapping[str, Path], reason: str) -> Sequence[age.Identity]:
        said = f"{self._order.person}: {self._order.value.reason}"
        return self._keys.of(recording, files, said)


def _signature(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CustodyError("What came back is no signature.", "Order it again.") from None


def sweep(folder: Path) -> None:
    """What an earlier worker left in clear, when it was killed."""
    with work_folder(folder):
        pass
