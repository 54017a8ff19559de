"""Keys of an agency and a camera for tests, in memory; the same for the same seed. Never for real
footage: whoever knows the seed knows the keys.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from cryptography import x509

from bwv_device import keys
from bwv_device.formats import age
from hal.keystore import SoftwareIdentity
from hal.simulated.power_dock_and_place import SeededEntropy

FOUNDED = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


class BenchAgency:
    """X25519 by default: its headers depend on injected entropy alone (HPKE draws its own)."""

    def __init__(
        self, seed: str = "bench", recipient_type: str = "X25519", device: str = "bench-camera-1"
    ) -> None:
        entropy = SeededEntropy(f"agency {seed}")
        files = keys.agency_files(f"{seed} agency", recipient_type, entropy, FOUNDED)
        files |= keys.device_files(files, device, entropy, FOUNDED)
        self.files = files
        self.root: x509.Certificate = keys.parse_certificates(files[keys.ROOT], keys.ROOT)[0]
        self.recipients: Sequence[age.Recipient] = keys.parse_recipients(
            files[keys.RECIPIENTS], keys.RECIPIENTS
        )
        self.identities: Sequence[age.Identity] = keys.parse_identities(
            files[keys.IDENTITY], keys.IDENTITY
        )
        self.device = SoftwareIdentity(files[keys.DEVICE_KEY], files[keys.DEVICE])
