"""People at the evidence desk, in a real browser."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from sim.desk.clerk import certify
from sim.desk.example import EvidenceDeskExample
from support.browser import Watched

WIDE = {"width": 1400, "height": 1000}


class Person:
    """Somebody with a browser of their own, enrolled in a role. `asked`: every request that left
    the browser."""

    def __init__(
        self, browser: Browser, example: EvidenceDeskExample, url: str, name: str, role: str,
        **options: Any,
    ) -> None:  # fmt: skip
        self.example, self.url, self.name, self.role = example, url, name, role
        self.context: BrowserContext = browser.new_context(viewport=WIDE, **options)
        self.watched = Watched(self.context.new_page(), url)
        self.page: Page = self.watched.page

    def enrol(self) -> None:
        page = self.page
        page.get_by_role("button", name="Make new keys").click()
        request = self.request()
        answer = certify(self.example.agency.keys, request, self.name, self.role)
        self.take(answer)
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()

    def request(self) -> bytes:
        """What the page gives to be certified."""
        saved = self.page.get_by_role("link", name="Save the request")
        expect(saved).to_be_visible()
        href = saved.get_attribute("href") or ""
        return urllib.parse.unquote(href.partition(",")[2]).encode("ascii")

    def take(self, certificates: bytes) -> None:
        self.page.get_by_label("Certificates that you were given").set_input_files(
            {"name": "certificates.pem", "mimeType": "text/plain", "buffer": certificates}
        )
        self.page.get_by_role("button", name="Take the certificates in").click()

    def goes_to(self, screen: str, name: str = "") -> Page:
        place = f"#/{screen}" + (f"/{urllib.parse.quote(name, safe='')}" if name else "")
        here = self.page.evaluate("location.hash") or "#/inbox"
        self.page.evaluate(f"location.hash = {place!r}")
        if here == place:
            self.page.reload()
        return self.page

    def signs(self) -> str:
        """What the dialog says; signed."""
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        said = dialog.inner_text()
        dialog.get_by_role("button", name="Sign", exact=True).click()
        expect(dialog).to_be_hidden()
        return said

    def watches(self, recording: str, reason: str = "a look") -> Page:
        page = self.goes_to("recording", recording)
        page.get_by_label("Why do you look?").fill(reason)
        page.get_by_role("button", name="Watch").click()
        expect(page.locator("video")).to_be_attached()
        return page

    def forgets_the_ledger(self) -> None:
        """As a browser that reads it from its first line on."""
        self.page.evaluate(
            """() => new Promise(done => { const asked = indexedDB.open('bwv-desk');
            asked.onsuccess = () => { const db = asked.result;
            const t = db.transaction('seen', 'readwrite'); t.objectStore('seen').clear();
            t.oncomplete = () => { db.close(); done(); } } })"""
        )
        self.page.reload()

    def end(self) -> None:
        self.context.close()


@contextmanager
def example(folder: Path) -> Iterator[tuple[EvidenceDeskExample, str]]:
    it = EvidenceDeskExample(folder)
    try:
        it.fill()
        yield it, it.serve()
    finally:
        it.end()


def said_of(page: Page, name: str) -> str:
    return page.get_by_role("region", name=re.compile(name)).inner_text()
