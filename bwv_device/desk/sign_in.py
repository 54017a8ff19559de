"""Who sits in front of the browser: by a certified key (once, to register a passkey), or by a
passkey. What a session is good for is reading: no session can watch or act, for that takes keys
which this process does not have.

Sources: W3C Web Authentication Level 3; NIST SP 800-63B.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from bwv_device.custody.ledger.signers import why_not_valid
from bwv_device.custody.permissions import AUDITOR, CUSTODIAN, DISCLOSURE, REVIEWER
from bwv_device.desk.state import Certified, DeskState, Passkey
from bwv_device.errors import CustodyError
from bwv_device.formats import statement
from bwv_device.formats.certificates import RENDERER
from bwv_device.formats.grammar.purposes import SIGN_IN
from bwv_device.formats.statement import StatementError
from bwv_device.verification.trust_list import Trust

# Machines' roles do not sit in front of a browser.
PEOPLE = (CUSTODIAN, REVIEWER, DISCLOSURE, AUDITOR)
REGISTER, SIGN, KEY = "register", "sign in", "key"
REFUSED = "This sign-in does not hold."
AGAIN = "Try again."


class Origin(NamedTuple):
    """Where the page comes from: `code` is its origin, `host` the name that passkeys are for."""

    code: str
    host: str
    agency: str


class SignIn:
    """`key_alone`: a certified key is enough, and no passkey is asked for."""

    def __init__(
        self,
        state: DeskState,
        roots: Sequence[x509.Certificate],
        origin: Origin,
        *,
        key_alone: bool = False,
    ) -> None:
        self._state, self._roots, self._origin = state, list(roots), origin
        self._key_alone = key_alone

    # --- with a certified key -----------------------------------------------------------------

    def key_challenge(self) -> str:
        return self._state.challenge(KEY).hex()

    def by_key(
        self, pem: str, signed: str, now_ns: int, trust: Trust | None, who: str, browser: str
    ) -> str:
        """A session's token. `pem`: an enrolment's answer (docs/format.md, 12.1); `signed`: the
        challenge, signed by its key. Raises `CustodyError`."""
        self._state.tried(who)
        certified = self.read_certificates(pem, now_ns, trust)
        chain = statement.chain_of(certified.chain.encode("ascii"))
        try:
            fields = statement.check(signed.encode("ascii", "replace"), chain)
        except StatementError as error:
            raise CustodyError(f"The challenge {error}.", AGAIN) from None
        challenge = fields.get("challenge")
        if set(fields) != {"purpose", "by", "challenge", "origin"}:
            raise CustodyError(REFUSED, AGAIN)
        if fields["purpose"] != SIGN_IN or fields["origin"] != self._origin.code:
            raise CustodyError(REFUSED, AGAIN)
        if not self._is_taken(challenge, KEY):
            raise CustodyError("This challenge is over.", AGAIN)
        self._state.add_certificate(certified)
        self._state.succeeded(who)
        full = self._key_alone or certified.role == RENDERER  # a machine has no passkey
        return self._state.begin(certified.person, browser, full=full)

    def read_certificates(self, pem: str, now_ns: int, trust: Trust | None) -> Certified:
        """Raises `CustodyError` unless they are one person's, valid now."""
        try:
            both = statement.chain_of(pem.encode("ascii", "replace"))
            chain, viewing = both[:2], both[2:]
            who = statement.role_of(chain, self._roots)
            viewer = statement.viewer_of(viewing, self._roots)
        except StatementError as error:
            raise CustodyError(f"The file {error}.", "Take the one that you were given.") from None
        person = statement.person_of(chain[0])
        if viewer.person != person:
            raise CustodyError("The two certificates are of two persons.", "Enrol anew.")
        if who.role not in (*PEOPLE, RENDERER):
            raise CustodyError(f"Who acts as {who.role} has no desk.", "Enrol in another role.")
        for one in (chain, viewing):
            if why := why_not_valid(one, trust, now_ns):
                raise CustodyError(f"A certificate of {who.name} {why}.", "Enrol anew.")
        return Certified(
            statement.fingerprint(chain[0]), person, who.name, who.role, _pem(chain), _pem(viewing)
        )

    def _is_taken(self, challenge: object, purpose: str) -> bool:
        try:
            value = bytes.fromhex(challenge) if isinstance(challenge, str) else b""
        except ValueError:
            return False
        return self._state.take_challenge(value, purpose) is not None

    # --- with a passkey -----------------------------------------------------------------------

    def passkey_options(self, person: str, name: str) -> dict[str, Any]:
        """What `navigator.credentials.create` takes."""
        options = generate_registration_options(
            rp_id=self._origin.host,
            rp_name=self._origin.agency,
            user_name=name,
            user_id=hashlib.sha256(person.encode()).digest(),
            user_display_name=name,
            challenge=self._state.challenge(REGISTER, person),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=one.id) for one in self._state.passkeys(person)
            ],
        )
        made: dict[str, Any] = json.loads(options_to_json(options))
        return made

    def register(self, person: str, credential: Mapping[str, Any], label: str) -> None:
        """Raises `CustodyError`."""
        try:
            challenge = _challenge(credential)
            if self._state.take_challenge(challenge, REGISTER) != person:
                raise CustodyError("This challenge is over.", AGAIN)
            done = verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._origin.host,
                expected_origin=self._origin.code,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise CustodyError(f"This passkey is not taken: {_why(error)}.", AGAIN) from None
        one = Passkey(
            done.credential_id, person, done.credential_public_key, done.sign_count, label[:64]
        )
        if not self._state.add_passkey(one):
            raise CustodyError("This passkey is registered already.", "Use it to sign in.")

    def sign_in_options(self) -> dict[str, Any]:
        """What `navigator.credentials.get` takes. Nobody is named: the authenticator knows."""
        options = generate_authentication_options(
            rp_id=self._origin.host,
            challenge=self._state.challenge(SIGN),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        made: dict[str, Any] = json.loads(options_to_json(options))
        return made

    def by_passkey(self, credential: Mapping[str, Any], who: str, browser: str) -> str:
        """A session's token. Raises `CustodyError`."""
        self._state.tried(who)
        try:
            known = self._state.passkey(base64url_to_bytes(str(credential["id"])))
            challenge = _challenge(credential)
            if self._state.take_challenge(challenge, SIGN) is None:
                raise CustodyError("This challenge is over.", AGAIN)
            if known is None:
                raise CustodyError("This passkey is not known here.", "Enrol this browser first.")
            done = verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._origin.host,
                expected_origin=self._origin.code,
                credential_public_key=known.public,
                credential_current_sign_count=known.uses,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise CustodyError(f"{REFUSED[:-1]}: {_why(error)}.", AGAIN) from None
        self._state.used(known.id, done.new_sign_count)
        self._state.succeeded(who)
        return self._state.begin(known.person, browser, full=True)


def _challenge(credential: Mapping[str, Any]) -> bytes:
    data = base64url_to_bytes(str(credential["response"]["clientDataJSON"]))
    return parse_client_data_json(data).challenge


def _why(error: Exception) -> str:
    return str(error).rstrip(".")[:200] if isinstance(error, WebAuthnException) else "it is none"


def _pem(chain: Sequence[x509.Certificate]) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in chain)
