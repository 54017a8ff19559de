"""The live panel in a real browser, over a camera that runs in real time."""

from __future__ import annotations

import contextlib
import os
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from support.browser import Served, Watched, chromium, until, violations

from bwv_device import keys
from bwv_device.live_panel.page_process import PageProcess
from bwv_device.live_panel.realtime_page import about_page
from bwv_device.settings import Settings
from bwv_device.web.listen import bind, url
from sim.faults import KINDS
from sim.live.switches import CHOICES, TOGGLES
from sim.shifts.drawn_shift import bench_agency

LONG = 20_000
TOKEN = "a token of sixteen"
# A press that comes sooner belongs to the one before (buttons.double_press_ms).
APART_MS = 700
# As many as the figure is promised for in `make ci`; in between, enough to see that it holds.
PRESSES = int(os.environ.get("BWV_PRESSES", "5"))
ROUNDS = 3
# The picture's size is of no matter to most tests, and decoding in software is slow.
SIZE = "width = 320\nheight = 240\nfps = 10\nbitrate_kbps = 200"
# It is to pictures for the documents.
SMALL = f"[video]\n{SIZE if 'BWV_SCREENS' not in os.environ else 'bitrate_kbps = 1500'}\n"
SCREENS = Path(os.environ.get("BWV_SCREENS", ".cache/screens")).resolve()
expect.set_options(timeout=LONG)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def camera(folder: Path, config: str = SMALL) -> Served:
    (folder / "config.toml").write_text(config)
    command = ["sim", "live", "--web", "--port", "0", "--no-browser", "--config", "config.toml"]
    return Served(command, folder)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One camera for most of the tests: each leaves it ready."""
    served = camera(tmp_path_factory.mktemp("live"))
    yield served
    said = served.end()
    assert "Traceback" not in said, said


@pytest.fixture
def watched(browser: Browser, live: Served) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    seen = Watched(context.new_page(), live.url)
    ready(seen.page)
    yield seen
    context.close()
    assert seen.complaints == []
    assert all(url.startswith((live.url, "blob:", "data:")) for url in seen.asked)


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def ready(page: Page) -> None:
    """Whatever the test before left."""
    expect(page.locator("#connection")).to_have_text("Connected.")
    speed(page, 1)
    until(
        page,
        """() => {
          const state = document.getElementById("state").textContent;
          if (state === "off") document.getElementById("boot").click();
          if (state === "recording") document.getElementById("stop").click();
          return state === "ready";
        }""",
    )


def state(page: Page, wanted: str) -> None:
    until(page, f"document.getElementById('state').textContent === '{wanted}'")


def speed(page: Page, rate: int) -> None:
    page.select_option("#rate", str(rate))
    until(page, f"document.getElementById('pace').textContent.includes('speed {rate} ×')")


def press_twice(page: Page) -> None:
    """As a hand does: contacts that open for less than 20 ms only bounce."""
    page.locator("#record").hover()
    for _ in range(2):
        page.mouse.down()
        page.wait_for_timeout(60)
        page.mouse.up()
        page.wait_for_timeout(60)


def start(page: Page) -> None:
    """Presses until it records: on a busy machine two presses can come too far apart."""
    for _ in range(5):
        press_twice(page)
        with contextlib.suppress(PlaywrightTimeoutError):
            page.wait_for_selector("#front-light[data-level=on]", timeout=2000)
            break
    state(page, "recording")


def stop(page: Page) -> None:
    """Held as long as a person would, in a world that is quicker."""
    speed(page, 30)
    page.locator("#record").hover()
    page.mouse.down()
    until(page, "document.getElementById('state').textContent !== 'recording'")
    page.mouse.up()
    speed(page, 1)
    state(page, "ready")


def test_the_main_job_at_full_size(browser: Browser, tmp_path: Path) -> None:
    """From the mouse to the film, at 720p; and what the page costs with one viewer."""
    served = Served(["sim", "live", "--web", "--port", "0", "--no-browser"], tmp_path)
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    watched = Watched(context.new_page(), served.url)
    page = watched.page
    ready(page)
    before_s, began = cpu_s(served.page_pid()), page.evaluate("performance.now()")
    start(page)
    page.wait_for_selector("#front-light[data-level=off]")  # it flashes
    page.wait_for_selector("#front-light[data-level=on]")
    expect(page.locator("#durable")).to_contain_text("B")
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "live-panel.png")
    page.locator("#record").hover()
    page.mouse.down()
    expect(page.locator("#held")).to_contain_text("Record is held for")
    state(page, "ready")
    page.mouse.up()
    took_s = (page.evaluate("performance.now()") - began) / 1000
    share = (cpu_s(served.page_pid()) - before_s) / took_s
    print(f"page server: {share:.1%} of a core over {took_s:.1f} s")
    assert share <= 0.15
    expect(page.locator("#films video")).to_have_count(1)
    film = page.locator("#films video")
    assert film.evaluate("async (v) => { await v.play(); return v.videoWidth; }") == 1280
    until(page, "document.querySelector('#films video').currentTime > 0.2")
    page.click("#verify")
    expect(page.locator("#verdict")).to_contain_text("Nothing was changed, removed or added")
    expect(page.locator("#files tr").last).to_contain_text("sealed")
    context.close()
    assert watched.complaints == []
    assert "Traceback" not in served.end()


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_report_of_the_session_opens(page: Page) -> None:
    start(page)
    stop(page)
    page.click("#report")
    expect(page.locator("#report-words")).to_have_text("The report is ready.", timeout=60_000)
    page.goto(page.url + "report/")
    expect(page.locator("h1")).to_contain_text("A shift with")
    expect(page.locator("video").first).to_be_visible()
    expect(page.locator("h2").first).to_be_visible()


def test_a_press_lights_the_light_within_a_fifth_of_a_second(page: Page) -> None:
    """From the second press's event in the page to the red light painted, at real time. What else
    the machine does only adds to it, so the best of a few rounds counts."""
    page.evaluate(
        """() => {
          window.starting = false;  // the hold that stops is a press too, and the light flashes
          document.getElementById("record").addEventListener("pointerdown", (event) =>
            (window.pressedAt = event.timeStamp));
          new MutationObserver(() => {
            const lamp = document.getElementById("front-light");
            if (lamp.dataset.level !== "on" || !window.starting) return;
            window.starting = false;
            const pressed = window.pressedAt;
            requestAnimationFrame(() => setTimeout(() =>
              window.tookMs.push(performance.now() - pressed)));
          }).observe(document.getElementById("front-light"), {attributes: true});
        }"""
    )
    for _ in range(ROUNDS):
        p95_ms = press_again_and_again(page)
        if p95_ms <= 200:
            return
    pytest.fail(f"p95 {p95_ms:.0f} ms")


def press_again_and_again(page: Page) -> float:
    """The 95th percentile from press to light, ms; of few presses, all but one."""
    page.evaluate("window.tookMs = []")
    films = page.locator("#films [data-recording]").count()
    for number in range(PRESSES):
        page.evaluate("window.starting = true")
        start(page)
        until(page, f"window.tookMs.length === {number + 1}")
        stop(page)
        # As a person would: the next press comes when this film is there.
        until(
            page, f"document.querySelectorAll('#films [data-recording]').length > {films + number}"
        )
    took_ms: list[float] = sorted(page.evaluate("window.tookMs"))
    assert len(took_ms) == PRESSES
    p95_ms = took_ms[-1 - max(1, PRESSES // 20)]
    print(f"press to light: median {took_ms[PRESSES // 2]:.0f} ms, p95 {p95_ms:.0f} ms")
    print("each:", " ".join(f"{ms:.0f}" for ms in took_ms))
    return p95_ms


def test_the_keyboard_alone_does_everything(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "record":
            break
    expect(page.locator("#record")).to_be_focused()
    for _ in range(5):
        for _ in range(2):
            page.keyboard.press("Enter", delay=60)
            page.wait_for_timeout(60)
        with contextlib.suppress(PlaywrightTimeoutError):
            page.wait_for_selector("#front-light[data-level=on]", timeout=2000)
            break
    state(page, "recording")
    page.wait_for_timeout(APART_MS)
    page.keyboard.press("m", delay=60)
    expect(page.locator("#ledger li[data-line=marker]").first).to_be_visible()
    page.keyboard.down("r")
    expect(page.locator("#record")).to_have_attribute("data-down", "true")
    state(page, "ready")
    page.keyboard.up("r")


def test_both_buttons_held_are_refused_with_the_reason(page: Page) -> None:
    """Covert recording, which policy does not allow here."""
    start(page)
    page.wait_for_timeout(APART_MS)
    page.keyboard.down("r")
    page.keyboard.down("m")
    speed(page, 5)  # a hold of many seconds, by hands that are not moved meanwhile
    expect(page.locator("#refused")).to_contain_text("not met", timeout=15_000)
    page.keyboard.up("m")
    page.keyboard.up("r")
    if page.locator("#state").text_content() == "recording":
        stop(page)


def test_a_button_can_stay_down_for_those_who_can_not_hold(page: Page) -> None:
    page.check("#latch")
    page.click("#marker")
    expect(page.locator("#marker")).to_have_attribute("data-down", "true")
    page.click("#marker")
    expect(page.locator("#marker")).to_have_attribute("data-down", "false")
    page.uncheck("#latch")


def test_each_switch_switches_and_says_what_is_so(page: Page) -> None:
    for toggle in TOGGLES:
        box = page.locator(f"[data-toggle={toggle.id}]")
        for wanted in (True, False):
            box.set_checked(wanted)
            page.wait_for_timeout(250)  # a state later the world still says so
            assert box.is_checked() is wanted
    seen = {"battery": "battery", "room": "storage", "step": "clock", "time": "clock"}
    for choice in CHOICES:
        row = page.locator(f"#choice-{choice.id}")
        before = page.locator(f"#{seen.get(choice.id, 'world-time')}").text_content()
        row.select_option(index=1)
        page.get_by_role("button", name=f"Set: {choice.label}").click()
        if choice.id in seen:
            place = f"document.getElementById('{seen[choice.id]}').textContent"
            speed(page, 10)
            until(page, f"{place} !== {before!r}")
            speed(page, 1)
    page.check("[data-toggle=disk]")
    page.uncheck("[data-toggle=disk]")  # it works, is fast, and has room again
    page.select_option("#choice-battery", "100")
    page.get_by_role("button", name="Set: Battery, %").click()


def test_every_fault_of_the_handbook_can_strike(browser: Browser, tmp_path: Path) -> None:
    """On a camera of its own: some break what is stored."""
    served = camera(tmp_path)
    page = browser.new_page()
    page.goto(served.url)
    names = page.locator("[data-fault]").evaluate_all("all => all.map(b => b.dataset.fault)")
    assert names == [kind.name for kind in KINDS]
    page.locator("summary", has_text="Every fault").click()
    for name in names:
        ready(page)
        page.evaluate(f"document.querySelector('[data-fault={name}]').click()")
        struck = f"document.getElementById('events').textContent.includes('fault: {name}')"
        until(page, struck)
        page.evaluate(
            f"""() => {{
              const button = document.querySelector('[data-fault={name}]');
              if (button.getAttribute('aria-pressed') === 'true') button.click();
            }}"""
        )
    ready(page)
    page.close()
    assert "Traceback" not in served.end()


def test_a_power_cut_in_the_middle_of_a_recording(page: Page) -> None:
    films = page.locator("#films video").count()
    start(page)
    page.wait_for_timeout(1500)
    page.click("#power-cut")
    state(page, "off")
    expect(page.locator("#front-light")).to_have_attribute("data-level", "off")
    expect(page.locator("#no-picture")).to_have_text("The camera is off")
    page.click("#boot")
    state(page, "ready")
    expect(page.locator("#ledger")).to_contain_text("after: power cut")
    page.click("#verify")
    expect(page.locator("#films video")).to_have_count(films + 1)
    expect(page.locator("#films")).to_contain_text("recovered")
    expect(page.locator("#verdict")).to_contain_text("Nothing was changed, removed or added")


def test_a_reload_in_the_middle_and_a_second_browser(page: Page, browser: Browser) -> None:
    start(page)
    page.reload()
    state(page, "recording")
    expect(page.locator("#ledger li[data-line=open]").first).to_be_visible()
    other = browser.new_page()
    other.goto(page.url)
    state(other, "recording")
    stop(other)
    state(page, "ready")
    other.close()


def test_who_closes_the_page_lets_the_button_go(page: Page, browser: Browser, live: Served) -> None:
    other = browser.new_page()
    other.goto(live.url)
    state(other, "ready")
    other.locator("#marker").hover()
    other.mouse.down()
    expect(other.locator("#marker")).to_have_attribute("data-down", "true")
    other.close()
    page.wait_for_timeout(500)
    script = page.request.get(f"{live.url}scenario.toml").text()
    steps = tomllib.loads(script)["steps"]
    assert steps[-1].endswith("marker comes up"), steps[-3:]


def test_nothing_flashes_faster_than_three_times_a_second(page: Page) -> None:
    speed(page, 10)
    page.locator("summary", has_text="One-click gestures").click()
    page.get_by_role("button", name="Start", exact=True).click()
    state(page, "recording")
    expect(page.locator("#front-light")).to_have_attribute("data-shown", "flashing")
    expect(page.locator("#front-light-words")).to_contain_text("flashes")
    page.get_by_role("button", name="Stop", exact=True).click()
    state(page, "ready")
    speed(page, 1)


def test_who_wants_no_motion_gets_none(browser: Browser, live: Served) -> None:
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.goto(live.url)
    ready(page)
    start(page)
    expect(page.locator("#front-light")).to_have_attribute("data-shown", "flashing")
    page.evaluate("document.getElementById('body').classList.add('vibrates')")
    assert (
        page.evaluate("getComputedStyle(document.getElementById('body')).animationName") == "none"
    )
    stop(page)
    context.close()


@pytest.mark.parametrize(
    ("width", "height", "dark"), [(1440, 1000, False), (1440, 1000, True), (390, 844, False)]
)
def test_axe_finds_nothing_and_nothing_overflows(
    browser: Browser, live: Served, tools: Path, width: int, height: int, dark: bool
) -> None:
    """720 pixels are 1440 at 200 % zoom."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto(live.url)
    ready(page)
    page.locator("summary", has_text="Every fault").click()
    assert violations(page, tools) == []
    for wide in (width, 720, 320) if width == 1440 else (width,):
        page.set_viewport_size({"width": wide, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= wide
    page.set_viewport_size({"width": width, "height": height})
    if dark or width == 390:
        page.screenshot(path=SCREENS / f"live-panel-{'dark' if dark else width}.png")
    context.close()


def test_the_tour_takes_a_newcomer_through(page: Page) -> None:
    page.click("#tour-start")
    expect(page.locator("#tour-title")).to_be_focused()
    expect(page.locator("#tour-done")).to_contain_text("Done")
    page.click("#tour-next")
    start(page)
    for step in ("3 of 6", "4 of 6"):
        expect(page.locator("#tour-done")).to_contain_text("Done")
        page.click("#tour-next")
        expect(page.locator("#tour-title")).to_contain_text(step)
    page.keyboard.press("m", delay=60)
    expect(page.locator("#tour-done")).to_contain_text("Done")
    page.screenshot(path=SCREENS / "live-panel-tour.png")
    page.click("#tour-next")
    stop(page)
    expect(page.locator("#tour-done")).to_contain_text("Done")
    page.click("#tour-next")
    page.click("#verify")
    expect(page.locator("#tour-done")).to_contain_text("Done")
    page.click("#tour-next")
    expect(page.locator("#tour")).to_be_hidden()


def test_beeps_are_heard_after_the_first_click_and_muted(browser: Browser, live: Served) -> None:
    """What reaches the loudspeaker is written down; the beeper is seen in any case."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.add_init_script(
        """window.loud = [];
        const set = AudioParam.prototype.setTargetAtTime;
        AudioParam.prototype.setTargetAtTime = function (value, ...rest) {
          window.loud.push(value);
          return set.call(this, value, ...rest);
        };
        window.seen = 0;
        addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
          if (document.getElementById("beeper").dataset.level === "on") window.seen++;
        }).observe(document.getElementById("beeper"), {attributes: true}));"""
    )
    page.goto(live.url)
    ready(page)
    expect(page.locator("#sound")).to_have_text("Turn sound on")
    start(page)
    expect(page.locator("#sound")).to_have_text("Sound is on")
    until(page, "window.seen > 0 && window.loud.some((value) => value > 0)")
    stop(page)
    page.click("#sound")
    expect(page.locator("#sound")).to_have_attribute("aria-pressed", "false")
    page.evaluate("window.loud = []; window.seen = 0;")
    start(page)
    until(page, "window.seen > 0")
    assert page.evaluate("window.loud.some((value) => value > 0)") is False
    stop(page)
    context.close()


def test_time_stands_still_and_steps(page: Page) -> None:
    page.click("#pause")
    expect(page.locator("#pace")).to_have_text("paused")
    before = page.evaluate("document.getElementById('world-time').textContent")
    for _ in range(11):
        page.click("#step")
    until(page, f"document.getElementById('world-time').textContent !== '{before}'")
    page.click("#pause")
    expect(page.locator("#pace")).to_contain_text("speed 1 ×")


def test_a_lost_connection_says_so(browser: Browser, tmp_path: Path) -> None:
    served = camera(tmp_path)
    page = browser.new_page()
    page.goto(served.url)
    ready(page)
    os.kill(served.page_pid(), signal.SIGKILL)
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    expect(page.locator("#no-picture")).to_have_text("Connection lost")
    page.close()
    served.process.wait(20)
    assert "The process of the page has ended." in served.end()


def test_a_drawn_shift_is_watched_not_touched(browser: Browser, tmp_path: Path) -> None:
    served = Served(
        ["sim", "live", "--web", "--port", "0", "--no-browser", "--seed", "7", "--rate", "60"],
        tmp_path,
    )
    page = browser.new_page()
    page.goto(served.url)
    expect(page.locator("h1")).to_have_text("The shift of seed 7")
    expect(page.locator("#record")).to_be_disabled()
    expect(page.locator("#events li").first).to_be_attached()
    assert page.locator("#power-cut").count() == 0
    page.keyboard.press("r")
    until(page, "document.getElementById('world-time').textContent > '0:01:00'")
    page.close()
    assert "Traceback" not in served.end()


def test_the_real_time_camera_has_the_same_page(browser: Browser, tmp_path: Path) -> None:
    """The same agent on a real disk; its films open with the agency's identity."""
    (tmp_path / "keys").mkdir()
    for name, data in bench_agency().files.items():
        (tmp_path / "keys" / name).write_bytes(data)
        (tmp_path / "keys" / name).chmod(0o600)
    (tmp_path / "config.toml").write_text(SMALL + '[sealing]\nrecipient_type = "X25519"\n')
    served = Served(
        ["bwv_device", "run", "--board", "sim", "--config", "config.toml", "--panel", "127.0.0.1:0",
         "--panel-identity", f"keys/{keys.IDENTITY}"],
        tmp_path,
        until="The camera's page: (http\\S+)",
    )  # fmt: skip
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    watched = Watched(context.new_page(), served.url)
    page = watched.page
    state(page, "ready")
    start(page)
    page.check("[data-toggle=microphone]")
    page.uncheck("[data-toggle=microphone]")
    page.wait_for_timeout(APART_MS)
    page.locator("#record").hover()
    page.mouse.down()
    state(page, "ready")
    page.mouse.up()
    expect(page.locator("#films video")).to_have_count(1)
    expect(page.locator("#files tr").last).to_contain_text("sealed")
    context.close()
    assert watched.complaints == []
    said = served.end()
    assert "1 recordings" in said
    assert "Traceback" not in said


def test_a_page_that_may_only_look_can_not_press(browser: Browser, tmp_path: Path) -> None:
    """As on a real camera: the buttons are dead, and a forged message is not heard."""
    heard: list[object] = []
    listening = bind("127.0.0.1", 0, TOKEN)
    address = url(listening, TOKEN)
    about = about_page(Settings(), None, TOKEN, "")
    process = PageProcess(listening, about, heard.append)
    process.tell({"kind": "status", "state": "ready", "rate": 1, "on": [], "pre_event_s": 3})
    process.tell({"kind": "level", "output": "front light", "level": "on", "pattern": "recording"})
    page = browser.new_page()
    page.goto(address)
    state(page, "ready")
    expect(page.locator("#front-light")).to_have_attribute("data-level", "on")
    expect(page.locator("#record")).to_be_disabled()
    expect(page.locator("#vault-title, #world-title, #time-title")).to_have_count(0)
    page.evaluate(
        """() => new Promise((done) => {
          const socket = new WebSocket("ws://" + location.host + "/live");
          socket.onopen = () => {
            socket.send(JSON.stringify({act: "button", button: "record", pressed: true}));
            socket.send(JSON.stringify({act: "sentence", text: "power cut"}));
            setTimeout(done, 300);
          };
        })"""
    )
    assert heard == []
    stranger = browser.new_context().new_page()
    assert stranger.goto(address.partition("?")[0]).status == 401  # type: ignore[union-attr]
    page.close()
    process.close()
