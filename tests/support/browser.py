"""Debian's Chromium, and pages of ours that run beside it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# No sandbox: tests may run as root. The rest keeps it from looking for the network.
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required", "--force-color-profile=srgb",
)  # fmt: skip
ADDRESS = r"(http://\S+)"
LOOK_MS = 25


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


class Served:
    """A command of ours that prints its address, until it is told to end. `url` is what `until`
    found."""

    def __init__(self, command: Sequence[str], cwd: Path, until: str = ADDRESS) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.said = ""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if found := re.search(until, line):
                self.url = found[1]
                return
        raise AssertionError(self.said)

    def descendants(self) -> list[int]:
        """Its processes, theirs, and so on."""
        found, waiting = list[int](), [self.process.pid]
        while waiting:
            task = Path(f"/proc/{waiting.pop()}/task")
            with contextlib.suppress(OSError):
                for thread in task.iterdir():
                    pids = [int(pid) for pid in (thread / "children").read_text().split()]
                    found += pids
                    waiting += pids
        return found

    def page_pid(self) -> int:
        """The process that serves the page."""
        (pid,) = [
            pid
            for pid in self.descendants()
            if b"page_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        return pid

    def end(self) -> str:
        """As Ctrl-C does; everything that it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            rest, _ = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        self.said += rest
        return self.said


class Watched:
    """A page, and everything it complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.complaints, self.asked = page, list[str](), list[str]()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(url)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


def until(page: Page, condition: str, patience_ms: int = 20_000) -> None:
    """Waits for a condition of the page. (Playwright's own way is stopped by the page's policy.)"""
    for _ in range(patience_ms // LOOK_MS):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(LOOK_MS)
    raise AssertionError(f"never: {condition}")


def violations(page: Page, tools: Path) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA."""
    page.evaluate((tools / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:3]}"
        for one in found["violations"]
    ]
