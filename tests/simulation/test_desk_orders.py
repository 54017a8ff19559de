"""Orders to the desk's worker: who may order what, who agrees, who gets the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from test_desk_answers import Browser, Site, viewing_pem

from bwv_device.custody.disclosure import render_order
from bwv_device.custody.disclosure.render_order import read_approval, read_order, require_now
from bwv_device.desk.worker import Custody, Worker
from bwv_device.errors import CustodyError
from bwv_device.formats import statement
from bwv_device.formats.grammar.purposes import RENDER_APPROVAL, RENDER_ORDER
from hal.ports import SECOND_NS
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.custody_workers import role
from sim.world.test_keys import BenchAgency

BOX = {"from_s": 0.0, "to_s": 1.0, "x": 0, "y": 0, "width": 10, "height": 10}
COVERED = {"method": "pixelate", "boxes": [BOX], "mute": []}
PLAN: dict[str, Any] = {
    "recipient": "the court", "request": "", "from_s": None, "to_s": None, "with_original": False,
    "redaction": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def site(agency: BenchAgency, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(agency, results=tmp_path_factory.mktemp("results"))


def order_of(
    site: Site,
    name: str,
    role_name: str,
    plan: Mapping[str, Any] | str = PLAN,
    what: str = "disclose",
    **other: Any,
) -> bytes:
    device, _, recording = site.recording.partition("/")
    text = plan if isinstance(plan, str) else json.dumps(plan)
    fields = {
        "store": site.day.custodian.index.store_id or store_of(site), "device": device,
        "recording": recording, "what": what, "plan": text, "reason": "case 1",
        "key": viewing_pem(site.agency, name).decode(), "nonce": "0" * 32,
        "utc_ns": site.day.custody.clock.utc().utc_ns, **other,
    }  # fmt: skip
    return statement.make(role(site.agency, name, role_name), RENDER_ORDER, fields)


def store_of(site: Site) -> str:
    session = site.day.custodian
    session.index.catch_up()
    return session.index.store_id


def approval_of(site: Site, name: str, role_name: str, order: bytes) -> bytes:
    digest = read_order(order, [site.agency.root]).digest
    said = {"order": digest, "utc_ns": site.day.custody.clock.utc().utc_ns}
    return statement.make(role(site.agency, name, role_name), RENDER_APPROVAL, said)


def the_worker(site: Site) -> Browser:
    browser = site.browser()
    browser.sign_in("renderer", "renderer")
    return browser


def test_an_order_goes_to_the_worker_and_its_result_to_who_ordered(site: Site) -> None:
    dora, worker = site.browser("Dora", "disclosure"), the_worker(site)
    text = order_of(site, "Dora", "disclosure").decode()
    digest = dora.http.post("/api/orders", json={"order": text}).json()["order"]
    given = worker.http.post("/api/work/next", json={}).json()
    assert given == {"order": text, "approval": ""}
    assert worker.http.post("/api/work/next", json={}).json() == {}, "it is taken"
    question = json.dumps({"message": "00", "body": ""})
    worker.http.post("/api/work/ask", json={"order": digest, "question": question})
    (mine,) = dora.http.get("/api/orders").json()["orders"]
    assert (mine["state"], mine["question"]) == ("taken", question)
    eve = site.browser("Eve", "disclosure")
    signs = {"order": digest, "question": question, "signature": "ab"}
    assert eve.http.post("/api/orders/sign", json=signs).status_code == 422
    other = {**signs, "question": "another"}
    assert dora.http.post("/api/orders/sign", json=other).status_code == 422
    assert dora.http.post("/api/orders/sign", json=signs).is_success
    answer = worker.http.get("/api/work/answer", params={"order": digest}).json()
    assert answer == {"signature": "ab"}
    made = worker.http.post("/api/work/result", params={"order": digest}, content=b"sealed")
    assert made.is_success
    assert dora.http.get("/api/orders/result", params={"order": digest}).content == b"sealed"
    assert eve.http.get("/api/orders/result", params={"order": digest}).status_code == 422
    done = {"order": digest, "told": "Done.", "state": "done"}
    assert worker.http.post("/api/work/told", json=done).is_success
    again = worker.http.post("/api/work/result", params={"order": digest}, content=b"other")
    assert again.status_code == 404, "what is done stays"


def test_a_worker_does_nothing_else_and_nobody_else_works(site: Site) -> None:
    worker, ada = the_worker(site), site.browser("Ada")
    for path in ("inbox", "search", "recording", "ledger", "sealed/a/b", "orders"):
        assert worker.http.get(f"/api/{path}").status_code == 403, path
    draft = worker.draft("review", recording=site.recording, words="x")
    assert draft.status_code == 422
    for path in ("next", "told", "ask", "result"):
        assert ada.http.post(f"/api/work/{path}", json={}).status_code == 403, path


def test_what_is_covered_waits_for_another_person(site: Site) -> None:
    dora, worker = site.browser("Dora", "disclosure"), the_worker(site)
    order = order_of(site, "Dora", "disclosure", {**PLAN, "redaction": COVERED}, nonce="1" * 32)
    digest = dora.http.post("/api/orders", json={"order": order.decode()}).json()["order"]
    assert worker.http.post("/api/work/next", json={}).json() == {}
    own = approval_of(site, "Dora", "disclosure", order).decode()
    answer = dora.http.post("/api/orders/approve", json={"order": digest, "approval": own})
    assert "Somebody else must look at it" in answer.text
    auditor = approval_of(site, "Ali", "auditor", order).decode()
    ali = site.browser("Ali", "auditor")
    answer = ali.http.post("/api/orders/approve", json={"order": digest, "approval": auditor})
    assert answer.status_code == 422
    rob = site.browser("Rob", "reviewer")
    assert [one["digest"] for one in rob.http.get("/api/orders").json()["approvals"]] == [digest]
    approval = approval_of(site, "Rob", "reviewer", order).decode()
    given = {"order": digest, "approval": approval}
    assert rob.http.post("/api/orders/approve", json=given).is_success
    taken = worker.http.post("/api/work/next", json={}).json()
    assert taken == {"order": order.decode(), "approval": approval}


@pytest.mark.parametrize(
    ("name", "role_name", "other", "says"),
    [
        ("Ada", "custodian", {}, "may not order that"),
        ("Ali", "auditor", {}, "may not say this"),
        ("Dora", "disclosure", {"plan": "{}"}, "lacks something"),
        ("Dora", "disclosure", {"plan": "["}, "can't be used"),
        ("Dora", "disclosure", {"plan": json.dumps({**PLAN, "more": 1})}, "says more"),
        ("Dora", "disclosure", {"plan": json.dumps({**PLAN, "recipient": " "})}, "to whom"),
        ("Dora", "disclosure", {"plan": json.dumps({**PLAN, "from_s": "1"})}, "lacks something"),
        ("Dora", "disclosure", {"plan": json.dumps({**PLAN, "redaction": {}})}, "can't be used"),
        ("Dora", "disclosure", {"what": "erase"}, "what"),
        ("Dora", "disclosure", {"extra": 1}, "extra"),
    ],
)
def test_an_order_that_is_none(
    site: Site, name: str, role_name: str, other: dict[str, Any], says: str
) -> None:
    data = order_of(site, name, role_name, **other)
    with pytest.raises(CustodyError, match=says):
        read_order(data, [site.agency.root])


def test_an_order_for_anothers_key_and_of_another_agency(site: Site) -> None:
    key = viewing_pem(site.agency, "Eve").decode()
    with pytest.raises(CustodyError, match="another person"):
        read_order(order_of(site, "Dora", "disclosure", key=key), [site.agency.root])
    with pytest.raises(CustodyError, match="another agency"):
        read_order(order_of(site, "Dora", "disclosure"), [BenchAgency("other").root])


def test_an_order_is_of_this_store_and_time(site: Site) -> None:
    order = read_order(order_of(site, "Dora", "disclosure"), [site.agency.root])
    now_ns, store = order.value.utc_ns, order.value.store
    require_now(order, store, now_ns + 14 * 60 * SECOND_NS, None, approved=False)
    require_now(order, store, now_ns + 23 * 3600 * SECOND_NS, None, approved=True)
    with pytest.raises(CustodyError, match="too old"):
        require_now(order, store, now_ns + 16 * 60 * SECOND_NS, None, approved=False)
    with pytest.raises(CustodyError, match="another store"):
        require_now(order, "f" * 32, now_ns, None, approved=False)
    later_ns = now_ns + 30 * 365 * 86_400 * SECOND_NS
    late = read_order(order_of(site, "Dora", "disclosure", utc_ns=later_ns), [site.agency.root])
    with pytest.raises(CustodyError, match="ended on"):
        require_now(late, store, later_ns, None, approved=False)


def test_an_approval_is_for_one_order(site: Site) -> None:
    covered = {**PLAN, "redaction": COVERED}
    one = order_of(site, "Dora", "disclosure", covered, nonce="2" * 32)
    two = order_of(site, "Dora", "disclosure", covered, nonce="3" * 32)
    approval = approval_of(site, "Rob", "reviewer", one)
    roots = [site.agency.root]
    assert read_approval(approval, read_order(one, roots), roots) == "Rob"
    with pytest.raises(CustodyError, match="another order"):
        read_approval(approval, read_order(two, roots), roots)
    assert render_order.needs_approval(read_order(one, roots))
    assert not render_order.needs_approval(read_order(order_of(site, "Dora", "disclosure"), roots))


class DeskThatGives:
    """A desk that gives a worker whatever it likes."""

    def __init__(self, order: bytes, approval: bytes = b"") -> None:
        self.given = {"order": order.decode(), "approval": approval.decode()}
        self.told: list[Mapping[str, str]] = []

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return {"signature": ""}

    def post(self, path: str, said: Mapping[str, str]) -> dict[str, Any]:
        if path.endswith("next"):
            return self.given
        self.told.append(said)
        return {}

    def upload(self, path: str, file: Path, **query: str) -> None:
        raise AssertionError("nothing is made")


def test_a_worker_takes_no_desks_word(site: Site, tmp_path: Path) -> None:
    """The desk can hand it anything: it opens nothing that a person has not ordered."""
    roots = [site.agency.root]

    def opens() -> Any:
        raise AssertionError("it looks for keys")

    own = site.day.custody.session("renderer", "renderer")
    custody = Custody(own, lambda pem, ask: own, opens, roots, b"", None, lambda: lambda: False)
    covered = order_of(site, "Dora", "disclosure", {**PLAN, "redaction": COVERED}, nonce="4" * 32)
    good = order_of(site, "Dora", "disclosure")
    for order, approval, says in (
        (b"nonsense\n", b"", "no certificate that can be read"),
        (order_of(site, "Ada", "custodian"), b"", "may not order"),
        (covered, b"", "No second person"),
        (covered, approval_of(site, "Dora", "disclosure", covered), "Somebody else"),
        (good.replace(b"case 1", b"case 2"), b"", "not signed by the key"),
        (order_of(site, "Dora", "disclosure", store="f" * 32), b"", "another store"),
        (order_of(site, "Dora", "disclosure", utc_ns=0), b"", "too old"),
    ):
        desk = DeskThatGives(order, approval)
        worker = Worker(desk, custody, SeededEntropy("worker"), tmp_path, lambda seconds: None)
        assert says in worker.once()
        assert desk.told[-1]["state"] == "failed"
