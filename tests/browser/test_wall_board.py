"""The wall board of a fleet in a real browser."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import Watched, chromium, violations

from bwv_device.fleet.roster import Seen
from bwv_device.fleet.wall_board import MINUTE_NS, WallBoard
from bwv_device.fleet.wall_board_page import ServedBoard
from bwv_device.fleet.watch_table import row
from bwv_device.web.listen import bind, url

SCREENS = Path(os.environ.get("BWV_SCREENS", ".cache/screens")).resolve()
TOKEN = "a token of sixteen"
NOON_NS = 1_772_452_800 * 10**9


class Fleet:
    """Cameras whose states a test sets, and their board."""

    def __init__(self, folder: Path) -> None:
        self.now_ns = NOON_NS
        self.kept = folder / "acknowledged.jsonl"
        self.board = WallBoard(lambda: self.now_ns, self.kept)
        self.cameras = {f"cam-{n}": self._camera(n) for n in range(1, 25)}
        self.socket = bind("127.0.0.1", 0, TOKEN)
        self.url = url(self.socket, TOKEN)

    def _camera(self, number: int) -> Seen:
        seen = Seen(f"cam-{number}", online=True, last_ns=NOON_NS)
        seen.state = {
            "state": "ready", "officer": ("Okoro", "Lind", "Marsh")[number % 3], "able": True,
            "battery": {"percent": 4 * number, "minutes_left": 90},
            "storage": {"percent_left": 80, "minutes_left": 100 + number},
            "undelivered": {"files": number % 4}, "clock": "ntp", "error_ms": 20,
            "light": {"failed": []},
        }  # fmt: skip
        return seen

    def is_(self, name: str, **state: Any) -> None:
        self.cameras[name].state |= state

    def update(self, broker: str = "") -> None:
        for seen in self.cameras.values():
            seen.last_ns = self.now_ns
        self.board.update([row(seen, self.now_ns) for seen in self.cameras.values()], broker)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    made.update()
    with ServedBoard(made.board, "Fleet of example-agency", made.socket, TOKEN):
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, fleet: Fleet) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    watched = Watched(context.new_page(), fleet.url)
    yield watched.page
    context.close()
    assert watched.complaints == []


def first(page: Page) -> str:
    return str(page.locator("tbody th").first.text_content())


def test_the_token_leaves_the_address_and_opens_the_board(page: Page, browser: Browser) -> None:
    assert "token" not in page.url
    expect(page.locator("tbody tr")).to_have_count(24)
    stranger = browser.new_page()
    assert "A token is needed" in str(stranger.goto(page.url).text())  # type: ignore[union-attr]
    stranger.close()


def test_rows_come_by_themselves_and_the_focus_stays(page: Page, fleet: Fleet) -> None:
    page.fill("input[name=camera]", "cam-1")
    expect(page.locator("tbody tr")).to_have_count(11)
    fleet.is_("cam-12", state="recording", recording="00000001-0001", stored=True)
    fleet.update()
    expect(page.locator("#camera-cam-12")).to_contain_text("● recording")
    expect(page.locator("input[name=camera]")).to_be_focused()
    assert page.input_value("input[name=camera]") == "cam-1"


def test_filters_sorting_and_officers(page: Page, fleet: Fleet) -> None:
    fleet.is_("cam-7", able=False, unmet=["storage has room"])
    fleet.update()
    page.select_option("select[name=sort]", "battery")
    expect(page.locator("tbody th").first).to_have_text("cam-1")
    page.select_option("select[name=sort]", "officer")
    expect(page.locator("tbody td").first).to_have_text("Lind")
    page.fill("input[name=officer]", "marsh")
    expect(page.locator("tbody tr")).to_have_count(8)
    page.fill("input[name=officer]", "")
    page.select_option("select[name=only]", "trouble")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("can't record: storage is full")


def test_an_alarm_is_noted_and_stays_until_its_cause_is_gone(page: Page, fleet: Fleet) -> None:
    fleet.cameras["cam-3"].online = False
    fleet.update()
    expect(page.locator(".sum")).to_contain_text("1 not acknowledged")
    page.get_by_role("button", name="Acknowledge: offline of cam-3").click()
    expect(page.locator("[role=alert]")).to_have_text("Write your name first.")
    page.fill("input[name=name]", "Ada <b>")
    page.get_by_role("button", name="Acknowledge: offline of cam-3").click()
    expect(page.locator("#camera-cam-3")).to_contain_text("acknowledged by Ada <b>")
    expect(page.locator(".sum")).to_contain_text("0 not acknowledged")
    (line,) = fleet.kept.read_text().splitlines()
    assert json.loads(line)["by"] == "Ada <b>"
    fleet.cameras["cam-3"].online = True
    fleet.update()
    expect(page.locator("#camera-cam-3 .alarm")).to_have_count(0)
    fleet.cameras["cam-3"].online = False
    fleet.update()  # a new alarm, which nobody knows yet
    expect(page.locator(".sum")).to_contain_text("1 not acknowledged")


def test_the_last_day_the_broker_and_the_picture_for_the_docs(
    page: Page, fleet: Fleet, tools: Path
) -> None:
    for quarter in range(60):
        fleet.now_ns = NOON_NS + quarter * 15 * MINUTE_NS
        for number, name in enumerate(fleet.cameras):
            records = (quarter + number) % 9 < 2
            fleet.is_(name, recording="00000001-0001" if records else None, stored=True,
                      state="recording" if records else "ready")  # fmt: skip
        fleet.cameras["cam-5"].online = not 20 < quarter < 30
        fleet.update()
    expect(page.get_by_label("Last day of cam-5")).to_have_attribute(
        "aria-label", re.compile(re.escape("2.25 h offline"))
    )
    fleet.cameras["cam-9"].online = False
    fleet.is_("cam-2", light={"failed": ["front light"]})
    fleet.is_("cam-4", state="recording", recording="00000001-0002", stored=False)
    fleet.update("The broker is away: connection refused.")
    expect(page.locator("[role=alert]")).to_have_text("The broker is away: connection refused.")
    fleet.update()
    expect(page.locator("[role=alert]")).to_have_count(0)
    page.fill("input[name=name]", "Ada")
    page.get_by_role("button", name="Acknowledge: offline of cam-9").click()
    expect(page.locator("#camera-cam-9")).to_contain_text("acknowledged by Ada")
    assert violations(page, tools) == []
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "wall-board.png")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
