"""Where a private key lies that is in a token (RFC 7512), and the PEM block that stands for it.

The block is that of pkcs11-provider for OpenSSL ("PKCS#11 PROVIDER URI"): a file that holds it can
be used where a file with a key is wanted.
"""

from __future__ import annotations

import base64
import re
import urllib.parse
from typing import NamedTuple

LABEL = "PKCS#11 PROVIDER URI"
VERSION = b"PKCS#11 Provider URI v1.0"
SEQUENCE, VISIBLE_STRING, UTF8_STRING = 0x30, 0x1A, 0x0C
SCHEME = "pkcs11:"
COLUMNS = 64
# Attributes that are understood; of others nobody knows what they would have excluded.
PATH, QUERY = ("token", "object", "type"), ("module-path", "pin-source")


class TokenUri(NamedTuple):
    """`object` names the key; `pin_source` a file that holds the PIN, "" to ask."""

    token: str
    object: str
    module_path: str
    pin_source: str = ""

    @classmethod
    def parse(cls, text: str) -> TokenUri:
        """Raises `ValueError` in words."""
        if not text.startswith(SCHEME):
            raise ValueError("it does not begin with pkcs11:")
        path, _, query = text.removeprefix(SCHEME).partition("?")
        said = _attributes(path, ";", PATH) | _attributes(query, "&", QUERY)
        missing = [name for name in ("token", "object", "module-path") if not said.get(name)]
        if missing:
            raise ValueError(f"it has no {' and no '.join(missing)}")
        if said.get("type", "private") != "private":
            raise ValueError("it names no private key")
        source = said.get("pin-source", "").removeprefix("file:")
        return cls(said["token"], said["object"], said["module-path"], source)

    def __str__(self) -> str:
        quote = urllib.parse.quote
        text = f"{SCHEME}token={quote(self.token)};object={quote(self.object)};type=private"
        text += f"?module-path={quote(self.module_path, safe='/')}"
        source = f"&pin-source=file:{quote(self.pin_source, safe='/')}" if self.pin_source else ""
        return text + source


def to_pem(uri: TokenUri) -> bytes:
    body = _element(VISIBLE_STRING, VERSION) + _element(UTF8_STRING, str(uri).encode())
    encoded = base64.b64encode(_element(SEQUENCE, body)).decode()
    lines = [encoded[at : at + COLUMNS] for at in range(0, len(encoded), COLUMNS)]
    return "\n".join([f"-----BEGIN {LABEL}-----", *lines, f"-----END {LABEL}-----", ""]).encode()


def from_pem(pem: bytes) -> TokenUri | None:
    """The first such block of a file; None if there is none. Raises `ValueError`."""
    found = re.search(rb"-----BEGIN PKCS#11 PROVIDER URI-----([^-]*)-----END", pem)
    if found is None:
        return None
    tag, body, rest = _read(base64.b64decode(b"".join(found[1].split()), validate=True))
    version_tag, version, behind = _read(body)
    uri_tag, text, end = _read(behind)
    if (tag, version_tag, uri_tag) != (SEQUENCE, VISIBLE_STRING, UTF8_STRING) or rest or end:
        raise ValueError("it is not a PKCS#11 URI as providers write it")
    if version != VERSION:
        raise ValueError(f"it is of another version: {version[:40]!r}")
    return TokenUri.parse(text.decode("utf-8"))


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    said: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or name not in known or name in said:
            raise ValueError(f"{name!r} is not understood in it")
        said[name] = urllib.parse.unquote(value, errors="strict")
    return said


def _element(tag: int, content: bytes) -> bytes:
    """DER (X.690), with a length of up to 65,535."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    if length < 0x100:
        return bytes([tag, 0x81, length]) + content
    return bytes([tag, 0x82]) + length.to_bytes(2, "big") + content


def _read(data: bytes) -> tuple[int, bytes, bytes]:
    """The first element's tag and content, and what follows it."""
    if len(data) < 2:
        raise ValueError("it ends early")
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        size = length & 0x7F
        if size not in (1, 2):
            raise ValueError("it is longer than any URI")
        length, start = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
    if start + length > len(data):
        raise ValueError("it ends early")
    return tag, data[start : start + length], data[start + length :]
