"""A small agency in a folder: its keys, its services' keys, a store with a witnessed log, and the
configuration that `bwv` reads there.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from bwv_device import keys
from bwv_device.commands.key_files.note_key import write_note_keys
from bwv_device.custody.ledger.store_identity import draw_identity, make_identity
from bwv_device.custody.retention_dates import Retention
from bwv_device.custody.session import CustodySession
from bwv_device.formats.grammar.statements import TrustedWitness, TrustList
from bwv_device.verification.tlog.signed_note import (
    COSIGNATURE,
    ED25519,
    SEED_BYTES,
    SignerKey,
)
from bwv_device.verification.trust_list import make_trust_list, origin
from hal.host import HostEntropy
from hal.keystore import SoftwareIdentity
from hal.ports import Clock
from hal.stores.directory import DirectoryStore
from sim.world.custody_workers import LONDON

NAME = "Borough Police (example)"
# As old as anything that the example shows.
FOUNDED_DAYS = 60
CATEGORIES = {"evidence": 2555, "complaint": 365, "training": 365}
SERVICES = ("intake", "retention", "keydesk", "configuration", "renderer")
PASSPHRASE = "an example needs no secret"  # noqa: S105
FILES = ("custody.toml", "evidence", "agency", "roles", "desk.sqlite", "passphrase")

TOML = """\
# An example. Never keep real footage here: everybody knows its passphrase.
[store]
address = "evidence"
[agency]
root = "agency/{root}"
zone = "Europe/London"
trust = "trust-list.txt"
index = "custody-index.sqlite"
[categories]
{categories}
[log]
key = "log-key.txt"
interval_s = 1
[viewing]
desk = "{key_desk}"
[service]
intake_s = 1
[desk]
agency = "{name}"
{address}key_alone = true
"""


class ExampleAgency:
    """`clock` is the host's: the example is of today."""

    def __init__(self, folder: Path, clock: Clock, recipient_type: str = "X25519") -> None:
        self.folder, self.clock, self.trust_list = folder, clock, ""
        self.entropy = HostEntropy()
        now = datetime.datetime.now(datetime.UTC)
        self.founded = now - datetime.timedelta(FOUNDED_DAYS)
        self.keys = folder / "agency"
        keys.make_agency(self.keys, NAME, recipient_type, self.entropy, self.founded)
        for role in SERVICES:
            keys.make_role(
                self.keys, folder / "roles", f"{role} service", role, self.entropy, self.founded
            )
        keys.make_viewing_key(
            self.keys, folder / "roles", "renderer service", self.entropy, self.founded
        )
        self.roots = keys.load_certificates(self.keys / keys.ROOT)
        (folder / "evidence").mkdir()
        self.store = DirectoryStore(folder / "evidence")
        self._lock_identity()

    def _lock_identity(self) -> None:
        """The key desk takes no secret in clear."""
        secret = (self.keys / keys.IDENTITY).read_bytes()
        locked = keys.locked(secret, PASSPHRASE.encode(), self.entropy)
        keys.write_secret(self.folder / "identity.age", locked)
        keys.write_secret(self.folder / "passphrase", f"{PASSPHRASE}\n".encode())

    def signer(self, name: str, role: str) -> SoftwareIdentity:
        """A person's or a service's key, made when it is asked for first."""
        path = self.folder / "roles" / keys.role_file_name(name, role)
        if not path.exists():
            keys.make_role(self.keys, path.parent, name, role, self.entropy, self.founded)
        return SoftwareIdentity.load(path, path)

    def session(self, name: str, role: str, clock: Clock | None = None) -> CustodySession:
        retention = Retention(LONDON, categories=CATEGORIES)
        return CustodySession(
            self.store, clock or self.clock, self.signer(name, role), self.roots, retention,
            self.entropy, None, self.trust_list,
        )  # fmt: skip

    def make_log(self) -> SignerKey:
        """The store's identity and its log's key; returns the witness's key."""
        self._identity = draw_identity(self.entropy)
        make_identity(self.store, self._identity)
        seed = self.entropy.token(SEED_BYTES)
        self.log = SignerKey.from_seed(origin(self._identity), ED25519, seed)
        write_note_keys(self.folder / "log-key.txt", [self.log])
        seed = self.entropy.token(SEED_BYTES)
        self.witness = SignerKey.from_seed("ombudsman.example/witness", COSIGNATURE, seed)
        write_note_keys(self.folder / "witness-key.txt", [self.witness])
        return self.witness

    def found(self, witness_url: str, clock: Clock) -> None:
        """The first line of the ledger: whose word counts."""
        said = TrustList(
            1, self._identity, clock.utc().utc_ns, str(self.log.verifier),
            (TrustedWitness(str(self.witness.verifier), witness_url),), 1, 48 * 3600, (), (),
        )  # fmt: skip
        root = SoftwareIdentity(
            (self.keys / keys.ROOT_KEY).read_bytes(), (self.keys / keys.ROOT).read_bytes()
        )
        self.trust_list = make_trust_list(root, said)
        (self.folder / "trust-list.txt").write_text(self.trust_list)
        text = self.trust_list
        self.session("Ruth Bell", "custodian", clock).append(lambda: ("trust", {"list": text}))

    def configure(self, address: str, key_desk: str) -> None:
        rows = "\n".join(f"{name} = {days}" for name, days in CATEGORIES.items())
        text = TOML.format(
            root=keys.ROOT,
            categories=rows,
            key_desk=key_desk,
            name=NAME,
            address=f'address = "{address}"\n' if address else "",
        )
        (self.folder / "custody.toml").write_text(text)
