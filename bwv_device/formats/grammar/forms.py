"""Forms of a single value (docs/format.md, 7). Each says what it is in words for the tables, and
brings values that just fit and values that just don't, for the test vectors.

No form uses a regular expression, and none depends on the tables of a Unicode version: every reader
must come to the same verdict, in time that grows with the length alone.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from bwv_device.formats.vault_layout import SegmentName

HEX_DIGITS = frozenset("0123456789abcdef")
DEVICE_CHARACTERS = frozenset(string.ascii_letters + string.digits + "._-")
NAME_LIMIT, TEXT_LIMIT = 64, 4096
# Controls, line and paragraph separators, marks that turn the direction of writing, and the
# byte-order mark: in a name, each could make a line of output say something else.
UNSEEN = frozenset(
    chr(code)
    for first, last in (
        (0x00, 0x1F), (0x7F, 0x9F), (0x061C, 0x061C), (0x200E, 0x200F), (0x2028, 0x202E),
        (0x2066, 0x2069), (0xFEFF, 0xFEFF),
    )
    for code in range(first, last + 1)
)  # fmt: skip


class Form(Protocol):
    """What a value must be beyond its JSON type."""

    def fits(self, value: Any) -> bool: ...

    def words(self) -> str: ...

    def good(self) -> list[Any]: ...

    def bad(self) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer; `true` is none."""

    first: int
    last: int

    def fits(self, value: Any) -> bool:
        return type(value) is int and self.first <= value <= self.last

    def words(self) -> str:
        if self.first == self.last:
            return f"the integer {self.first}"
        return f"integer, {_power(self.first)} to {_power(self.last)}"

    def good(self) -> list[Any]:
        return [self.first, self.last]

    def bad(self) -> list[Any]:
        beyond = [n for n in (self.first - 1, self.last + 1) if -(1 << 63) <= n < 1 << 63]
        return [*beyond, True, str(self.first), None, [self.first]]


@dataclass(frozen=True, slots=True)
class Hex:
    """Lower-case digits, exactly so many."""

    digits: int
    or_none: bool = False  # "" where there is nothing

    def fits(self, value: Any) -> bool:
        if type(value) is not str or len(value) != self.digits:
            return self.or_none and value == ""
        return set(value) <= HEX_DIGITS

    def words(self) -> str:
        return f"{self.digits} lower-case hex digits" + (', or ""' if self.or_none else "")

    def good(self) -> list[Any]:
        return ["0a" * (self.digits // 2), *([""] if self.or_none else [])]

    def bad(self) -> list[Any]:
        fine = self.good()[0]
        return [fine.upper(), fine[:-1], fine + "0", " " + fine[1:], fine[:-1] + "g",
                fine[:-1] + "\n", fine[:-1] + "٣", *([] if self.or_none else [""]),
                5, None]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """Characters, so many at most; `least` of them at least."""

    most: int
    least: int = 0

    def fits(self, value: Any) -> bool:
        return type(value) is str and self.least <= len(value) <= self.most

    def words(self) -> str:
        return f"text of {self.least} to {self.most} characters"

    def good(self) -> list[Any]:
        return ["x" * self.least, "ä" * min(self.most, 70)]

    def bad(self) -> list[Any]:
        short = ["x" * (self.least - 1)] if self.least else []
        return [*short, "x" * (self.most + 1), 5, None, ["x"], True]


@dataclass(frozen=True, slots=True)
class Name:
    """A text of one line that is what it looks like."""

    most: int = NAME_LIMIT
    least: int = 1

    def fits(self, value: Any) -> bool:
        return (
            type(value) is str
            and self.least <= len(value) <= self.most
            and UNSEEN.isdisjoint(value)
        )

    def words(self) -> str:
        return f"name of {self.least} to {self.most} characters"

    def good(self) -> list[Any]:
        return ["Zoë Okafor", "x" * self.most]

    def bad(self) -> list[Any]:
        turned = ["a\x1b[8m", "a\nb", "a\u202eb", "a\x9bb", "a\u2028b", "a\x00"]
        short = ["x" * (self.least - 1)] if self.least else []
        return [*short, *turned, "x" * (self.most + 1), 5, None]


@dataclass(frozen=True, slots=True)
class Ascii:
    """ASCII, so many characters at most."""

    most: int

    def fits(self, value: Any) -> bool:
        return type(value) is str and len(value) <= self.most and value.isascii()

    def words(self) -> str:
        return f"ASCII, up to {self.most} characters"

    def good(self) -> list[Any]:
        return ["", "plain\n"]

    def bad(self) -> list[Any]:
        return ["ä", "x" * (self.most + 1), 5, None]


@dataclass(frozen=True, slots=True)
class Device:
    """A camera's name; it stands in keys of a store and in topics."""

    def fits(self, value: Any) -> bool:
        return (
            type(value) is str
            and 1 <= len(value) <= NAME_LIMIT
            and DEVICE_CHARACTERS.issuperset(value)
            and not value.startswith(".")
        )

    def words(self) -> str:
        return "1 to 64 of A-Z a-z 0-9 . _ -, not `.` first"

    def good(self) -> list[Any]:
        return ["bench-camera-1", "-", "_._"]

    def bad(self) -> list[Any]:
        return ["", ".", "..", "../up", "a/b", "a b", "a\n", "cämera", "x" * 65, 5, None]


@dataclass(frozen=True, slots=True)
class Segment:
    """A file's final name (docs/format.md, 1)."""

    or_none: bool = False  # "" where nothing is named

    def fits(self, value: Any) -> bool:
        if type(value) is not str or len(value) != SEGMENT_LENGTH:
            return self.or_none and value == ""
        return SegmentName.parse(value) is not None

    def words(self) -> str:
        return "a file's final name" + (', or ""' if self.or_none else "")

    def good(self) -> list[Any]:
        return ["00000001-0001-0001.mp4.age", *([""] if self.or_none else [])]

    def bad(self) -> list[Any]:
        fine = self.good()[0]
        return [fine + ".part", "../" + fine, fine.replace("1", "１"), fine[1:], fine.upper(),
                fine + "\n", *([] if self.or_none else [""]), 5, None]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recording:
    """A boot and a recording of it, as in a file's name."""

    or_none: bool = False

    def fits(self, value: Any) -> bool:
        if type(value) is not str or len(value) != RECORDING_LENGTH:
            return self.or_none and value == ""
        boot, dash, number = value[:8], value[8], value[9:]
        return dash == "-" and value.isascii() and boot.isdigit() and number.isdigit()

    def words(self) -> str:
        return "8 digits, `-`, 4 digits" + (', or ""' if self.or_none else "")

    def good(self) -> list[Any]:
        return ["00000001-0001", *([""] if self.or_none else [])]

    def bad(self) -> list[Any]:
        return ["00000001-001", "00000001-00011", "0000001-00001", "00000001_0001",
                "００000001-0001", "00000001-0001\n", 5, None,
                *([] if self.or_none else [""])]  # fmt: skip


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    choices: tuple[str, ...]

    def fits(self, value: Any) -> bool:
        return type(value) is str and value in self.choices

    def words(self) -> str:
        return "one of " + ", ".join(f"`{word}`" for word in self.choices)

    def good(self) -> list[Any]:
        return list(self.choices)

    def bad(self) -> list[Any]:
        return [self.choices[0].upper(), self.choices[0] + " ", "", 5, None]


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`; 1 is neither."""

    def fits(self, value: Any) -> bool:
        return type(value) is bool

    def words(self) -> str:
        return "`true` or `false`"

    def good(self) -> list[Any]:
        return [True, False]

    def bad(self) -> list[Any]:
        return [1, 0, "true", None]


SEGMENT_LENGTH, RECORDING_LENGTH = len("00000001-0001-0001.mp4.age"), len("00000001-0001")
# What PEM of a certificate and its issuers may take.
PEM_LIMIT = 16 << 10
CLOCKS = ("none", "rtc", "ntp", "store")

Count = Annotated[int, Whole(0, (1 << 63) - 1)]
Positive = Annotated[int, Whole(1, (1 << 63) - 1)]
Signed = Annotated[int, Whole(-(1 << 63), (1 << 63) - 1)]
# Nanoseconds from zero, 146 years: any two can be added within 64 bits.
Moment = Annotated[int, Whole(0, (1 << 62) - 1)]
Percent = Annotated[int, Whole(0, 100)]
BootNumber = Annotated[int, Whole(1, 99_999_999)]
Digest = Annotated[str, Hex(64)]
Nonce = Annotated[str, Hex(32)]
Signature = Annotated[str, Hex(128)]
PersonName = Annotated[str, Name(least=0)]
FreeText = Annotated[str, Text(TEXT_LIMIT)]
Word = Annotated[str, Name(200)]
DeviceName = Annotated[str, Device()]
SegmentFile = Annotated[str, Segment()]
RecordingId = Annotated[str, Recording()]
Yes = Annotated[bool, Flag()]


def _power(number: int) -> str:
    for shift in (62, 63):
        for value, text in ((1 << shift, f"2^{shift}"), ((1 << shift) - 1, f"2^{shift} - 1")):
            if abs(number) == value:
                return ("-" if number < 0 else "") + text
    return str(number)
