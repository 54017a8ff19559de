"""Signing in with the agency's own accounts (OpenID Connect Core 1.0, code flow with PKCE).

The account says who sits there; which person that is, its claim says, and that person has certified
keys here. The token is read, and thrown away: nothing is asked of the provider afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bwv_device.desk.state import DeskState
from bwv_device.errors import CustodyError
from bwv_device.formats.visible_text import visible
from hal.ports import Clock, Entropy

PURPOSE = "open id"
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
AGAIN = "Sign in again."
LEEWAY_S = 60


class Client(NamedTuple):
    """As the provider knows this desk. `claim` names a person by the identifier of their
    certificates; `redirect` is where the provider sends a browser back to."""

    issuer: str
    identifier: str
    secret: str
    redirect: str
    claim: str


# An address, a form to send ("" to fetch), and how the desk shows who it is: what comes back.
# `bwv_device.backends.open_id_line.HttpProvider`. Raises `CustodyError`.
Ask = Callable[[str, str, tuple[str, str] | None], dict[str, Any]]


class OpenId:
    def __init__(
        self, client: Client, state: DeskState, clock: Clock, entropy: Entropy, ask: Ask
    ) -> None:
        self._client, self._state, self._clock, self._entropy = client, state, clock, entropy
        self._ask = ask

    def begin(self) -> tuple[str, str]:
        """Where the browser goes, and the state that it must bring back. Raises `CustodyError`."""
        about = self._discovered()
        verifier, nonce = self._entropy.token(32).hex(), self._entropy.token(16).hex()
        state = self._state.challenge(PURPOSE, json.dumps([verifier, nonce])).hex()
        address: str = prepare_grant_uri(
            str(about["authorization_endpoint"]), self._client.identifier, "code",
            redirect_uri=self._client.redirect, scope="openid profile", state=state, nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier), code_challenge_method="S256",
        )  # fmt: skip
        return address, state

    def finish(self, code: str, state: str) -> str:
        """The person. Raises `CustodyError`."""
        try:
            kept = self._state.take_challenge(bytes.fromhex(state), PURPOSE)
        except ValueError:
            kept = None
        if kept is None:
            raise CustodyError("This sign-in is over.", AGAIN)
        verifier, nonce = json.loads(kept)
        about = self._discovered()
        body = prepare_token_request(
            "authorization_code", "", self._client.redirect, code=code, code_verifier=verifier
        )
        login = self._client.identifier, self._client.secret
        told = self._ask(str(about["token_endpoint"]), body, login)
        return self._person(str(told.get("id_token", "")), nonce, about)

    def _person(self, token: str, nonce: str, about: Mapping[str, Any]) -> str:
        """From the identity token (OpenID Connect Core, 3.1.3.7)."""
        keys: Any = self._ask(str(about["jwks_uri"]), "", None)
        try:
            said = jwt.decode(token, KeySet.import_key_set(keys), algorithms=ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(
                now=self._clock.utc().utc_ns // 10**9, leeway=LEEWAY_S,
                iss={"essential": True, "value": self._client.issuer},
                aud={"essential": True, "value": self._client.identifier},
                nonce={"essential": True, "value": nonce},
                exp={"essential": True}, iat={"essential": True}, sub={"essential": True},
            )  # fmt: skip
            registry.validate(said.claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise CustodyError(
                f"The provider's token does not hold: {visible(str(error))[:200]}.", AGAIN
            ) from None
        if said.claims.get("azp", self._client.identifier) != self._client.identifier:
            raise CustodyError("The provider's token is for another site.", AGAIN)
        person = said.claims.get(self._client.claim)
        if not isinstance(person, str) or not person:
            raise CustodyError(
                f"The account has no {self._client.claim!r}.", "Ask who keeps the accounts."
            )
        return person

    def _discovered(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, 4."""
        address = f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration"
        about = self._ask(address, "", None)
        if about.get("issuer") != self._client.issuer:
            raise CustodyError("The provider calls itself something else.", "Check desk.issuer.")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_safe(str(about.get(name, ""))):
                raise CustodyError(f"The provider's {name} is not https.", "Check desk.issuer.")
        return about


def is_safe(address: str) -> bool:
    """Encrypted, or on this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
    )
