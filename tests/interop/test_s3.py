"""A real S3 server: what each key may and may not, locks, interruptions, TLS."""

from __future__ import annotations

import datetime
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support.camera_bench import make_camera
from support.custody_day import Day
from support.write_anyway import write_anyway

from bwv_device.custody import s3_policies
from bwv_device.custody.holdings import migration
from bwv_device.custody.holdings.completeness import examine
from bwv_device.custody.intake.intake import Intake
from bwv_device.custody.intake.results import Done, ReplicaStore
from bwv_device.custody.retention import holds
from bwv_device.custody.retention.deletion import Expiry
from bwv_device.formats import statement
from bwv_device.formats.age_payload import CHUNK
from bwv_device.formats.grammar.purposes import DOCKING
from bwv_device.formats.upload_body import BytesBody
from hal.ports import EvidenceStore, StoreError, StoreTrouble
from hal.simulated.store import MemoryStore
from hal.stores.directory import DirectoryStore
from hal.stores.s3 import S3Place, S3Store
from sim.servers.seaweedfs import SeaweedFS
from sim.world.custody_workers import BenchClock, founded, session
from sim.world.test_keys import BenchAgency

DOCK = {"store": "bench", "poll_ms": 500, "greeting_wait_s": 5, "resend_s": 20}
ME, OTHER = "bench-camera-1", "cam-2"


class Server(NamedTuple):
    """A server with a bucket, and a key for each role and for two cameras."""

    weed: SeaweedFS
    bucket: str

    def store(self, who: str) -> S3Store:
        return self.weed.store(self.bucket, who)

    def client(self, who: str) -> Any:
        place = self.weed.place(self.bucket, who)
        return boto3.client(
            "s3",
            endpoint_url=place.endpoint,
            aws_access_key_id=place.access_key,
            aws_secret_access_key=place.secret_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture
def server(weed: SeaweedFS) -> Server:
    bucket = f"evidence-{uuid.uuid4().hex[:12]}"
    weed.make_bucket(bucket)
    keys = {device: s3_policies.camera(bucket, device) for device in (ME, OTHER)}
    keys |= {name: s3_policies.role(bucket, name) for name in s3_policies.ROLES}
    weed.allow(**keys)
    until(lambda: weed.store(bucket, ME).read(f"outbox/{ME}/x", 1), StoreTrouble.MISSING)
    patiently(founded, weed.store(bucket, "intake"))
    return Server(weed, bucket)


def until(call: Callable[[], object], wanted: StoreTrouble) -> None:
    """The server reads its keys anew within a second."""
    for _ in range(100):
        try:
            call()
        except StoreError as error:
            if error.trouble is wanted:
                return
        time.sleep(0.05)
    pytest.fail("the server does not take its new keys")


def patiently(call: Callable[..., object], *args: object) -> object:
    """As a camera does: a server that has just begun may not have all its volumes yet. What exists
    after an answer was lost was stored by the request before."""
    for number in range(200):
        try:
            return call(*args)
        except StoreError as error:
            if number and error.trouble is StoreTrouble.EXISTS:
                return None
            if error.trouble is not StoreTrouble.TRANSIENT:
                raise
        time.sleep(0.05)
    return call(*args)


def trouble(call: Callable[..., object], *args: object) -> StoreTrouble | None:
    try:
        call(*args)
    except StoreError as error:
        return error.trouble
    return None


def denied(call: Callable[..., object], **fields: Any) -> bool:
    """Refused by the server, with whatever boto3's own client asks for."""
    try:
        call(**fields)
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) in (400, 401, 403)
    return False


# --- what a camera's key may ------------------------------------------------------------------


def test_a_camera_creates_below_its_own_name_and_reads_its_outbox(server: Server) -> None:
    camera, custody = server.store(ME), server.store("intake")
    for kind in ("dockings", "ledgers", "footage"):
        camera.create(f"{kind}/{ME}/x/1", BytesBody(b"sealed"))
        assert custody.read(f"{kind}/{ME}/x/1", 100) == b"sealed"
    custody.create(f"outbox/{ME}/receipts/n/x", BytesBody(b"receipt"))
    assert camera.read(f"outbox/{ME}/receipts/n/x", 100) == b"receipt"
    assert trouble(camera.read, f"outbox/{ME}/none", 1) is StoreTrouble.MISSING
    assert trouble(camera.create, f"footage/{ME}/x/1", BytesBody(b"other")) is StoreTrouble.EXISTS


def test_and_nothing_else(server: Server) -> None:
    camera, raw = server.store(ME), server.client(ME)
    root = server.store("administrator")
    own, foreign = f"footage/{ME}/a/1", f"footage/{OTHER}/a/1"
    server.store(OTHER).create(foreign, BytesBody(b"of another camera"))
    camera.create(own, BytesBody(b"mine"))
    root.create(f"outbox/{OTHER}/x", BytesBody(b"not for you"))
    for key in (foreign, own, f"outbox/{OTHER}/x", f"outbox/{OTHER}/none", "custody/ledger/1"):
        assert trouble(camera.read, key, 100) is StoreTrouble.DENIED, key
        assert trouble(camera.stat, key) is StoreTrouble.DENIED, key
    for key in (f"footage/{OTHER}/b/1", f"outbox/{ME}/mine", "custody/ledger/1", "x",
                f"footage/{ME}x/b", f"quarantine/{ME}/x"):  # fmt: skip
        assert trouble(camera.create, key, BytesBody(b"x")) is StoreTrouble.DENIED, key
    for prefix in ("", f"footage/{ME}/", f"footage/{OTHER}/", f"outbox/{ME}/"):
        assert trouble(lambda p=prefix: list(camera.entries(p))) is StoreTrouble.DENIED, prefix
    for key in (own, foreign):
        assert trouble(camera.erase, key) is StoreTrouble.DENIED
        assert denied(raw.delete_object, Bucket=server.bucket, Key=key)
    version = root.versions(own)[0]
    year = datetime.datetime.now(datetime.UTC) + datetime.timedelta(365)
    with_version = {"Bucket": server.bucket, "Key": own, "VersionId": version.version}
    assert denied(raw.delete_object, **with_version)
    assert denied(raw.get_object, **with_version)
    assert trouble(camera.retain, version, int(year.timestamp())) is StoreTrouble.DENIED
    assert trouble(camera.hold, version, True) is StoreTrouble.DENIED
    assert denied(raw.put_object, Bucket=server.bucket, Key=f"footage/{ME}/c/1", Body=b"x")
    assert denied(raw.create_multipart_upload, Bucket=server.bucket, Key=f"footage/{ME}/c/2")
    assert denied(raw.put_bucket_policy, Bucket=server.bucket, Policy="{}")
    source = {"Bucket": server.bucket, "Key": foreign}
    assert denied(raw.copy_object, Bucket=server.bucket, Key=f"footage/{ME}/c/3", CopySource=source)
    assert root.read(own, 100) == b"mine"
    assert root.read(foreign, 100) == b"of another camera"


def test_what_is_laid_over_an_upload_takes_nothing_away(server: Server) -> None:
    """No server can be made to insist on If-None-Match: a thief of the camera's key may add a
    version, and intake takes the one whose bytes are right."""
    key = f"footage/{ME}/a/{BytesBody(b'evidence').sha256}"
    server.store(ME).create(key, BytesBody(b"evidence"))
    server.client(ME).put_object(
        Bucket=server.bucket, Key=key, Body=b"forgery!", ChecksumAlgorithm="SHA256"
    )
    custody = server.store("intake")
    found = [b"".join(custody.blocks(version)) for version in custody.versions(key)]
    assert found == [b"evidence", b"forgery!"]


# --- nobody erases before time ------------------------------------------------------------------


def delivered(
    server: Server,
    agency: BenchAgency,
    create: Callable[[Any, str, Any], None] | None = None,
    heard: Callable[[Done], None] = lambda done: None,
) -> tuple[str, Any, Any]:
    """A recording, delivered over S3 with a camera's own key, taken in with the intake's. The
    camera lives in virtual time, the server in its own: it is made today. `create` is asked in
    place of the camera's own."""
    it = make_camera(agency, dock=DOCK, video={"bitrate_kbps": 200},
                     recording={"segment_s": 10, "pre_event_s": 0}, boot=False)  # fmt: skip
    ahead_ns = _now_ns() - it.clock.utc().utc_ns
    clock = BenchClock(it.loop, ahead_ns)
    it.clock.set(ahead_ns, 1_000_000, "ntp")
    it.uplink = server.store(ME)  # type: ignore[assignment]
    if create is not None:
        own = it.uplink.create
        it.uplink.create = lambda key, body: create(own, key, body)  # type: ignore[method-assign]
    it._busy_ns = it.disk.take_busy_ns  # type: ignore[method-assign]
    it.boot()
    it.run(seconds=2)
    it.press_record_twice()
    it.run(seconds=4)
    it.hold_record()
    it.run(seconds=2)
    desk = session(agency, server.store("intake"), clock, "intake", "intake")
    worker = Intake(desk, [agency.root], "w")
    it.put_in_dock(True)
    for _ in range(150):
        it.run(seconds=1)
        heard(worker.once())
        if it.agent.parts.delivery.outcome == "complete":
            break
    assert it.disk.names("footage") == []
    (row,) = desk.index.rows("SELECT * FROM files")
    return row["key"], clock, desk


def _now_ns() -> int:
    return time.time_ns()


def test_a_shift_over_a_real_server(server: Server, agency: BenchAgency) -> None:
    key, _, desk = delivered(server, agency)
    (row,) = desk.index.rows("SELECT * FROM files")
    assert row["version"], "the version is pinned"
    root = server.store("administrator")
    assert root.stat(key).length == row["length"] > CHUNK


def test_the_unhappy_paths_of_intake_are_in_its_policy(server: Server, agency: BenchAgency) -> None:
    """Wrong bytes under a file's name, junk, something too long, a docking of another agency's
    camera: with the intake's own key, and nothing is denied."""
    spoilt: list[str] = []
    raw = server.client(ME)

    def create(own: Any, key: str, body: Any) -> None:
        if key.startswith("footage/") and key not in spoilt:
            spoilt.append(key)
            raw.put_object(Bucket=server.bucket, Key=key, Body=b"torn", ChecksumAlgorithm="SHA256")
        own(key, body)

    camera, other = server.store(ME), server.store(OTHER)
    camera.create(f"dockings/{ME}/{'00' * 16}", BytesBody(b"junk"))
    camera.create(f"dockings/{ME}/x", BytesBody(b"junk"))
    camera.create(f"dockings/{ME}/{'01' * 16}", BytesBody(bytes(5 << 20)))
    stranger = BenchAgency("another", device=OTHER).device
    other.create(
        f"dockings/{OTHER}/{'02' * 16}", BytesBody(statement.make(stranger, DOCKING, {"a": 1}))
    )
    strange, troubles, quarantined = list[str](), list[str](), 0

    def heard(done: Done) -> None:
        nonlocal quarantined
        strange.extend(done.strange)
        troubles.extend(done.troubles)
        quarantined += done.quarantined

    _, _, desk = delivered(server, agency, create, heard)
    assert troubles == []
    assert len(strange) == 4
    assert quarantined == len(spoilt) == 1
    (kept,) = desk.index.rows("SELECT * FROM quarantine")
    assert server.store("intake").read(kept["key"], 10) == b"torn"
    assert list(server.store("intake").entries("dockings/")) == []


@pytest.mark.parametrize("who", ["intake", "custodian", "hold", "retention", "administrator"])
def test_the_bytes_can_not_be_erased_before_time_through_s3(
    server: Server, agency: BenchAgency, who: str
) -> None:
    key, _, _ = delivered(server, agency)
    root, raw = server.store("administrator"), server.client(who)
    (stored,) = root.versions(key)
    before = b"".join(root.blocks(stored))
    version = {"Bucket": server.bucket, "Key": key, "VersionId": stored.version}
    assert denied(raw.delete_object, **version)
    assert denied(raw.delete_object, **version, BypassGovernanceRetention=True)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    for mode in ("COMPLIANCE", "GOVERNANCE"):
        lock = {"Mode": mode, "RetainUntilDate": soon}
        assert denied(raw.put_object_retention, **version, Retention=lock)
    assert trouble(server.store(who).erase, key) in (StoreTrouble.DENIED, StoreTrouble.REFUSED)
    assert b"".join(root.blocks(stored)) == before


def test_deletion_on_time_and_holds_with_separate_keys(server: Server, agency: BenchAgency) -> None:
    """Who can lift a hold can't delete, and who can delete can't lift a hold."""
    key, clock, _ = delivered(server, agency)
    holder = session(agency, server.store("hold"), clock, "Ada", "custodian")
    retention = session(agency, server.store("retention"), clock, "service", "retention")
    holder.index.catch_up()
    (row,) = holder.index.rows("SELECT id FROM recordings")
    assert holds.place(holder, row["id"], "evidence", "case 1")
    status = server.client("administrator").get_object_legal_hold(Bucket=server.bucket, Key=key)
    assert status["LegalHold"]["Status"] == "ON"
    (stored,) = server.store("administrator").versions(key)
    assert trouble(server.store("retention").hold, stored, False) is StoreTrouble.DENIED
    clock.ahead_ns += 26 * 86_400 * 10**9
    done = Expiry(retention).run()
    assert (done.hidden, done.erased) == ([], [])
    clock.ahead_ns += 20 * 86_400 * 10**9
    write_anyway(retention, "erasing", {"recordings": [row["id"]], "rules": {}})
    done = Expiry(retention).run()
    assert done.erased == [], "the store protects what the ledger holds"


def test_denied_by_the_lock_is_told_and_tried_again(server: Server, agency: BenchAgency) -> None:
    """By custody's clock it is due, by the server's not yet: a clock that runs ahead erases
    nothing."""
    key, clock, _ = delivered(server, agency)
    clock.ahead_ns += 40 * 86_400 * 10**9
    retention = session(agency, server.store("retention"), clock, "service", "retention")
    done = Expiry(retention).run()
    assert done.erased == []
    assert len(done.denied) == 1
    assert server.store("administrator").versions(key)


def test_hidden_week_with_delete_markers(server: Server, agency: BenchAgency) -> None:
    key, clock, _ = delivered(server, agency)
    clock.ahead_ns += 25 * 86_400 * 10**9
    retention = session(agency, server.store("retention"), clock, "service", "retention")
    assert len(Expiry(retention).run().hidden) == 1
    assert trouble(server.store("custodian").stat, key) is StoreTrouble.MISSING
    holder = session(agency, server.store("hold"), clock, "Ada", "custodian")
    holder.index.catch_up()
    (row,) = holder.index.rows("SELECT id FROM recordings")
    holds.place(holder, row["id"], "request")
    assert len(Expiry(retention).run().restored) == 1
    assert server.store("custodian").stat(key).length > 0


def test_a_directory_moves_into_s3(server: Server, agency: BenchAgency, tmp_path: Path) -> None:
    """Where each object is of a version, and the store itself keeps what is held."""
    it = Day(agency, 2)
    held, _ = it.names()
    it.custodian.hold(held, "evidence", case="case 12/26")
    weed, bucket = server.weed, f"moved-{uuid.uuid4().hex[:12]}"
    weed.make_bucket(bucket)
    target = weed.store(bucket)
    clock = it.custody.clock
    clock.ahead_ns += time.time_ns() - clock.utc().utc_ns  # the server knows no other time
    mover = session(agency, it.custody.store, clock, "mover", "intake")
    done = migration.move(mover, target, lambda: session(agency, target, clock, "mover", "intake"))
    assert done.lost == []
    desk = session(agency, target, clock, "Ada", "custodian")
    assert examine(desk).lost == []
    versions = desk.index.rows("SELECT version FROM files")
    assert all(row["version"] for row in versions), "of the new place"
    (key,) = [
        row["key"] for row in desk.index.rows("SELECT * FROM files WHERE recording = ?", held)
    ]
    locked = server.weed.administrator().get_object_legal_hold(Bucket=bucket, Key=key)
    assert locked["LegalHold"]["Status"] == "ON"


def test_a_replica_in_a_directory(server: Server, agency: BenchAgency, tmp_path: Path) -> None:
    replica = DirectoryStore(tmp_path)
    clock = BenchClock(make_camera(agency, boot=False).loop)
    desk = session(agency, founded(MemoryStore()), clock, "i", "intake")
    worker = Intake(desk, [agency.root], "w", [ReplicaStore("elsewhere", replica)])
    files = worker._files
    source: EvidenceStore = server.store("administrator")
    data = bytes(range(256)) * 9000
    source.create("footage/x/y/1", BytesBody(data))
    assert files._copy(replica, source.stat("footage/x/y/1"), BytesBody(data).sha256) is False
    files._store = source
    assert files._copy(replica, source.stat("footage/x/y/1"), BytesBody(data).sha256)
    assert files._copy(replica, source.stat("footage/x/y/1"), BytesBody(data).sha256), "again"
    assert replica.read("footage/x/y/1", len(data)) == data


# --- interruptions and TLS ------------------------------------------------------------------------


def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    weed = SeaweedFS(tmp_path / "weed")
    weed.start()
    try:
        weed.make_bucket("evidence")
        store = weed.store("evidence")
        kept: dict[str, BytesBody] = {}
        for round_ in range(3):
            for number in range(8):
                key = f"footage/{ME}/{round_}/{number}"
                body = BytesBody(key.encode() * 20_000)
                patiently(store.create, key, body)
                kept[key] = body
            weed.kill()
            assert trouble(store.create, "footage/x", BytesBody(b"x")) is StoreTrouble.TRANSIENT
            weed.start()
        for key, body in kept.items():
            assert patiently(store.read, key, body.length + 1) == body.read(0, body.length)
    finally:
        weed.kill()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A CA, a server's certificate, a camera's, and another CA: made by openssl."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for ca in ("ca", "other"):
        openssl("req", "-x509", *curve, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2",
                "-subj", f"/CN={ca}")  # fmt: skip
    for name in ("server", "camera"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")  # fmt: skip
        (tmp_path / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", "ext",
                "-out", f"{name}.pem")  # fmt: skip
    both = (tmp_path / "camera.pem").read_text() + (tmp_path / "camera.key").read_text()
    (tmp_path / "camera-both.pem").write_text(both)
    return tmp_path


@pytest.fixture
def tls(certificates: Path) -> Iterator[SeaweedFS]:
    weed = SeaweedFS(
        certificates / "weed",
        options=(
            f"-s3.cert.file={certificates / 'server.pem'}",
            f"-s3.key.file={certificates / 'server.key'}",
            f"-s3.cacert.file={certificates / 'ca.pem'}",
            "-s3.tlsVerifyClientCert=true",
        ),
        encrypted=True,
    )
    weed.start()
    yield weed
    weed.kill()


def test_tls_with_a_pinned_authority_and_a_client_certificate(
    tls: SeaweedFS, certificates: Path
) -> None:
    plain = tls.place("evidence")
    place = plain._replace(endpoint=plain.endpoint.replace("http:", "https:"))
    ca, both = str(certificates / "ca.pem"), str(certificates / "camera-both.pem")

    def answer(place: S3Place) -> StoreTrouble | None:
        return trouble(S3Store(place, timeout_s=5).read, "outbox/x", 1)

    good = place._replace(ca=ca, client_certificate=both)
    assert answer(good) in (StoreTrouble.DENIED, StoreTrouble.MISSING)  # no such bucket: it spoke
    with pytest.raises(StoreError, match="certificate"):
        S3Store(good._replace(ca=str(certificates / "other.pem"))).read("outbox/x", 1)
    with pytest.raises(StoreError, match="certificate"):
        S3Store(good._replace(ca="")).read("outbox/x", 1)
    with pytest.raises(StoreError, match=r"certificate|reached"):
        S3Store(good._replace(client_certificate="")).read("outbox/x", 1)
    assert answer(plain) is not StoreTrouble.MISSING, "nothing is said in clear"
