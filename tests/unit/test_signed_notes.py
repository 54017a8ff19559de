"""Signed notes, checkpoints and cosignatures, with vectors of Go's note package."""

from __future__ import annotations

import base64

import pytest

from bwv_device.verification.tlog.checkpoint import (
    Checkpoint,
    cosign,
    cosigned,
    read_signed,
    sign,
)
from bwv_device.verification.tlog.signed_note import (
    COSIGNATURE,
    COSIGNATURE_MLDSA44,
    ED25519,
    NOTE_LIMIT,
    NoteError,
    SignerKey,
    VerifierKey,
    parse_note,
    parse_signatures,
)

# golang.org/x/mod/sumdb/note, its example.
SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
    "otpRZb6KE6RyyBwJnAM=\n"
).encode()
TEXT = NOTE.split(b"\n\n")[0] + b"\n"
LOG = SignerKey.from_seed("bwv-custody/x", ED25519, bytes(32))
WITNESS = SignerKey.from_seed("ombudsman.example/w1", COSIGNATURE, bytes([1]) * 32)
LATTICE = SignerKey.from_seed("ombudsman.example/w1", COSIGNATURE_MLDSA44, bytes([2]) * 32)
HEAD = Checkpoint("bwv-custody/x", 7, bytes(range(32)))


def test_keys_and_signatures_are_those_of_the_go_package() -> None:
    key, public = SignerKey.parse(SECRET), VerifierKey.parse(PUBLIC)
    assert (str(key.verifier), key.secret) == (PUBLIC, SECRET)
    assert parse_note(NOTE).signed_by(public)
    assert TEXT + b"\n" + key.line(TEXT) == NOTE
    assert bytes(parse_note(NOTE)) == NOTE


def test_no_changed_note_is_signed() -> None:
    public = VerifierKey.parse(PUBLIC)
    for at in range(len(NOTE)):
        changed = NOTE[:at] + bytes([NOTE[at] ^ 1]) + NOTE[at + 1 :]
        try:
            assert not parse_note(changed).signed_by(public), at
        except NoteError:
            continue


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"text\n", b"text\n\n", b"text\n\nx\n", "text\n\n— a\n".encode(),
     "text\n\n— a AAAA\n".encode(), "text\n\n— a+b AAAAAAAA\n".encode(),
     "text\n\n— a AAAAAAB=\n".encode(), "t\r\n\n— a AAAAAAAA\n".encode(),
     b"\xff\n\n" + "— a AAAAAAAA\n".encode(), b"x" * NOTE_LIMIT + NOTE,
     b"text\n\n" + "— a AAAAAAAA\n".encode() * 101],
)  # fmt: skip
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteError):
        parse_note(data)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a+b", "a+00000000+AAAA", PUBLIC.replace("c74f", "c74e"), PUBLIC[:-4],
     PUBLIC.replace("PeterNeumann", "Peter Neumann"), PUBLIC + "=", "+" + PUBLIC],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)
    with pytest.raises(NoteError):
        SignerKey.parse("PRIVATE+KEY+" + text)


def test_a_checkpoint_is_the_logs_own_words() -> None:
    signed = read_signed(bytes(sign(HEAD, LOG)), LOG.verifier)
    assert signed.checkpoint == HEAD
    assert HEAD.text == b"bwv-custody/x\n7\n" + base64.b64encode(HEAD.root) + b"\n"
    stranger = SignerKey.from_seed("bwv-custody/x", ED25519, bytes([9]) * 32)
    with pytest.raises(NoteError, match="not signed by the log"):
        read_signed(bytes(sign(HEAD, stranger)), LOG.verifier)
    other = Checkpoint("bwv-custody/y", 7, HEAD.root)
    with pytest.raises(NoteError, match="of 'bwv-custody/y'"):
        read_signed(bytes(sign(other, LOG)), LOG.verifier)


@pytest.mark.parametrize(
    "text", ["x\n07\nAA\n", "x\n-1\n", "x\n1\n\n", "\n1\nAAAA\n", "x\n99999999999999999999\nAA\n"]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text.encode())


@pytest.mark.parametrize("key", [WITNESS, LATTICE], ids=["Ed25519", "ML-DSA-44"])
def test_a_cosignature_is_of_one_checkpoint_by_one_witness_at_one_time(key: SignerKey) -> None:
    signed = sign(HEAD, LOG)
    both = signed.with_signatures(parse_signatures(cosign(HEAD, key, 1_800_000_000)))
    assert cosigned(both, [key.verifier])[key.verifier].time_s == 1_800_000_000
    assert cosigned(signed, [key.verifier]) == {}
    longer = sign(HEAD._replace(size=8), LOG).with_signatures(both.note.signatures)
    assert cosigned(longer, [key.verifier]) == {}
    (theirs,) = parse_signatures(cosign(HEAD, key, 1_800_000_000))
    later = theirs.signature[:7] + b"\xff" + theirs.signature[8:]
    assert (
        cosigned(signed.with_signatures([theirs._replace(signature=later)]), [key.verifier]) == {}
    )
    stranger = SignerKey.from_seed(key.name, key.kind, bytes([3]) * 32)
    assert cosigned(both, [stranger.verifier]) == {}


def test_the_newest_of_a_witnesss_cosignatures_counts() -> None:
    lines = cosign(HEAD, WITNESS, 200) + cosign(HEAD, WITNESS, 300) + cosign(HEAD, WITNESS, 100)
    signed = sign(HEAD, LOG).with_signatures(parse_signatures(lines))
    assert cosigned(signed, [WITNESS.verifier])[WITNESS.verifier].time_s == 300


def test_a_logs_key_is_no_witnesss() -> None:
    with pytest.raises(NoteError):
        cosign(HEAD, LOG, 1)
