"""Signing in with accounts: which tokens hold."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from bwv_device.desk.open_id import Client, OpenId
from bwv_device.desk.state import DeskState, Lifetimes
from bwv_device.errors import CustodyError
from hal.ports import SECOND_NS, UtcReading
from hal.simulated.power_dock_and_place import SeededEntropy

ISSUER, NOW_S = "https://accounts.example", 1_800_000_000
KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")


class Clock:
    now_s = NOW_S

    def monotonic_ns(self) -> int:
        return 0

    def utc(self) -> UtcReading:
        return UtcReading(self.now_s * SECOND_NS, 0, "ntp")


class Provider:
    """Gives one token to whoever has the code and its verifier."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.key, self.algorithm = KEY, "ES256"
        self.about = {
            "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token", "jwks_uri": f"{ISSUER}/keys",
        }  # fmt: skip
        self.challenge = ""

    def __call__(self, address: str, form: str, login: tuple[str, str] | None) -> dict[str, Any]:
        if address.endswith("openid-configuration"):
            return self.about
        if address.endswith("/keys"):
            return {"keys": [KEY.as_dict(private=False)]}
        sent = parse_qs(form)
        assert login == ("desk", "secret")
        assert create_s256_code_challenge(sent["code_verifier"][0]) == self.challenge
        return {"id_token": jwt.encode({"alg": self.algorithm}, self.claims, self.key,
                                       algorithms=[self.algorithm])}  # fmt: skip


class Site:
    def __init__(self) -> None:
        self.clock, self.provider = Clock(), Provider()
        entropy = SeededEntropy("open id")
        state = DeskState(None, self.clock, entropy, Lifetimes())
        client = Client(ISSUER, "desk", "secret", "https://desk.example/back", "sub")
        self.desk = OpenId(client, state, self.clock, entropy, self.provider)

    def begins(self) -> str:
        address, state = self.desk.begin()
        sent = parse_qs(urlsplit(address).query)
        assert sent["state"] == [state]
        assert sent["code_challenge_method"] == ["S256"]
        self.provider.challenge = sent["code_challenge"][0]
        self.provider.claims = {
            "iss": ISSUER, "aud": "desk", "sub": "4711", "nonce": sent["nonce"][0],
            "iat": NOW_S, "exp": NOW_S + 300,
        }  # fmt: skip
        return state


def test_an_account_is_the_person_of_its_claim() -> None:
    site = Site()
    state = site.begins()
    assert site.desk.finish("code", state) == "4711"
    with pytest.raises(CustodyError, match="is over"):
        site.desk.finish("code", state)


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.example"}, {"aud": "another"}, {"nonce": "0" * 32}, {"nonce": None},
        {"exp": NOW_S - 61}, {"exp": None}, {"iat": None}, {"sub": None}, {"sub": 5}, {"sub": ""},
        {"azp": "another"}, {"aud": ["another", "one"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_does_not_hold(wrong: dict[str, Any]) -> None:
    site = Site()
    state = site.begins()
    site.provider.claims |= wrong
    site.provider.claims = {k: v for k, v in site.provider.claims.items() if v is not None}
    with pytest.raises(CustodyError):
        site.desk.finish("code", state)


def test_a_token_by_another_key_or_by_none() -> None:
    for key, algorithm in ((OTHER, "ES256"), (OctKey.import_key("x" * 32), "HS256")):
        site = Site()
        state = site.begins()
        site.provider.key, site.provider.algorithm = key, algorithm  # type: ignore[assignment]
        with pytest.raises(CustodyError, match="does not hold"):
            site.desk.finish("code", state)


def test_a_sign_in_that_takes_too_long() -> None:
    site = Site()
    state = site.begins()
    site.clock.now_s += 301
    with pytest.raises(CustodyError, match="is over"):
        site.desk.finish("code", state)
    for made_up in ("", "zz", "0" * 64):
        with pytest.raises(CustodyError, match="is over"):
            site.desk.finish("code", made_up)


@pytest.mark.parametrize("name", ["issuer", "token_endpoint", "jwks_uri"])
def test_a_provider_that_is_another_or_in_clear(name: str) -> None:
    site = Site()
    site.provider.about[name] = "http://accounts.example/x"
    with pytest.raises(CustodyError, match="Check desk"):
        site.desk.begin()
