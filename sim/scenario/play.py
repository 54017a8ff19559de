"""Reads a scenario file, plays it, and explains each expectation that failed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bwv_device.config import check
from bwv_device.errors import ConfigError
from bwv_device.settings import MIB, Settings
from hal.ports import SECOND_NS
from hal.simulated.disk import PowerCut, SimulatedDisk
from sim.scenario.acts import ACTS
from sim.scenario.expectations import EXPECTATIONS
from sim.scenario.language import ScenarioError, Sentence, read
from sim.scenario.stage import Stage
from sim.shifts.drawn_shift import bench_agency
from sim.world.world import World, stub_media

DEFAULT_CARD_BYTES = 1 << 40
AROUND_NS = 8 * SECOND_NS
KNOWN_KEYS = ("title", "about", "steps", "settings", "docked", "card_mib")


class Scenario(NamedTuple):
    """A written shift."""

    title: str
    about: str
    settings: Settings
    docked: bool
    sentences: list[Sentence]
    card_bytes: int = DEFAULT_CARD_BYTES


class Failure(NamedTuple):
    """An expectation that was not met: what was there, and the time around it."""

    sentence: str
    instead: str
    timeline: list[str]


def load(path: Path) -> Scenario:
    """Raises `ScenarioError` with a sentence that says what to change."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise ScenarioError(f"{path} can't be read: {error.strerror}.", "Name the file.") from None


def parse(data: bytes, where: str = "The scenario") -> Scenario:
    try:
        content = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ScenarioError(
            f"{where} is not valid TOML: {error}.", "See docs/scenarios.md."
        ) from None
    unknown = [key for key in content if key not in KNOWN_KEYS]
    if unknown:
        raise ScenarioError(f"Unknown key {unknown[0]!r}.", f"Known: {', '.join(KNOWN_KEYS)}.")
    steps = content.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(s, str) for s in steps):
        raise ScenarioError("There are no steps.", 'Write steps = ["at 00:00 boot", …].')
    sentences = [read(text, ACTS, EXPECTATIONS) for text in steps]
    _check_order(sentences)
    docked = content.get("docked", False)
    if not isinstance(docked, bool):
        raise ScenarioError("'docked' is true or false.", "")
    card_mib = content.get("card_mib", DEFAULT_CARD_BYTES // MIB)
    if type(card_mib) is not int or not 1 <= card_mib <= DEFAULT_CARD_BYTES // MIB:
        raise ScenarioError("'card_mib' is a number of MiB.", "The card of the camera: 1024, say.")
    title, about = str(content.get("title", "")), str(content.get("about", ""))
    settings = _settings(content.get("settings", {}))
    return Scenario(title, about, settings, docked, sentences, card_mib * MIB)


def _settings(sections: Any) -> Settings:
    try:
        table = sections if isinstance(sections, dict) else {"settings": sections}
        return check(table, "[settings]")
    except ConfigError as error:
        raise ScenarioError(str(error), "Settings are those of config.toml.") from None


def _check_order(sentences: list[Sentence]) -> None:
    """Times do not go back, and what is expected finally stands last."""
    last_ns, final = 0, False
    for sentence in sentences:
        if sentence.at_ns is None:
            final = True
        elif final or sentence.at_ns < last_ns:
            raise ScenarioError(f"{sentence.text!r} comes too late in the file.", "Sort the steps.")
        else:
            last_ns = sentence.at_ns


def play(scenario: Scenario, tell: Callable[[str], None] = lambda text: None) -> list[Failure]:
    """Plays to the end; every expectation that fails is explained."""
    settings = scenario.settings
    media = stub_media(settings.video.bitrate_kbps * 1000, settings.video.fps)
    agency = bench_agency()
    world = World(
        settings,
        agency.device,
        agency.recipients,
        media=media,
        docked=scenario.docked,
        disk=SimulatedDisk(scenario.card_bytes),
        roots=[agency.root] if settings.dock.store or settings.mqtt.broker else [],
    )
    camera, failures = Stage(world, agency), list[Failure]()
    for sentence in scenario.sentences:
        if sentence.at_ns is None and world.agent is not None:
            camera.switch_off()
        _run_to(camera, sentence)
        instead = act(camera, sentence)
        told = "" if not sentence.expected else "   no: " + instead if instead else "   yes"
        tell(f"{sentence.text}{told}")
        if sentence.expected and instead:
            failures.append(Failure(sentence.text, instead, list(timeline(camera))))
    return failures


def _run_to(camera: Stage, sentence: Sentence) -> None:
    if sentence.at_ns is None:
        return
    late_ns = camera.world.loop.now_ns() - sentence.at_ns
    if late_ns > SECOND_NS // 2:
        raise ScenarioError(
            f"{sentence.text!r} comes {late_ns / SECOND_NS:.1f} s before the step above is over.",
            "Holding a button, switching off and a cut in the next operation take time.",
        )
    camera.run_until(sentence.at_ns)


def act(camera: Stage, sentence: Sentence) -> str:
    """Does it, or looks whether it is so: what was found instead, or "". Raises `ScenarioError`
    where it can't be done now."""
    try:
        result = sentence.phrase.call(camera, **sentence.words)
    except (AssertionError, AttributeError, PowerCut) as error:
        raise ScenarioError(
            f"{sentence.text!r} can't be done now: {error or 'the camera is off'}.",
            "Boot the camera first.",
        ) from None
    return result if sentence.expected else ""


def timeline(camera: Stage) -> Iterator[str]:
    """What happened around now: fingers, transitions, light, and ledger lines."""
    world = camera.world
    now_ns = world.loop.now_ns()
    events = [(item.at_ns, item.what) for item in world.happenings]
    events += [
        (t.at_ns, f"{t.before.value} → {t.after.value} ({t.event.value})")
        for t in world.transitions
    ]
    for output in ("front light", "beeper"):
        before = ""
        for shown in camera.shown(output):
            if shown.pattern != before:
                before = shown.pattern
                events.append((shown.at_ns, f"{output}: {before}"))
    for at_ns, text in sorted(events, key=lambda event: event[0]):
        if at_ns > now_ns - AROUND_NS:
            yield f"{at_ns / SECOND_NS:10.3f}  {text}"
    yield f"{now_ns / SECOND_NS:10.3f}  now"
    for line in camera.vault.ledger()[-6:]:
        yield f"            ledger {line['n']}: {line['kind']}"
