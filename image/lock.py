"""Resolves packages.txt into packages.lock: every package with its digest, as apt chooses them from
one signed list. Needs apt, and Debian's keys as they are on this machine; changes nothing of it.

python image/lock.py [--base NAME] [--source "deb URL SUITE COMPONENT…"] [--keyring FILE]
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

HERE = Path(__file__).parent
# What compiles Python's files to byte code, on the machine that builds.
COMPILER = ["python3.13-minimal", "libpython3.13-stdlib"]
CONFIGURATION = """
APT::Architecture "{arch}"; APT::Architectures {{"{arch}";}};
APT::Install-Recommends "false"; Acquire::Languages "none"; Debug::NoLocking "true";
Acquire::ForceHash "SHA256";
Dir "{folder}"; Dir::State "{folder}/state"; Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache"; Dir::Etc "{folder}/etc"; Dir::Etc::trusted "/etc/apt/trusted.gpg";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
"""
URI = re.compile(r"^'([^']+)' \S+ (\d+) SHA256:([0-9a-f]{64})$")


def resolve(arch: str, wanted: list[str], source: str) -> list[str]:
    """Lines of the lock: digest, size, architecture, path below the source."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("etc/preferences.d", "etc/apt.conf.d", "state/lists/partial",
                     "cache/archives/partial"):  # fmt: skip
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "etc/sources.list").write_text(source + "\n")
        (folder / "apt.conf").write_text(CONFIGURATION.format(arch=arch, folder=folder))
        apt(folder, "update", "-qq")
        done = apt(folder, "install", "-y", "-qq", "--print-uris", *wanted)
    uri = next(word for word in source.split() if "://" in word).rstrip("/")
    lines = []
    for line in done.splitlines():
        found = URI.match(line)
        if found is None or not found[1].startswith(uri):
            raise SystemExit(f"apt says what was not expected: {line[:200]}")
        path = urllib.parse.unquote(found[1].removeprefix(uri + "/"))
        lines.append(f"{found[3]} {found[2]} {arch} {path}")
    return sorted(lines, key=lambda line: line.split()[3])


def apt(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["apt-get", *words], capture_output=True, text=True, check=False,
        env={"APT_CONFIG": str(folder / "apt.conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"apt-get {words[0]}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="debian")
    parser.add_argument("--source", help='as in sources.list: "deb URL trixie main"')
    parser.add_argument(
        "--keyring", help="who signs that source; default: this machine's Debian keys"
    )
    options = parser.parse_args()
    source = options.source
    if source is None:
        mirror = subprocess.run(
            ["sh", str(HERE.parent / "scripts" / "debian-source")],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        source = f"deb {mirror} trixie main"
    if options.keyring:
        source = source.replace("deb ", f"deb [signed-by={options.keyring}] ", 1)
    names = "packages.txt" if options.base == "debian" else f"packages-{options.base}.txt"
    lines = (HERE / names).read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    today = datetime.datetime.now(datetime.UTC).date()
    rows = [f"# {today}: sha256, size, architecture, path below the mirror",
            *resolve("arm64", wanted, source)]  # fmt: skip
    if options.base == "debian":
        rows += resolve("amd64", COMPILER, source)
    file = HERE / names.replace(".txt", ".lock")
    file.write_text("\n".join(rows) + "\n")
    print(f"{file.name}: {len(rows) - 1} packages", file=sys.stderr)


if __name__ == "__main__":
    main()
