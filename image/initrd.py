"""The first process with its tools, and the drivers that find the root."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
# What finds the root, in this order; what each needs besides stands in the kernel's own list.
DRIVERS = ("virtio_mmio", "virtio_blk", "bcm2835-dma", "bcm2835-mmc", "bcm2835", "sdhci-iproc",
           "loop", "squashfs", "nls_cp437", "nls_ascii", "vfat", "ext4")  # fmt: skip


def write_initrd(root: Path, version: str, out: Path) -> None:
    """busybox, the drivers that find the root, and `init`."""
    entries: dict[str, tuple[int, bytes]] = {
        "bin": (0o40755, b""), "modules": (0o40755, b""),
        "bin/busybox": (0o100755, (root / "usr/bin/busybox").read_bytes()),
        "init": (0o100755, (HERE / "init").read_bytes()),
    }  # fmt: skip
    order = []
    for path in drivers(root, version):
        data = (root / "usr/lib/modules" / version / path).read_bytes()
        name = path.name
        if name.endswith(".xz"):
            name, data = name.removesuffix(".xz"), run_bytes("xz", "-dc", data=data)
        order.append(name)
        entries[f"modules/{name}"] = (0o100644, data)
    entries["modules/order"] = (0o100644, ("\n".join(order) + "\n").encode())
    with gzip.GzipFile(filename="", fileobj=out.open("wb"), mode="wb", mtime=0) as file:
        file.write(b"".join(cpio(entries)))


def run_bytes(*words: str, data: bytes) -> bytes:
    return subprocess.run(words, input=data, capture_output=True, check=True).stdout


def drivers(root: Path, version: str) -> list[Path]:
    """Files of the drivers and of what they need, each behind what it needs."""
    needs, named = dict[str, list[str]](), dict[str, str]()
    for line in (root / "usr/lib/modules" / version / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        named[Path(path).name.partition(".ko")[0].replace("_", "-")] = path
    found: list[str] = []
    for name in DRIVERS:
        wanted = named.get(name.replace("_", "-"))
        if wanted is not None:  # else the kernel has it built in
            found += [p for p in (*reversed(needs[wanted]), wanted) if p not in found]
    return [Path(path) for path in found]


def cpio(entries: dict[str, tuple[int, bytes]]) -> Iterator[bytes]:
    """The "new" format (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    for number, (name, (mode, data)) in enumerate([*entries.items(), ("TRAILER!!!", (0, b""))], 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(f"{field:08x}".encode() for field in fields)
        head += name.encode() + b"\0"
        yield head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
