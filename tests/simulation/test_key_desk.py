"""No look without a line: what the key desk gives, to whom, and what stands in the ledger then."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.custody_day import DAY_NS, Day, lines
from support.write_anyway import write_anyway

from bwv_device.custody.key_desk import cases
from bwv_device.custody.key_desk.consultations import consultations
from bwv_device.custody.key_desk.key_desk import Answer, KeyDesk
from bwv_device.custody.key_desk.looking import AgencyKeys, DeskKeys, ViewingKey
from bwv_device.custody.key_desk.open_recording import open_recording
from bwv_device.custody.key_desk.view_request import make_approval, make_request, read_request
from bwv_device.custody.key_desk.viewing_policy import VIEWERS, ViewingPolicy
from bwv_device.custody.retention import holds
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.custody.search import categorize
from bwv_device.custody.session import CustodySession
from bwv_device.errors import CustodyError, SealedFileError
from bwv_device.formats import age, statement
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.grammar.statements import Grant
from bwv_device.keys import load_viewing_key, viewing_files
from hal.ports import SECOND_NS
from hal.simulated.disk import TEARS
from hal.simulated.power_dock_and_place import SeededEntropy
from sim.sweeps.key_desk_cuts import KeyDeskSweep
from sim.world.test_keys import FOUNDED, BenchAgency

MINUTE_NS = 60 * SECOND_NS
NONCES = count(1)


# What everybody who may write into the store, or owns it, could try.
def no_header(it: Looked, why: str) -> None:
    with pytest.raises(CustodyError, match=why):
        it.desk().answer(it.request())
    assert it.views() == []


class Looked(NamedTuple):
    """Two recordings in a store, and the people around it."""

    day: Day

    @property
    def names(self) -> list[str]:
        return self.day.names()

    def person(self, name: str = "Ada", role: str = "custodian") -> CustodySession:
        session = self.day.desk(name, role)
        session.index.catch_up()
        return session

    def key(self, name: str = "Ada", agency: BenchAgency | None = None) -> ViewingKey:
        made = viewing_files((agency or self.day.agency).files, name, SeededEntropy(name), FOUNDED)
        lines_ = next(iter(made.values())).decode().splitlines()
        pem = "".join(f"{line[2:]}\n" for line in lines_[1:-1]).encode()
        identity = age.parse_identity(lines_[-1])
        assert isinstance(identity, age.X25519Identity)
        return ViewingKey(identity, pem)

    def segments(self, recording: str) -> list[str]:
        rows = self.person().index.rows("SELECT segment FROM files WHERE recording = ?", recording)
        return [row["segment"] for row in rows]

    def sealed(self, recording: str, segment: str) -> bytes:
        (row,) = self.person().index.rows(
            "SELECT key FROM files WHERE segment = ? AND recording = ?", segment, recording
        )
        return self.day.custody.store.objects[row["key"]]

    def desk(
        self, policy: ViewingPolicy | None = None, alarmed: Any = lambda said: None
    ) -> KeyDesk:
        session = self.day.desk("key desk", "keydesk")
        identities = self.day.agency.identities
        return KeyDesk(
            session, [self.day.agency.root], identities, policy or ViewingPolicy(), alarmed
        )

    def request(self, name: str = "Ada", role: str = "custodian", **other: Any) -> bytes:
        session = self.person(name, role)
        recording = other.pop("recording", "") or self.names[0]
        fields: dict[str, Any] = {
            "store": session.index.store_id,
            "recording": recording,
            "segments": self.segments(recording),
            "key_pem": self.key(name).pem,
            "reason": "a complaint about the stop",
            "case": "",
            "nonce": f"{next(NONCES):032x}",
            "utc_ns": session.now_ns(),
        }
        return make_request(session.signer, **(fields | other))

    def views(self) -> list[dict[str, Any]]:
        return lines(self.person(), "viewed")


@pytest.fixture(scope="module")
def delivered(agency: BenchAgency) -> Looked:
    return Looked(Day(agency))


@pytest.fixture
def it(delivered: Looked) -> Iterator[Looked]:
    """The store as it was after the docking."""
    store, clock = delivered.day.custody.store, delivered.day.custody.clock
    objects, ahead_ns = dict(store.objects), clock.ahead_ns
    yield delivered
    store.objects, clock.ahead_ns = objects, ahead_ns


def grant_of(answer: Answer) -> Grant:
    assert answer.grant
    return statement.of_role(answer.grant, Grant, ("keydesk",), ()).value


def opened(header: str, sealed: bytes, key: ViewingKey) -> bytes:
    rest = sealed[len(age.parse_header(sealed[: age.HEADER_LIMIT]).raw) :]
    return b"".join(Opener(io.BytesIO(header.encode() + rest), [key.identity]).chunks())


def test_a_grant_before_the_payload_opens_what_was_asked_for_and_a_line_says_so(it: Looked) -> None:
    recording = it.names[0]
    answer = it.desk().answer(it.request())
    (header,) = grant_of(answer).headers
    sealed = it.sealed(recording, header.segment)
    identity = it.day.agency.identities[0]
    assert opened(header.header, sealed, it.key()) == b"".join(
        Opener(io.BytesIO(sealed), [identity]).chunks()
    )
    (line,) = it.views()
    assert (line["n"], line["recording"]) == (answer.line, recording)
    assert (line["person"], line["acts_as"]) == ("ada", "custodian")
    assert line["segments"] == [header.segment]
    assert line["reason"] == "a complaint about the stop"


def test_nobody_opens_the_neighbour_with_a_grant(it: Looked) -> None:
    first, second = it.names
    (header,) = grant_of(it.desk().answer(it.request())).headers
    neighbour = it.sealed(second, it.segments(second)[0])
    with pytest.raises(SealedFileError):
        opened(header.header, neighbour, it.key())
    with pytest.raises(SealedFileError):
        opened(header.header, it.sealed(first, header.segment), it.key("Eve"))


def test_the_command_line_opens_a_film_through_the_desk(it: Looked, tmp_path: Path) -> None:
    session, recording = it.person(), it.names[0]
    through = DeskKeys(session, it.desk(), it.key())
    opened = open_recording(
        session, [it.day.agency.root], through, recording, tmp_path, "a complaint"
    )
    assert opened.report.ok
    assert opened.films[0].video_units > 0
    assert [view["recording"] for view in it.views()] == [recording]


def test_the_agencys_own_identity_leaves_a_line_first(it: Looked, tmp_path: Path) -> None:
    session, recording = it.person(), it.names[0]
    through = AgencyKeys(session, it.day.agency.identities)
    open_recording(session, [it.day.agency.root], through, recording, tmp_path, "the desk is down")
    (line,) = lines(session, "exported")
    assert (line["recordings"], line["person"]) == ([recording], "ada")
    (told,) = consultations(session, [it.day.agency.root], recording)
    assert (told.kind, told.reason) == ("exported", "the desk is down")


def test_the_same_request_again_is_the_same_line(it: Looked) -> None:
    request = it.request()
    first, again = it.desk().answer(request), it.desk().answer(request)
    assert first.line == again.line
    assert len(it.views()) == 1
    assert grant_of(first).headers[0].header != grant_of(again).headers[0].header


Refused = Callable[[Looked], bytes]


def other_agency() -> BenchAgency:
    return BenchAgency("another")


REFUSED: dict[str, tuple[Refused, str]] = {
    "a key of another person": (
        lambda it: it.request(key_pem=it.key("Eve").pem), "another person"),
    "a role's certificate for a key": (
        lambda it: it.request(key_pem=it.person().signer.certificate_pem), "did not certify"),
    "a key of another agency": (
        lambda it: it.request(key_pem=it.key("Ada", other_agency()).pem), "another agency"),
    "a role that may not look": (
        lambda it: it.request("retention service", "retention"), "may not say this"),
    "an old request": (
        lambda it: it.request(utc_ns=it.person().now_ns() - 16 * MINUTE_NS), "too old"),
    "one that is dated ahead": (
        lambda it: it.request(utc_ns=it.person().now_ns() + 16 * MINUTE_NS), "dated ahead"),
    "another store": (lambda it: it.request(store="0" * 32), "another store"),
    "no such recording": (
        lambda it: it.request(recording=f"{it.names[0][:-4]}0099",
                              segments=it.segments(it.names[0])), "There is no recording"),
    "a neighbour's file under one's own recording": (
        lambda it: it.request(segments=it.segments(it.names[1])), "not a file of"),
    "a file twice": (
        lambda it: it.request(segments=it.segments(it.names[0]) * 2), "one twice"),
    "no file": (lambda it: it.request(segments=[]), "names no file"),
    "no reason": (lambda it: it.request(reason=" "), "needs a reason"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_leaves_neither_key_nor_line(what: str, it: Looked) -> None:
    make, why = REFUSED[what]
    before = len(it.day.custody.store.objects)
    with pytest.raises(CustodyError, match=why):
        it.desk().answer(make(it))
    assert it.views() == []
    assert len(it.day.custody.store.objects) == before


def test_a_changed_request_is_refused(it: Looked) -> None:
    request = it.request()
    for at in range(0, request.index(b"\n"), 97):
        changed = bytearray(request)
        changed[at] ^= 1
        with pytest.raises(CustodyError):
            it.desk().answer(bytes(changed))
    assert it.views() == []


def test_what_is_hidden_or_erased_is_not_looked_at(it: Looked) -> None:
    recording = it.names[0]
    it.day.days(25)
    Expiry(it.day.retention).run()
    with pytest.raises(CustodyError, match="is hidden"):
        it.desk().answer(it.request(recording=recording))
    it.day.days(8)
    Expiry(it.day.retention).run()
    with pytest.raises(CustodyError, match="was erased"):
        it.desk().answer(it.request(recording=recording))
    assert it.views() == []


def test_a_revoked_or_ended_person_does_not_look(it: Looked) -> None:
    it.day.custody.clock.ahead_ns += 800 * DAY_NS
    with pytest.raises(CustodyError, match="ended on"):
        it.desk().answer(it.request())


def test_own_cases(it: Looked) -> None:
    policy = ViewingPolicy(own_case=["reviewer"])
    recording = it.names[0]
    with pytest.raises(CustodyError, match="their own cases only"):
        it.desk(policy).answer(it.request("Rob", "reviewer"))
    holds.place(it.person(), recording, "evidence", "12/26")
    with pytest.raises(CustodyError, match="their own cases only"):
        it.desk(policy).answer(it.request("Rob", "reviewer"))
    assert cases.put(it.person(), "12/26", "Rob", member=True)
    it.desk(policy).answer(it.request("Rob", "reviewer"))
    assert [view["outside"] for view in it.views()] == [False]
    assert it.desk(policy).answer(it.request()).grant, "a custodian may look all the same"
    assert it.views()[-1]["outside"]
    assert cases.put(it.person(), "12/26", "rob", member=False)
    with pytest.raises(CustodyError, match="their own cases only"):
        it.desk(policy).answer(it.request("Rob", "reviewer"))


def test_two_persons(it: Looked) -> None:
    policy = ViewingPolicy(two_persons=["evidence"])
    it.desk(policy).answer(it.request())
    categorize(it.person(), it.names[0], "evidence")
    request, now_ns = it.request(), it.person().now_ns()
    with pytest.raises(CustodyError, match="needs a second person"):
        it.desk(policy).answer(request)
    own = make_approval(it.person("Ada", "reviewer").signer, request, now_ns)
    with pytest.raises(CustodyError, match="the person who asks"):
        it.desk(policy).answer(request, own)
    weak = make_approval(it.person("Dora", "disclosure").signer, request, now_ns)
    with pytest.raises(CustodyError, match="may not say this"):
        it.desk(policy).answer(request, weak)
    second = make_approval(it.person("Rob", "reviewer").signer, request, now_ns)
    with pytest.raises(CustodyError, match="another request"):
        it.desk(policy).answer(it.request(), second)
    it.day.custody.clock.ahead_ns += 3 * 3600 * SECOND_NS
    it.desk(policy).answer(request, second)
    assert [view["approver"] for view in it.views()] == ["", "rob"]


def test_many_looks_outside_of_ones_cases_are_told(it: Looked) -> None:
    told: list[str] = []
    desk = it.desk(ViewingPolicy(alarm_views=3), told.append)
    for _ in range(3):
        desk.answer(it.request())
    assert told == []
    desk.answer(it.request())
    assert told == ["ada looked 4 times at 1 recordings outside their cases within 24 hours"]
    it.day.custody.clock.ahead_ns += 25 * 3600 * SECOND_NS
    desk.answer(it.request())
    assert len(told) == 1


def test_a_desk_can_speak_for_nobody_who_did_not_ask(it: Looked) -> None:
    """Whoever has its key can write a line; the request in it shows that nobody asked."""
    it.desk().answer(it.request())
    (line,) = it.views()
    fields = {
        name: line[name]
        for name in ("recording", "segments", "person", "acts_as", "key", "request", "approver",
                     "outside", "reason", "case", "statement", "approval")
    }  # fmt: skip
    desk = it.day.desk("key desk", "keydesk")
    write_anyway(desk, "viewed", fields | {"request": "0" * 64, "reason": "none of his business"})
    told = consultations(it.person(), [it.day.agency.root])
    assert [one.wrong for one in told] == ["", "the person signed another request, reason"]


def test_a_person_can_write_no_line_for_another(it: Looked) -> None:
    it.desk().answer(it.request())
    (line,) = it.views()
    fields = {
        name: line[name]
        for name in ("recording", "segments", "person", "acts_as", "key", "approver", "outside")
    }
    write_anyway(it.person("Eve", "auditor"), "viewed", fields | {"request": "1" * 64})
    assert len(it.views()) == 1
    problems = it.person().index.rows("SELECT problem FROM problems")
    assert any("another person than its signer" in row["problem"] for row in problems)


def test_a_viewing_keys_file_is_an_age_identity(it: Looked, tmp_path: Path) -> None:
    ((name, content),) = viewing_files(
        it.day.agency.files, "Ada", SeededEntropy("x"), FOUNDED
    ).items()
    path = tmp_path / name
    path.write_bytes(content)
    path.chmod(0o600)
    identity, pem = load_viewing_key(path)
    viewer = statement.viewer_of(statement.chain_of(pem), [it.day.agency.root])
    assert viewer == ("ada", identity.recipient().public)
    assert str(identity) in path.read_text()


# --- headers come from the camera's accepted ledger -----------------------------------------------


def ledger_keys(it: Looked) -> list[str]:
    return [key for key in it.day.custody.store.objects if key.startswith("ledgers/")]


def test_a_neighbours_file_under_ones_own_name_stays_shut(it: Looked) -> None:
    """Whoever may write into the store lays the neighbour's bytes at the key of a recording that
    they may see: the header is the ledger's, and opens neither."""
    mine, neighbour = it.names
    store, sealed = it.day.custody.store, it.sealed(neighbour, it.segments(neighbour)[0])
    (row,) = it.person().index.rows("SELECT key FROM files WHERE recording = ?", mine)
    store.objects[row["key"]] = sealed
    (header,) = grant_of(it.desk().answer(it.request())).headers
    with pytest.raises(SealedFileError):
        opened(header.header, sealed, it.key())


def test_a_changed_ledger_gives_no_header(it: Looked) -> None:
    store = it.day.custody.store
    whole = {key: store.objects[key] for key in ledger_keys(it)}
    store.objects |= {key: data + b"\n" for key, data in whole.items()}
    no_header(it, "gives no header: the store does not have it as it was")
    flipped = {key: data.replace(b"org/v1", b"org/v2") for key, data in whole.items()}
    assert flipped != whole
    store.objects |= flipped
    no_header(it, "does not lead to what custody accepted")
    for key in whole:
        del store.objects[key]
    no_header(it, "gives no header: the store does not have it as it was")


def test_a_ledger_that_another_camera_signed_gives_no_header(
    it: Looked, agency: BenchAgency
) -> None:
    """Also where intake's key said that it was accepted."""
    other = Day(BenchAgency("bench", device="bench-camera-2"), recordings=2)
    theirs = other.custody.store.objects
    docking = lines(other.custodian, "docking")[-1]
    it.day.custody.store.objects |= {k: v for k, v in theirs.items() if k.startswith("ledgers/")}
    fields = {
        name: docking[name]
        for name in (
            "anchor",
            "start",
            "length",
            "pieces",
            "files",
            "recordings",
            "clock",
            "battery",
        )
    }
    intake = it.day.desk("intake 0", "intake")
    boot = docking["anchor"]["boot"] + 1
    forged = {"boot": boot, **{k: fields["anchor"][k] for k in ("number", "digest")}}
    pieces = [{**piece, "boot": boot} for piece in fields["pieces"]]
    name = f"{boot:08d}-0001"
    files = [
        {**file, "segment": f"{name}-0001.mp4.age", "recording": name}
        for file in fields["files"][:1]
    ]
    recordings = [{**recording, "recording": name} for recording in fields["recordings"][:1]]
    device = it.names[0].partition("/")[0]
    said = {"anchor": forged, "pieces": pieces, "files": files, "recordings": recordings}
    write_anyway(intake, "docking", fields | said | {"device": device, "nonce": "ab" * 16})
    got = [{**file, "key": "footage/x", "version": "", "replicas": [], "late": False}
           for file in files]  # fmt: skip
    write_anyway(intake, "intake", {"device": device, "files": got})
    with pytest.raises(CustodyError, match="gives no header"):
        it.desk().answer(it.request(recording=f"{device}/{name}"))
    assert it.views() == []


def test_what_was_recorded_boots_ago_and_stills_have_headers_too(agency: BenchAgency) -> None:
    day = Day(agency, recordings=0, dock=False)
    it = Looked(day)
    day.camera.press_record_twice()
    day.camera.run(seconds=3)
    day.camera.press_marker(times=2)
    day.camera.run(seconds=3)
    day.camera.power_cut(TEARS[0])
    day.camera.boot()
    day.camera.run(seconds=5)
    day.record()
    day.deliver()
    desk = it.desk()
    for recording in it.names:
        granted = grant_of(desk.answer(it.request(recording=recording))).headers
        assert {one.segment for one in granted} == set(it.segments(recording))
        for one in granted:
            rest = it.sealed(recording, one.segment)
            rest = rest[len(age.parse_header(rest[: age.HEADER_LIMIT]).raw) :]
            opener = Opener(io.BytesIO(one.header.encode() + rest), [it.key().identity])
            assert b"".join(opener.whole_chunks())
    assert {name.partition("/")[2][:8] for name in it.names} == {"00000001", "00000002"}
    assert any(".jpg." in name for recording in it.names for name in it.segments(recording))


# --- the line first, whatever happens -------------------------------------------------------------


def test_a_power_cut_between_line_and_key_gives_no_key_without_a_line() -> None:
    """Each operation of the desk, before it and after it; the rest is in the campaign."""
    sweep = KeyDeskSweep()
    outcome = sweep.run(range(0, 2 * sweep.operations, 3))
    assert outcome.failures == []
    assert outcome.cuts >= sweep.operations // 3
    assert outcome.counts["not yet"] > 0


def planted_line(it: Looked, request: bytes, **other: Any) -> None:
    """What Ada may write herself, of herself, before she sends her request."""
    ada = it.person()
    asked = read_request(request, VIEWERS, [it.day.agency.root])
    fields: dict[str, Any] = {
        "recording": it.names[1],
        "segments": it.segments(it.names[1]),
        "person": asked.person,
        "acts_as": asked.role,
        "key": "0" * 64,
        "request": asked.digest,
        "approver": "",
        "outside": False,
        "reason": "",
        "case": "",
        "statement": "",
        "approval": "",
    }
    assert ada.append(lambda: ("viewed", fields | other)) is not None


def test_a_line_that_names_another_recording_opens_nothing(it: Looked) -> None:
    request = it.request()
    planted_line(it, request)
    with pytest.raises(CustodyError, match=r"says another .*recording"):
        it.desk().answer(request)
    (told,) = consultations(it.person(), [it.day.agency.root])
    assert told.wrong == "it brings nothing that the person signed"


def test_a_line_with_strange_fields_ends_no_list(it: Looked) -> None:
    planted_line(it, it.request(), recordings=5)
    (told,) = consultations(it.person(), [it.day.agency.root])
    assert told.recordings == (it.names[1],)
