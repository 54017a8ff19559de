"""The device identity behind a signing operation."""

from __future__ import annotations

import pytest

from bwv_device import keys
from bwv_device.formats import signature
from bwv_device.formats.certificates import chain_leads_to
from hal.keystore import SoftwareIdentity
from sim.world.test_keys import BenchAgency


def test_what_it_signs_checks_with_its_certificate(agency: BenchAgency) -> None:
    chain = keys.parse_certificates(agency.device.certificate_pem, "device")
    raw = signature.from_der(agency.device.sign(b"message"))
    assert signature.verifies(chain[0].public_key(), raw, b"message")
    assert not signature.verifies(chain[0].public_key(), raw, b"massage")
    assert chain_leads_to(chain, agency.root)
    assert not chain_leads_to(chain, BenchAgency("another").root)
    assert not chain_leads_to(chain[:1], agency.root), "an issuer is missing"
    assert not chain_leads_to([], agency.root)


def test_signing_twice_gives_the_same_line(agency: BenchAgency) -> None:
    assert agency.device.sign(b"x") == agency.device.sign(b"x")


def test_the_other_form_of_a_signature_is_refused(agency: BenchAgency) -> None:
    key = keys.parse_certificates(agency.device.certificate_pem, "device")[0].public_key()
    raw = signature.from_der(agency.device.sign(b"x"))
    s = signature.ORDER - int.from_bytes(raw[32:], "big")
    assert not signature.verifies(key, raw[:32] + s.to_bytes(32, "big"), b"x")
    assert not signature.verifies(key, raw + b"\x00", b"x")
    assert not signature.verifies(key, bytes(64), b"x")


def test_a_key_and_another_cameras_certificate(agency: BenchAgency) -> None:
    other = BenchAgency("another")
    with pytest.raises(ValueError, match="for another key"):
        SoftwareIdentity(agency.files[keys.DEVICE_KEY], other.files[keys.DEVICE])
