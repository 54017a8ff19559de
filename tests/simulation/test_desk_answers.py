"""The desk over HTTP, without a browser: what it refuses, whoever asks."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.testclient import TestClient
from support.custody_day import Day

from bwv_device import keys
from bwv_device.custody.requests.law import Figures
from bwv_device.custody.retention_dates import Retention
from bwv_device.desk import page
from bwv_device.desk.application import DeskApplication, Served
from bwv_device.desk.desk import Agency, EvidenceDesk
from bwv_device.desk.orders import Orders
from bwv_device.desk.sign_in import Origin
from bwv_device.desk.state import DeskState, Lifetimes
from bwv_device.formats import age, canonical_json, signature, statement
from bwv_device.formats.enrolment_request import read_request
from bwv_device.formats.grammar.purposes import ENROLMENT, SIGN_IN
from bwv_device.formats.statement import StatementError
from hal.keystore import SoftwareIdentity
from hal.ports import SECOND_NS
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.world.custody_workers import LONDON, role
from sim.world.test_keys import FOUNDED, BenchAgency

HERE = "http://localhost:7400"
ELSEWHERE = "https://desk-code.example"


class Site:
    """A day's footage in a store, and the desk in front of it."""

    def __init__(
        self, agency: BenchAgency, *, key_alone: bool = True, results: Path = Path("results")
    ) -> None:
        self.day = Day(agency)
        clock = self.day.custody.clock
        entropy = SeededEntropy("desk")
        about = Agency(
            [agency.root], agency.files[keys.ROOT].decode(),
            Retention(LONDON, categories={"evidence": 365}), Figures(), "Europe/London",
        )  # fmt: skip
        desk = EvidenceDesk(self.day.custody.store, clock, entropy, about, None)
        self.state = DeskState(None, clock, entropy, Lifetimes())
        served = Served(
            Origin(HERE, "localhost", "the bench"), ("localhost",), HERE, False, key_alone
        )
        self.application = DeskApplication(desk, self.state, Orders(None, results, clock), served)
        self.agency = agency
        self.recording = self.day.names()[0]

    def browser(self, name: str = "", role_name: str = "custodian") -> Browser:
        browser = Browser(self)
        if name:
            browser.sign_in(name, role_name)
        return browser

    @property
    def lines(self) -> int:
        index = self.day.custodian.index
        return index.catch_up().head.number


class Browser:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.http = TestClient(site.application.app(), HERE, headers={"Origin": HERE})
        self.key: SoftwareIdentity | None = None

    def sign_in(self, name: str, role_name: str) -> None:
        self.key = role(self.site.agency, name, role_name)
        viewing = viewing_pem(self.site.agency, name)
        answer = self.by_key(self.key, self.key.certificate_pem + viewing)
        assert answer.status_code == 200, answer.text

    def by_key(self, key: SoftwareIdentity, pem: bytes, **other: Any) -> Any:
        challenge = self.http.get("/api/sign-in/key").json()["challenge"]
        fields = {"purpose": SIGN_IN, "by": fingerprint(key), "challenge": challenge,
                  "origin": HERE, **other}  # fmt: skip
        given = {"certificates": pem.decode(), "signed": signed(key, canonical_json.encode(fields))}
        return self.http.post("/api/sign-in/key", json=given)

    def draft(self, act: str, **arguments: Any) -> Any:
        assert self.key is not None
        return self.http.post("/api/acts", json=self.asked(act, arguments))

    def asked(self, act: str, arguments: dict[str, Any]) -> dict[str, Any]:
        assert self.key is not None
        return {"act": act, "arguments": arguments, "certificate": fingerprint(self.key)}

    def signs(self, act: str, draft: dict[str, str], **arguments: Any) -> Any:
        assert self.key is not None
        line = signed(self.key, draft["line"].encode())
        given = {**self.asked(act, arguments), "signed": line, "body": draft["body"]}
        return self.http.post("/api/acts", json=given)

    def does(self, act: str, **arguments: Any) -> Any:
        answer = self.draft(act, **arguments)
        assert answer.status_code == 202, answer.text
        return self.signs(act, answer.json(), **arguments)


def fingerprint(key: SoftwareIdentity) -> str:
    return statement.fingerprint(statement.chain_of(key.certificate_pem)[0])


def signed(key: SoftwareIdentity, text: bytes) -> str:
    return text.decode() + "\t" + signature.from_der(key.sign(text)).hex()


def viewing_pem(agency: BenchAgency, name: str) -> bytes:
    entropy = SeededEntropy(f"viewing {name}")
    (content,) = keys.viewing_files(agency.files, name, entropy, FOUNDED).values()
    rows = [line[2:] for line in content.decode().splitlines() if line.startswith("# ")]
    begin = next(n for n, line in enumerate(rows) if line.startswith("-----BEGIN"))
    return ("\n".join(rows[begin:]) + "\n").encode()


@pytest.fixture(scope="module")
def site(agency: BenchAgency) -> Site:
    return Site(agency)


@pytest.fixture
def ada(site: Site) -> Browser:
    return site.browser("Ada")


def test_an_act_is_drafted_signed_and_written(site: Site, ada: Browser) -> None:
    before = site.lines
    answer = ada.draft("hold", recording=site.recording, reason="evidence", case="1/26")
    assert answer.status_code == 202
    assert site.lines == before, "a draft writes nothing"
    line = json.loads(answer.json()["line"])
    assert (line["kind"], line["n"]) == ("hold", before + 1)
    assert hashlib.sha256(answer.json()["body"].encode()).hexdigest() == line["body"]
    done = ada.signs(
        "hold", answer.json(), recording=site.recording, reason="evidence", case="1/26"
    )
    assert (done.status_code, done.json()) == (200, {"line": before + 1})
    (hold,) = site.day.custodian.held(site.recording)
    assert (hold["reason"], hold["case_"]) == ("evidence", "1/26")
    index = site.day.custodian.index
    index.catch_up()
    (written,) = index.lines("n = ?", before + 1)
    assert (written["name"], written["role"]) == ("Ada", "custodian")


def test_a_draft_of_an_old_place_is_drafted_anew(site: Site, ada: Browser) -> None:
    given = {"recording": site.recording, "words": "a street"}
    old = ada.draft("review", **given).json()
    site.browser("Rob", "reviewer").does("review", recording=site.recording, words="faster")
    again = ada.signs("review", old, **given)
    assert again.status_code == 202
    assert json.loads(again.json()["line"])["n"] == json.loads(old["line"])["n"] + 1
    assert ada.signs("review", again.json(), **given).status_code == 200
    # What was written can't be written again: its place is taken.
    before = site.lines
    assert ada.signs("review", again.json(), **given).status_code == 202
    assert site.lines == before


FORGERIES = {
    "no signature": lambda line, key: line,
    "another's signature": lambda line, key: signed(key, line.encode()),
    "cut": lambda line, key: line[:-3] + "\t" + "0" * 128,
    "zeros": lambda line, key: line + "\t" + "0" * 128,
}


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_act_writes_nothing(site: Site, ada: Browser, how: str) -> None:
    draft = ada.draft("review", recording=site.recording, words="x").json()
    before, objects = site.lines, len(site.day.custody.store.objects)
    other = role(site.agency, "Eve", "custodian")
    line = FORGERIES[how](draft["line"], other)
    given = {**ada.asked("review", {"recording": site.recording, "words": "x"}),
             "signed": line, "body": draft["body"]}  # fmt: skip
    answer = ada.http.post("/api/acts", json=given)
    assert answer.status_code in (202, 422)
    assert site.lines == before
    assert len(site.day.custody.store.objects) == objects


def test_a_signature_for_one_act_is_not_taken_for_another(site: Site, ada: Browser) -> None:
    draft = ada.draft("review", recording=site.recording, words="x").json()
    before = site.lines
    answer = ada.signs("hold", draft, recording=site.recording, reason="x", case="")
    assert answer.status_code == 202
    assert json.loads(answer.json()["line"])["kind"] == "hold"
    assert site.lines == before


def test_a_draft_is_good_for_ten_minutes(site: Site, ada: Browser) -> None:
    given = {"recording": site.recording, "words": "late"}
    draft = ada.draft("review", **given).json()
    site.day.custody.clock.ahead_ns += 11 * 60 * SECOND_NS
    before = site.lines
    assert ada.signs("review", draft, **given).status_code == 202
    assert site.lines == before


def test_powers_are_those_of_the_command_line(site: Site) -> None:
    auditor = site.browser("Ali", "auditor")
    answer = auditor.draft("hold", recording=site.recording, reason="x", case="")
    assert answer.status_code == 422
    assert "this needs custodian" in answer.text
    ada, rob = site.browser("Ada"), site.browser("Rob", "reviewer")
    ada.does("hold", recording=site.recording, reason="two persons", case="")
    hold = site.day.custodian.held(site.recording)[-1]["n"]
    ada.does("propose-release", hold=hold, reason="over")
    alone = ada.draft("approve-release", hold=hold)
    assert alone.status_code == 422
    assert "Somebody else must approve it" in alone.text
    assert rob.does("approve-release", hold=hold).status_code == 200


def test_what_is_no_act_is_refused(site: Site, ada: Browser) -> None:
    for act, arguments in (
        ("erase", {"recording": site.recording}),
        ("hold", {"recording": site.recording}),
        ("hold", {"recording": site.recording, "reason": 5, "case": ""}),
        ("approve-release", {"hold": "12"}),
        ("approve-release", {"hold": 2**80}),
        ("review", {"recording": site.recording, "words": "x" * 20_000}),
        ("review", {"recording": "no/such", "words": "x"}),
    ):
        assert ada.draft(act, **arguments).status_code == 422, act
    for raw in (b"", b"[]", b"{", b'{"act": 1}', b"[" * 100_000, b"\xff\xfe"):
        answer = ada.http.post("/api/acts", content=raw)
        assert answer.status_code in (400, 422), raw


def test_nobody_reads_without_signing_in(site: Site) -> None:
    stranger = site.browser()
    for path in ("inbox", "search", "recording", "case", "requests", "request", "cameras", "looks",
                 "camera-lines", "ledger", "body", "checkpoint", "sealed/a/b", "forms",
                 "sessions"):  # fmt: skip
        assert stranger.http.get(f"/api/{path}").status_code == 401, path
    for path in ("acts", "view", "sign-out", "sessions/end", "passkeys"):
        assert stranger.http.post(f"/api/{path}", json={}).status_code == 401, path


def test_a_certified_key_alone_registers_a_passkey_and_reads_nothing(agency: BenchAgency) -> None:
    site = Site(agency, key_alone=False)
    ada = site.browser("Ada")
    assert ada.http.get("/api/inbox").status_code == 403
    assert ada.http.get("/api/passkeys").json()["user"]["name"] == "Ada"
    answer = ada.http.post("/api/passkeys", json={"id": "x", "response": {}})
    assert answer.status_code == 422
    assert ada.http.post("/api/sign-in/passkey", json={"id": "x"}).status_code == 422


@pytest.mark.parametrize("wrong", ["purpose", "origin", "challenge", "by", "key", "two persons"])
def test_a_sign_in_that_does_not_hold(site: Site, wrong: str) -> None:
    browser, key = site.browser(), role(site.agency, "Ada", "custodian")
    pem, other = key.certificate_pem + viewing_pem(site.agency, "Ada"), {}
    if wrong in ("purpose", "origin"):
        other = {wrong: "something else"}
    elif wrong == "challenge":
        other = {"challenge": "0" * 64}
    elif wrong == "by":
        other = {"by": "0" * 64}
    elif wrong == "key":
        pem = role(site.agency, "Eve", "custodian").certificate_pem + viewing_pem(
            site.agency, "Eve"
        )
    else:
        pem = key.certificate_pem + viewing_pem(site.agency, "Eve")
    answer = browser.by_key(key, pem, **other)
    assert answer.status_code == 422, answer.text
    assert "set-cookie" not in answer.headers


def test_a_challenge_is_good_once(site: Site) -> None:
    browser, key = site.browser(), role(site.agency, "Ada", "custodian")
    challenge = browser.http.get("/api/sign-in/key").json()["challenge"]
    pem = (key.certificate_pem + viewing_pem(site.agency, "Ada")).decode()
    fields = {"purpose": SIGN_IN, "by": fingerprint(key), "challenge": challenge, "origin": HERE}
    given = {"certificates": pem, "signed": signed(key, canonical_json.encode(fields))}
    assert browser.http.post("/api/sign-in/key", json=given).status_code == 200
    assert browser.http.post("/api/sign-in/key", json=given).status_code == 422


def test_machines_have_no_desk(site: Site) -> None:
    key = role(site.agency, "intake", "intake")
    answer = site.browser().by_key(key, key.certificate_pem + viewing_pem(site.agency, "intake"))
    assert answer.status_code == 422
    assert "has no desk" in answer.text


def test_who_tries_too_often_waits(agency: BenchAgency) -> None:
    site = Site(agency)
    browser, key = site.browser(), role(site.agency, "Ada", "custodian")
    for _ in range(20):
        browser.by_key(key, b"-----BEGIN CERTIFICATE-----\n")
    answer = browser.by_key(key, key.certificate_pem + viewing_pem(site.agency, "Ada"))
    assert "Too many attempts" in answer.text
    site.day.custody.clock.ahead_ns += 901 * SECOND_NS
    assert browser.by_key(key, key.certificate_pem + viewing_pem(site.agency, "Ada")).is_success


def test_a_session_is_short_and_can_be_ended(agency: BenchAgency) -> None:
    site = Site(agency)
    one, two = site.browser("Ada"), site.browser("Ada")
    rows = one.http.get("/api/sessions").json()["sessions"]
    (other,) = [row["id"] for row in rows if not row["this"]]
    assert one.http.post("/api/sessions/end", json={"id": other}).is_success
    assert two.http.get("/api/inbox").status_code == 401
    eve = site.browser("Eve")
    (mine,) = [row["id"] for row in rows if row["this"]]
    eve.http.post("/api/sessions/end", json={"id": mine})
    assert one.http.get("/api/inbox").is_success, "nobody ends another's session"
    site.day.custody.clock.ahead_ns += 901 * SECOND_NS
    assert one.http.get("/api/inbox").status_code == 401


def test_another_site_can_neither_act_nor_read(site: Site, ada: Browser) -> None:
    given = ada.asked("review", {"recording": site.recording, "words": "x"})
    for origin in (ELSEWHERE, "null", ""):
        answer = ada.http.post("/api/acts", json=given, headers={"Origin": origin})
        assert answer.status_code == 403, origin
    answer = ada.http.get("/api/inbox", headers={"Origin": ELSEWHERE})
    assert "access-control-allow-origin" not in answer.headers
    assert ada.http.get("/api/inbox", headers={"Host": "evil.example"}).status_code == 421


def test_the_page_runs_its_own_code_alone(site: Site) -> None:
    answer = site.browser().http.get("/")
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
                 f"connect-src {HERE}"):  # fmt: skip
        assert rule in policy
    assert "unsafe" not in policy
    for name in ("desk.js", "desk.css"):
        data = site.browser().http.get(f"/{name}").content
        assert statement_integrity(data) in answer.text


def statement_integrity(data: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode()


def test_the_ledger_and_the_footage_come_as_they_lie_in_the_store(site: Site, ada: Browser) -> None:
    said = ada.http.get("/api/ledger", params={"from": "1"}).json()
    assert said["head"] == site.lines
    store = site.day.custody.store
    first = store.objects["custody/ledger/000/000/000/001"]
    assert said["lines"][0].encode() == first
    file = ada.http.get("/api/recording", params={"id": site.recording}).json()["files"][0]
    device = site.recording.partition("/")[0]
    sealed = ada.http.get(f"/api/sealed/{device}/{file['segment']}").content
    assert hashlib.sha256(sealed).hexdigest() == file["sha256"]
    assert ada.http.get(f"/api/sealed/{device}/none").status_code == 422


def test_an_enrolment_request_is_read_strictly() -> None:
    key = signature.private_key(b"k" * 48)
    viewing = age.X25519Identity(b"v" * 32).recipient().public.hex()
    fields = {"purpose": ENROLMENT, "viewing_key": viewing, "utc_ns": 1,
              "signing_key": signature.public_bytes(key.public_key()).hex()}  # fmt: skip

    def made(said: dict[str, Any]) -> bytes:
        text = canonical_json.encode(said)
        return text + b"\t" + signature.sign(key, text).hex().encode() + b"\n"

    request = read_request(made(fields))
    assert request.viewing.public_bytes_raw().hex() == viewing
    assert len(request.fingerprint.replace(" ", "")) == 20
    good = made(fields)
    for bad in (
        good[:-1], good + b"x", good.replace(b"\t", b" \t"), b"", b"\n", good * 40,
        made(fields | {"more": 1}), made(fields | {"purpose": "bwv docking v2"}),
        made(fields | {"viewing_key": "00"}), made(fields | {"signing_key": "04" + "00" * 64}),
        made({k: v for k, v in fields.items() if k != "utc_ns"}),
        good.replace(viewing[:8].encode(), b"00000000"),
    ):  # fmt: skip
        with pytest.raises(StatementError):
            read_request(bad)


def test_both_keys_of_a_request_are_certified_for_one_person(
    agency: BenchAgency, tmp_path: Any
) -> None:
    key = signature.private_key(b"k" * 48)
    viewing = age.X25519Identity(b"v" * 32).recipient().public
    fields = {"purpose": ENROLMENT, "viewing_key": viewing.hex(), "utc_ns": 1,
              "signing_key": signature.public_bytes(key.public_key()).hex()}  # fmt: skip
    text = canonical_json.encode(fields)
    request = read_request(text + b"\t" + signature.sign(key, text).hex().encode() + b"\n")
    for name, data in agency.files.items():
        (tmp_path / name).write_bytes(data)
    path = keys.certify_person(
        tmp_path, tmp_path / "out", "Ada", "custodian", request, SeededEntropy("x"), FOUNDED,
        person="4711",
    )  # fmt: skip
    chain = statement.chain_of(path.read_bytes())
    assert statement.role_of(chain[:2], [agency.root]) == ("Ada", "custodian")
    viewer = statement.viewer_of(chain[2:], [agency.root])
    assert viewer == ("4711", viewing)
    public = chain[2].public_key()
    assert isinstance(public, x25519.X25519PublicKey)
    assert chain[1].public_bytes(Encoding.PEM) == chain[3].public_bytes(Encoding.PEM)


def test_a_service_without_web_sockets_needs_no_library_for_them() -> None:
    """The live panel's library is not among what custody installs."""
    code = (
        "import sys; sys.modules['websockets'] = None; from bwv_device.web import serve; "
        "from starlette.applications import Starlette; serve.server(Starlette()).config.load()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_browsers_run_is_what_its_source_makes(tmp_path: Path) -> None:
    here = Path(__file__).parents[2]
    subprocess.run(
        ["sh", here / "scripts/build-desk-page", tmp_path], check=True, capture_output=True
    )
    for name in page.BUILT:
        built = (here / "bwv_device/desk/page" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == built, "run scripts/build-desk-page"


def test_the_digest_of_the_code_is_that_of_its_files(agency: BenchAgency) -> None:
    """As anybody would make it with `sha256sum * | sha256sum`."""
    files = page.files(agency.files[keys.ROOT].decode(), "https://desk.example")
    rows = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    assert page.digest(files) == hashlib.sha256("".join(rows).encode()).hexdigest()
    assert b"https://desk.example" in files["index.html"]
