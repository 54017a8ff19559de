"""What the packages' own scripts, and somebody who installs them, would do for a system that nobody
changes: users, links, units, certificates.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

HERE = Path(__file__).parent
TREE = HERE.parent
USERS = (("bwv", 990, "/var/lib/bwv-device"), ("systemd-network", 991, "/"),
         ("systemd-timesync", 992, "/"), ("messagebus", 993, "/"))  # fmt: skip
GROUPS = {"gpio": 980, "i2c": 981, "render": 982, "sgx": 983, "systemd-journal": 984, "input": 985,
          "kvm": 986, "dmaheap": 987}  # fmt: skip
WANTED = {
    "multi-user.target.wants": (
        "bwv-device.service", "bwv-first-boot.service", "bwv-slots.path",
    ),
    "sysinit.target.wants": ("bwv-trial.timer",),
    "var-lib-bwv\\x2ddevice.mount.wants": ("bwv-grow.service",),
}  # fmt: skip
SYSTEM_WANTED = {
    "multi-user.target.wants": ("systemd-networkd.service",),
    "sysinit.target.wants": ("systemd-timesyncd.service",),
}
# Nobody signs in on a camera, and nothing of this is of use where the root can't be written.
MASKED = ("getty@.service", "serial-getty@.service", "console-getty.service", "getty.target",
          "systemd-firstboot.service", "systemd-hwdb-update.service", "ldconfig.service",
          "systemd-journal-flush.service", "systemd-networkd-wait-online.service",
          "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "fstrim.timer", "systemd-remount-fs.service",
          "systemd-update-done.service", "systemd-random-seed.service",
          "systemd-logind.service", "systemd-user-sessions.service")  # fmt: skip
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
            "usr/share/lintian", "usr/share/bash-completion", "usr/share/zsh", "usr/share/bug",
            "var/cache", "var/lib/apt", "var/lib/dpkg", "usr/lib/udev/hwdb.d")  # fmt: skip


def system(root: Path, release: str) -> None:
    """What the packages' own scripts, and somebody who installs, would do."""
    for name in LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(HERE / "files", root, dirs_exist_ok=True, symlinks=True)
    units = root / "etc/systemd/system"
    for name in ("bwv-device.service", "bwv-device-reboot.service"):
        shutil.copy(TREE / "systemd" / name, units / name)
    configuration = root / "etc/systemd/system.conf.d"
    configuration.mkdir(parents=True, exist_ok=True)
    shutil.copy(TREE / "systemd" / "watchdog.conf", configuration / "bwv-device.conf")
    for folder, wanted in WANTED.items():
        for name in wanted:
            link(units / folder / name, f"/etc/systemd/system/{name}")
    for folder, wanted in SYSTEM_WANTED.items():
        for name in wanted:
            link(units / folder / name, f"/usr/lib/systemd/system/{name}")
    link(
        units / "dbus-org.freedesktop.timesync1.service",
        "/usr/lib/systemd/system/systemd-timesyncd.service",
    )
    link(units / "default.target", "/usr/lib/systemd/system/multi-user.target")
    for name in MASKED:
        link(units / name, "/dev/null")
    users(root)
    certificates(root)
    alternatives(root)
    (root / "usr/lib/bwv/release").write_text(f"{release}\n")
    rauc = root / "etc/rauc/system.conf"
    rauc.write_text(rauc.read_text().replace("@RELEASE@", release))
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("bwv\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost bwv\n::1 localhost\n")
    link(root / "etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
    link(root / "etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
    link(root / "etc/mtab", "../proc/self/mounts")
    link(root / "usr/bin/sh", "dash")
    link(root / "var/run", "/run")
    link(root / "var/lock", "/run/lock")
    for name in ("boot", "mnt", "proc", "sys", "dev", "run", "tmp", "root", "var/lib/bwv-device",
                 "var/tmp", "var/log", "var/lib/systemd"):  # fmt: skip
        (root / name).mkdir(parents=True, exist_ok=True)


def link(place: Path, to: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(to)


def users(root: Path) -> None:
    """Nobody has a password. All users are there from the start: /etc can't be written."""
    share = root / "usr/share/base-passwd"
    passwd = (share / "passwd.master").read_text().replace("root::", "root:x:")
    group = dict(line.split(":", 1) for line in (share / "group.master").read_text().splitlines())
    for name, number, home in USERS:
        passwd += f"{name}:x:{number}:{number}::{home}:/usr/sbin/nologin\n"
        group[name] = f"x:{number}:"
    group |= {name: f"x:{number}:" for name, number in GROUPS.items() if name not in group}
    for name in ("video", "audio", "gpio", "i2c"):
        group[name] = group[name].rstrip("\n") + "bwv"
    etc = root / "etc"
    passwd = re.sub(r"(?m)^(\w[\w-]*):\*:", r"\1:x:", passwd)
    (etc / "passwd").write_text(passwd)
    (etc / "group").write_text("".join(f"{name}:{rest}\n" for name, rest in group.items()))
    names = [line.split(":")[0] for line in passwd.splitlines()]
    (etc / "shadow").write_text("".join(f"{name}:*:20000:0:99999:7:::\n" for name in names))
    (etc / "shadow").chmod(0o600)


def certificates(root: Path) -> None:
    folder = root / "usr/share/ca-certificates/mozilla"
    texts = [file.read_text() for file in sorted(folder.glob("*.crt"))]
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(text.rstrip("\n") + "\n" for text in texts))


def alternatives(root: Path) -> None:
    """Libraries that a package offers beside others, as numpy's: the first by name."""
    library = root / "usr/lib/aarch64-linux-gnu"
    for folder in ("blas", "lapack"):
        for file in sorted((library / folder).glob("lib*.so.3")):
            link(library / file.name, f"{folder}/{file.name}")
    for name, to in (("awk", "mawk"), ("which", "which.debianutils"), ("pager", "more")):
        if (root / "usr/bin" / to).exists():
            link(root / "usr/bin" / name, to)
