"""What a person orders from a worker, and a second one's agreement (docs/format.md, 12.4)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography import x509

from bwv_device.custody.disclosure.redaction_plan import parse_redaction
from bwv_device.custody.disclosure.request import DisclosureRequest
from bwv_device.custody.key_desk.view_request import APPROVED_NS, FRESH_NS, digest_of
from bwv_device.custody.ledger.signers import why_not_valid
from bwv_device.custody.permissions import CUSTODIAN, DISCLOSURE, REVIEWER
from bwv_device.errors import CustodyError
from bwv_device.formats import statement
from bwv_device.formats.grammar.statements import RenderApproval, RenderOrder
from bwv_device.formats.statement import StatementError, Viewer
from bwv_device.verification.trust_list import Trust

PROPOSE, DISCLOSE = "propose", "disclose"
# Who may order what; a package is signed by whoever orders it.
MAY_ORDER = {PROPOSE: (CUSTODIAN, REVIEWER, DISCLOSURE), DISCLOSE: (DISCLOSURE,)}
APPROVERS = (CUSTODIAN, REVIEWER, DISCLOSURE)
TIME = (int, float, type(None))
PLAN: dict[str, tuple[type, ...]] = {
    "recipient": (str,),
    "request": (str,),
    "from_s": TIME,
    "to_s": TIME,
    "with_original": (bool,),
    "redaction": (dict, type(None)),
}


class Order(NamedTuple):
    """Read and checked. `wish` is None for a proposal; `confirmed_by` a second person's name."""

    value: RenderOrder
    digest: str
    person: str
    name: str
    certificate_pem: bytes
    viewer: Viewer
    wish: DisclosureRequest | None

    @property
    def recording(self) -> str:
        return f"{self.value.device}/{self.value.recording}"


def read_order(data: bytes, roots: Sequence[x509.Certificate]) -> Order:
    """Raises `CustodyError`. Whether it is of this time and store is `require_now`'s."""
    try:
        said = statement.of_role(data, RenderOrder, APPROVERS, roots)
        role = statement.role_of(said.chain)
        if role.role not in MAY_ORDER[said.value.what]:
            raise StatementError(f"is signed by a {role.role}, who may not order that")
        viewer = statement.viewer_of(statement.chain_of(said.value.key.encode("ascii")), roots)
        person = statement.person_of(said.chain[0])
        if viewer.person != person:
            raise StatementError("is for a key that is certified for another person")
    except StatementError as error:
        raise CustodyError(f"The order {error}.", "Order it again.") from None
    wish = _wish(said.value) if said.value.what == DISCLOSE else None
    return Order(
        said.value, digest_of(data), person, role.name, said.certificate.encode("ascii"), viewer,
        wish,
    )  # fmt: skip


def _wish(value: RenderOrder) -> DisclosureRequest:
    try:
        plan: dict[str, Any] = json.loads(value.plan)
        if set(plan) != set(PLAN) or not all(
            type(plan[name]) in kinds for name, kinds in PLAN.items()
        ):
            raise ValueError("it lacks something, or says more")
        redaction = parse_redaction(plan["redaction"]) if plan["redaction"] is not None else None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CustodyError(f"The plan can't be used: {error}.", "Make it again.") from None
    if not plan["recipient"].strip() or not value.reason.strip():
        raise CustodyError("Nobody is named to whom it goes, or why.", "Say both.")
    return DisclosureRequest(
        f"{value.device}/{value.recording}", plan["recipient"], value.reason, plan["request"],
        plan["from_s"], plan["to_s"], redaction, "", plan["with_original"],
    )  # fmt: skip


def needs_approval(order: Order) -> bool:
    """What is covered was looked at by two persons."""
    return order.wish is not None and order.wish.redaction is not None


def read_approval(data: bytes, order: Order, roots: Sequence[x509.Certificate]) -> str:
    """The name of the second person. Raises `CustodyError`."""
    try:
        said = statement.of_role(data, RenderApproval, APPROVERS, roots)
    except StatementError as error:
        raise CustodyError(f"The approval {error}.", "Approve it again.") from None
    if said.value.order != order.digest:
        raise CustodyError("The approval is for another order.", "Approve this one.")
    if statement.person_of(said.chain[0]) == order.person:
        raise CustodyError("Who ordered it approves it.", "Somebody else must look at it.")
    return statement.role_of(said.chain).name


def require_now(
    order: Order, store: str, now_ns: int, trust: Trust | None, *, approved: bool
) -> None:
    """Raises `CustodyError` for an order of another store or time, or by a key that ended."""
    if order.value.store != store:
        raise CustodyError("The order is for another store.", "Order it from that store's desk.")
    age_ns = now_ns - order.value.utc_ns
    if not -FRESH_NS <= age_ns <= (APPROVED_NS if approved else FRESH_NS):
        raise CustodyError("The order is too old, or dated ahead.", "Order it again.")
    for pem in (order.certificate_pem, order.value.key.encode("ascii")):
        if why := why_not_valid(statement.chain_of(pem), trust, now_ns):
            raise CustodyError(f"A certificate of {order.name} {why}.", "Enrol anew.")
