"""What an operator knows of each camera, from its messages alone. Pure functions: messages in, rows
out.

Only ledger heads that the device key signed are believed. The broker can withhold, repeat and
reorder messages, and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import TypeAdapter

from bwv_device.formats import statement
from bwv_device.formats.certificates import UNREADABLE_CERTIFICATE, chain_leads_to
from bwv_device.formats.mqtt_messages import Count, Health, Presence, State
from bwv_device.formats.statement import StatementError
from bwv_device.verification.signed_heads import is_signed

# Heads and messages that are remembered of a camera, to hold later ones against.
REMEMBERED, UNVERIFIED = 256, 8
PAYLOAD_LIMIT = 65_536

CAMERAS_LIMIT = 100_000
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

UNKNOWN, UNSIGNED, CONSISTENT, FORKED = "unknown", "unsigned", "consistent", "forked"


class Pair(NamedTuple):
    """A message's place in its camera's life."""

    boot: int
    number: int


NEVER = Pair(0, 0)


@dataclass(frozen=True, slots=True)
class Numbered:
    """All that counts here of an event or a reply: what else is in it may be newer than we are."""

    boot: Count
    number: Count


# Whatever does not have this form is no message.
SAID: dict[str, TypeAdapter[Any]] = {
    "presence": TypeAdapter(Presence),
    "state": TypeAdapter(State),
    "health": TypeAdapter(Health),
    "event": TypeAdapter(Numbered),
    "reply": TypeAdapter(Numbered),
}


class Fork(NamedTuple):
    """Two words of one camera that can't both be true, and in which way."""

    reason: str
    first: dict[str, Any]
    second: dict[str, Any]


@dataclass(slots=True)
class Seen:
    """One camera."""

    device: str
    online: bool | None = None
    session: Pair = NEVER
    state: dict[str, Any] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    last_ns: int = 0
    ledger: str = UNKNOWN
    head: dict[str, Any] = field(default_factory=dict)
    fork: Fork | None = None
    certificate: str = ""
    events: int = 0
    missing: int = 0
    duplicates: int = 0
    conflicts: int = 0
    newest: dict[str, Pair] = field(default_factory=dict)
    heads: OrderedDict[int, dict[str, Any]] = field(default_factory=OrderedDict)
    digests: OrderedDict[tuple[str, Pair], str] = field(default_factory=OrderedDict)
    key: ec.EllipticCurvePublicKey | None = None


class Roster:
    """All cameras that were seen. `rejected` counts invalid messages, by reason."""

    def __init__(
        self,
        roots: Sequence[x509.Certificate],
        forked: Callable[[Seen], None] = lambda seen: None,
    ) -> None:
        """`forked` is called once for each camera whose ledger turns out to have forked."""
        self._roots = list(roots)
        self.cameras: dict[str, Seen] = {}
        self.rejected: dict[str, int] = {}
        self._forked = forked

    def feed(self, topic: str, payload: bytes, now_ns: int) -> Seen | None:
        """A message of the tree; None where it says nothing that counts."""
        levels = topic.split("/")
        if len(levels) != 5 or levels[:2] != ["bwv", "v1"]:
            return self._reject("another topic")
        device, leaf = levels[3], levels[4]
        if leaf == "command":
            return None
        if not NAME.fullmatch(device) or leaf not in (*SAID, "identity"):
            return self._reject("another topic")
        if device not in self.cameras and len(self.cameras) >= CAMERAS_LIMIT:
            return self._reject("too many cameras")
        if len(payload) > PAYLOAD_LIMIT:
            return self._reject("oversized")
        seen = self.cameras.setdefault(device, Seen(device))
        if leaf == "identity":
            return self._identity(seen, payload)
        try:
            said = asdict(SAID[leaf].validate_json(payload))
        except ValueError:
            return self._reject("malformed")
        if leaf == "presence":
            counted = self._presence(seen, said)
        else:
            counted = self._told(seen, leaf, said, payload)
        if counted:
            seen.last_ns = now_ns
        return seen if counted else None

    def recall(self, head: dict[str, Any], certificate: str) -> None:
        """A head that an earlier watch kept. What is not well signed counts for nothing."""
        device = str(head.get("device"))
        seen = self.cameras.setdefault(device, Seen(device))
        self._identity(seen, certificate.encode())
        self._judge(seen, head)

    # --- presence -----------------------------------------------------------------------------

    def _presence(self, seen: Seen, said: dict[str, Any]) -> bool:
        """An old will is no news."""
        pair = Pair(said["boot"], said["session"])
        if pair < seen.session:
            return False
        seen.session, seen.online = pair, said["online"]
        return True

    def _identity(self, seen: Seen, pem: bytes) -> Seen | None:
        """The certificate by which its heads are judged: of this camera, and of this agency."""
        try:
            chain = statement.chain_of(pem)
            key = chain[0].public_key()
            subject = chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except (StatementError, *UNREADABLE_CERTIFICATE):
            return self._reject("malformed")
        names = [str(name.value) for name in subject]
        leads = any(chain_leads_to(chain, root) for root in self._roots)
        if names != [seen.device] or not leads or not isinstance(key, ec.EllipticCurvePublicKey):
            return self._reject("another agency's certificate")
        seen.key, seen.certificate = key, pem.decode("ascii")
        if seen.ledger == UNSIGNED and (head := seen.state.get("head")):
            self._judge(seen, head)
        return seen

    # --- what is told -------------------------------------------------------------------------

    def _told(self, seen: Seen, leaf: str, said: dict[str, Any], payload: bytes) -> bool:
        pair = Pair(said["boot"], said["number"])
        if head := said.get("head"):  # late or repeated, it is signed all the same
            self._judge(seen, head)
        if not self._is_new(seen, leaf, pair, payload):
            return False
        if "session" in said:
            session = Pair(pair.boot, said["session"])
            if session > seen.session:  # it spoke since it was said to be gone
                seen.session, seen.online = session, True
        if leaf == "state":
            seen.state = said
        elif leaf == "health":
            seen.health = said
        elif leaf == "event":
            seen.events += 1
        return True

    def _is_new(self, seen: Seen, leaf: str, pair: Pair, payload: bytes) -> bool:
        """A pair comes once. With another content there are two cameras, or a broker that lies:
        unlike two signed heads it proves nothing."""
        digest, place = hashlib.sha256(payload).hexdigest(), (leaf, pair)
        known = seen.digests.get(place)
        if known is not None:
            seen.duplicates += 1
            seen.conflicts += known != digest
            return False
        # Nobody is known by name alone: what anybody can invent must not cost much.
        _remember(seen.digests, place, digest, REMEMBERED if seen.key else UNVERIFIED)
        newest = seen.newest.get(leaf)
        if newest is not None and pair < newest:
            return False  # late; something newer is known
        if newest is not None and leaf in ("event", "reply"):
            expected = 1 if pair.boot > newest.boot else newest.number + 1
            seen.missing += max(0, pair.number - expected)
        seen.newest[leaf] = pair
        return True

    # --- ledgers ------------------------------------------------------------------------------

    def _judge(self, seen: Seen, head: dict[str, Any]) -> None:
        """Whether this head and those before it can be of one ledger."""
        if not _is_signed(seen, head):
            if seen.ledger == UNKNOWN:
                seen.ledger = UNSIGNED
            return
        number, newest = head["number"], seen.head
        known = seen.heads.get(number)
        if known is not None and known["digest"] != head["digest"]:
            self._fork(seen, Fork("one number, two digests", known, head))
        elif newest and head["boot"] > newest["boot"] and number <= newest["number"]:
            self._fork(seen, Fork("a later boot with an earlier end", newest, head))
        elif newest and head["boot"] < newest["boot"] and number > newest["number"]:
            self._fork(seen, Fork("an earlier boot with a later end", newest, head))
        elif seen.ledger != FORKED:
            seen.ledger = CONSISTENT
        _remember(seen.heads, number, head, REMEMBERED)
        if not newest or number > newest["number"]:
            seen.head = head

    def _fork(self, seen: Seen, fork: Fork) -> None:
        """Stays: what was signed can't be unsaid."""
        if seen.ledger != FORKED:
            seen.ledger, seen.fork = FORKED, fork
            self._forked(seen)

    def _reject(self, reason: str) -> Seen | None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        return None


def _is_signed(seen: Seen, head: dict[str, Any]) -> bool:
    return seen.key is not None and head.get("device") == seen.device and is_signed(seen.key, head)


def _remember(kept: OrderedDict[Any, Any], name: Any, value: Any, limit: int) -> None:
    kept[name] = value
    while len(kept) > limit:
        kept.popitem(last=False)
