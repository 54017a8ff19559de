"""The evidence desk's player in Debian's Chromium: a recording of four minutes at 720p, in segments
of a minute; and memory while an hour's worth of them is opened.

Needs the test environment: Playwright drives Chromium, which must be installed.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.goal import Line, at_most, plain

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

CAMERA, RECORDING = "cam-720", "cam-720/00000001-0001"
SIZE = 1280, 720, 30, 3000
MINUTES, LOOKS, SEEKS, LEAPS = 4, 12, 40, 60
OPTIONS = ("--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required")


def run() -> Iterator[Line]:
    from support.evidence_desk import Person

    from sim.desk.example import EvidenceDeskExample

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        example = EvidenceDeskExample(Path(folder) / "desk")
        try:
            example.found()
            example.film(CAMERA, SIZE, MINUTES)
            url = example.serve()
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=list(OPTIONS)
            )
            person = Person(browser, example, url, "Ada Okafor", "custodian")
            person.enrol()
            yield from _first_pictures(person)
            yield from _seeks(person.page)
            yield from _memory(person.page)
            browser.close()
        finally:
            example.end()


def _first_pictures(person: object) -> Iterator[Line]:
    from support.evidence_desk import Person

    assert isinstance(person, Person)
    times = []
    for _ in range(LOOKS):
        page = person.goes_to("inbox")
        page.reload()
        page = person.goes_to("recording", RECORDING)
        page.get_by_label("Why do you look?").fill("a benchmark")
        page.get_by_role("button", name="Watch").wait_for()
        times.append(_measured(page, FIRST))
    yield at_most("first picture after the click, p95", _p95(times), 1.0, " s")
    yield plain("the same, median", f"{statistics.median(times):.2f} s")


# From the click, by the page's own clock; a look waits for its line and its witness.
FIRST = """async () => {
  const click = performance.now();
  [...document.querySelectorAll('button')].find(b => b.textContent === 'Watch').click();
  for (;;) {
    const video = document.querySelector('video');
    if (video?.dataset.shown !== undefined) return (performance.now() - click) / 1000;
    await new Promise(r => setTimeout(r, 2));
  }
}"""
SEEK = """async (to) => {
  const video = document.querySelector('video');
  const range = document.querySelector('input[type=range]');
  const before = video.dataset.shown, began = performance.now();
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(range, to);
  range.dispatchEvent(new Event('input', { bubbles: true }));
  for (;;) {
    const took = performance.now() - began, shown = video.dataset.shown;
    if (shown !== before && Math.abs(shown - to) < 0.1) return took;
    if (took > 5000) return 5000;
    await new Promise(r => setTimeout(r, 1));
  }
}"""


def _seeks(page: Page) -> Iterator[Line]:
    """Within the segment that is open, and across all."""
    page.wait_for_timeout(3000)
    near = [_measured(page, SEEK, 5 + (17 * n) % 50) for n in range(SEEKS)]
    yield at_most("seek within a segment, p95", _p95(near), 150, " ms")
    far = [_measured(page, SEEK, 5 + (97 * n) % (60 * MINUTES - 10)) for n in range(SEEKS)]
    yield at_most("seek anywhere in four minutes, p95", _p95(far), 150, " ms")
    yield plain("the same, median", f"{statistics.median(far):.0f} ms")


def _memory(page: Page) -> Iterator[Line]:
    """Leaps through the film, as somebody who watches an hour: a segment a leap."""
    used = []
    for leap in range(LEAPS):
        _measured(page, SEEK, 5 + (61 * leap) % (60 * MINUTES - 10))
        page.wait_for_timeout(100)
        used.append(_renderers_mib())
    yield plain("segments of a minute that were opened", str(LEAPS))
    yield at_most("memory of the browser's page (PSS), most", max(used), 400, " MiB")
    yield plain("the same after a quarter of them", f"{max(used[: LEAPS // 4]):.0f} MiB")


def _renderers_mib() -> float:
    """Of the largest of Chromium's processes for pages."""
    sizes = [0.0]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                rows = (process / "smaps_rollup").read_text().splitlines()
                (pss,) = [row.split()[1] for row in rows if row.startswith("Pss:")]
                sizes.append(int(pss) / 1024)
    return max(sizes)


def _measured(page: Page, script: str, *given: object) -> float:
    return float(page.evaluate(script, *given))


def _p95(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, round(0.95 * len(times)))]


if __name__ == "__main__":
    began = time.monotonic()
    for line in run():
        print(line, flush=True)
    print(f"{time.monotonic() - began:.0f} s")
