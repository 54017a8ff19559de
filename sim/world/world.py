"""One simulated camera: a loop in virtual time, hardware, and a disk that survives its agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography import x509

from bwv_device.camera.agent import Agent
from bwv_device.camera.agent_observer import Unobserved
from bwv_device.camera.state_table import Event, State
from bwv_device.formats import age
from bwv_device.formats.ledger_lines import ledger_path
from bwv_device.settings import Settings, milliseconds
from hal.mqtt.sqlite_outbox import SqliteOutbox
from hal.panel.gpio_panel import PanelPins
from hal.ports import SECOND_NS, Entropy, Identity, MqttLink, Outbox, StillEncoder, Uplink
from hal.simulated.board import on_panel
from hal.simulated.broker import SimulatedBroker, SimulatedMqtt
from hal.simulated.capture import (
    AudioSource,
    SimulatedCamera,
    SimulatedMicrophone,
    StubAudio,
    StubVideo,
    VideoSource,
)
from hal.simulated.clock import SimulatedClock
from hal.simulated.disk import PowerCut, SimulatedDisk, Tear
from hal.simulated.panel import Shown, SimulatedPanel, Touch
from hal.simulated.power_dock_and_place import (
    SeededEntropy,
    SimulatedDock,
    SimulatedLocation,
    SimulatedPower,
    SimulatedSpeaker,
    SimulatedVitals,
    StubStills,
)
from hal.simulated.slots import SimulatedSlots
from hal.simulated.store import SimulatedUplink
from hal.unconnected import NoSlots
from sim.random_streams import Draws
from sim.world.virtual_loop import AgentLoop, BootTime, VirtualLoop

# 2026-03-02 08:00:00 UTC, the Monday on which every simulated shift begins.
EPOCH_UTC_NS = 1_772_438_400 * SECOND_NS

# How long an orderly stop may take.
PATIENCE_NS = 120 * SECOND_NS
# A `stop` line is shorter than this.
LINE_BYTES = 400


class Media(NamedTuple):
    """What the camera sees and the microphone hears."""

    video: VideoSource
    audio: AudioSource
    stills: StillEncoder


def stub_media(bitrate_bps: int = 4_000_000, fps: int = 30) -> Media:
    return Media(StubVideo(fps, bitrate_bps), StubAudio(), StubStills())


class Transition(NamedTuple):
    at_ns: int
    before: State
    event: Event
    after: State


class Happening(NamedTuple):
    """Something the world did."""

    at_ns: int
    what: str


class _Watch(Unobserved):
    def __init__(self, world: World) -> None:
        self._world = world

    def transition(self, before: State, event: Event, after: State) -> None:
        self._world.changed(before, event, after)

    def slot_wanted(self, *, other: bool) -> None:
        self._world.restart = (
            self._world.slots.start_other if other else self._world.slots.end_trial
        )

    def stopped(self) -> None:
        self._world.ended_in_order += 1


@dataclass
class World:
    """Boots agents on one simulated camera, cuts their power, and remembers what was seen."""

    settings: Settings
    identity: Identity
    recipients: Sequence[age.Recipient]
    media: Media = field(default_factory=stub_media)
    seed: str = "0"
    docked: bool = False
    config_sha256: str = ""
    disk: SimulatedDisk = field(default_factory=SimulatedDisk)
    entropy: Entropy | None = None
    roots: Sequence[x509.Certificate] = ()
    line: Uplink | None = None  # to a real store, instead of the simulated one
    broker_line: MqttLink | None = None  # to a real broker
    loop: VirtualLoop = field(default_factory=VirtualLoop)  # may be shared with other cameras
    outbox: Outbox | None = None

    def sounding(self, from_ns: int, to_ns: int) -> list[tuple[int, int]]:
        """When the beeper sounded; the microphone hears it."""
        return self.panel.sounding(from_ns, to_ns) if self.panel else []

    def shown_so_far(self, output: str) -> list[Shown]:
        """Everything an output showed, over all boots."""
        now = self.panel.history[output] if self.panel else []
        return [*self.shown.get(output, []), *now]

    def touches_so_far(self) -> list[Touch]:
        """Everything that was done to the buttons' contacts, over all boots."""
        return [*self._touches, *(self.panel.touches if self.panel else [])]

    def __post_init__(self) -> None:
        self.clock = SimulatedClock(self.loop, EPOCH_UTC_NS)
        self._entropy = self.entropy or SeededEntropy(self.seed)
        self.power = SimulatedPower(self.loop)
        self.dock = SimulatedDock(docked=self.docked)
        self.location = SimulatedLocation()
        self.speaker = SimulatedSpeaker()
        self.spoken: list[tuple[int, str]] = []  # notices, and when they were heard
        self.speaker.hear = lambda notice: self.spoken.append((self.loop.now_ns(), notice))
        self.uplink = SimulatedUplink()
        self.broker = SimulatedBroker(self.loop)
        self.mqtt: MqttLink = self.broker_line or SimulatedMqtt(
            self.broker, self.loop, self.identity.device
        )
        # Committed is durable; on a real disk that is tested with hal.mqtt.sqlite_outbox.
        of_mqtt = self.settings.mqtt
        self.waiting: Outbox = self.outbox or SqliteOutbox(
            ":memory:", of_mqtt.outbox_messages, of_mqtt.outbox_kib << 10
        )
        self.panel: SimulatedPanel | None = None
        self.camera: SimulatedCamera | None = None
        self.microphone: SimulatedMicrophone | None = None
        self.agent: Agent | None = None
        self.agent_loop: AgentLoop | None = None
        self.transitions: list[Transition] = []
        self.happenings: list[Happening] = []
        self.shown: dict[str, list[Shown]] = {}
        self._touches: list[Touch] = []
        self.time = BootTime(self.loop, 0)
        self.commands: set[str] = set()  # statements that the agency's operator signed
        self.attack: Callable[[Draws], None] = lambda draws: None  # by whoever owns the broker
        self.origins_ns: list[int] = []  # for each boot, where its monotonic time starts
        self.on_transition: Callable[[Transition], None] = lambda transition: None
        self.on_happening: Callable[[Happening], None] = lambda happening: None
        self.prepare: Callable[[World], None] = lambda world: None  # on every boot, before start
        # How much beside its rhythm a picture is taken, by its number in this world.
        self.jitter_ns: Callable[[int], int] = lambda number: 0
        self.powered = False
        self.ended_in_order = 0
        self.disk.now_ns = self.loop.now_ns
        self.slots: SimulatedSlots | NoSlots = NoSlots()
        self.restart: Callable[[], None] | None = None  # what an update asked for

    # --- power --------------------------------------------------------------------------------

    def boot(self) -> Agent:
        """A fresh agent on the same disk. Its monotonic time starts anew where the power was off
        before, and goes on where only the process ended."""
        if not self.powered:
            self.powered = True
            self.time = BootTime(self.loop, self.loop.now_ns() // SECOND_NS * SECOND_NS)
            self.clock.boot(self.time.origin_ns)
            if isinstance(self.slots, SimulatedSlots):
                self.slots.boot()
        time, origin_ns = self.time, self.time.origin_ns
        self.origins_ns.append(origin_ns)
        pins = PanelPins(**self.settings.as_dict()["pins"])
        panel = self.panel = SimulatedPanel(pins, time, origin_ns)
        batch_ns = milliseconds(self.settings.recording.batch_ms)
        self.camera = SimulatedCamera(time, self.media.video, batch_ns, origin_ns)
        self.camera.jitter_ns = self.jitter_ns
        self.microphone = SimulatedMicrophone(time, self.media.audio, batch_ns, origin_ns)
        self.agent_loop = AgentLoop(time, self._busy_ns)
        board = on_panel(
            panel.panel,
            clock=self.clock,
            entropy=self._entropy,
            disk=self.disk,
            camera=self.camera,
            microphone=self.microphone,
            stills=self.media.stills,
            speaker=self.speaker,
            power=self.power,
            dock=self.dock,
            location=self.location,
            identity=self.identity,
            uplink=self.line or self.uplink,
            mqtt=self.mqtt,
            outbox=self.waiting,
            vitals=SimulatedVitals(),
            slots=self.slots,
        )
        self.agent = Agent(
            board, self.agent_loop, self.settings, self.recipients, self.config_sha256, self.roots,
            _Watch(self),
        )  # fmt: skip
        self.happened("boot")
        self.prepare(self)
        self.agent.start()
        return self.agent

    def power_cut(self, tear: Tear) -> None:
        """Everything volatile is gone at this instant."""
        self.power_off()
        self.disk.cut(tear)

    def power_off(self) -> None:
        """The same, without deciding what the disk keeps."""
        self.happened("power cut")
        self.vanish()
        self.powered = False

    def vanish(self) -> None:
        """The agent and its devices stop existing; the disk stays as it is."""
        if self.agent_loop:
            self.agent_loop.end()
        self.mqtt.close()
        for device in (self.camera, self.microphone):
            if device:
                device.stop_ns = 0
                device.stop()
        if self.panel:
            self.panel.power_off()
            self._touches += self.panel.touches
            for output, history in self.panel.history.items():
                self.shown.setdefault(output, []).extend(history)
        self.agent = self.panel = None

    def shut_down(self) -> None:
        """Switches off in order and waits for the last ledger line. Raises `TimeoutError` where it
        does not come."""
        assert self.agent
        self.agent.stop()
        until_ns = self.loop.now_ns() + PATIENCE_NS
        while not self.stopped():
            if self.loop.now_ns() > until_ns:
                raise TimeoutError("the camera does not stop in order")
            self.run(SECOND_NS // 10)
        self.happened("switched off")
        self.switched_off()

    def stopped(self) -> bool:
        """Whether the agent is through with everything: its last line is `stop`."""
        if self.agent is None or self.agent.state is not State.STOPPED:
            return False
        anchor = self.agent.parts.vault_lane.anchor
        path = ledger_path(anchor.boot) if anchor else ""
        end = self.disk.read(path)[-LINE_BYTES:] if path else b""
        return b'"kind":"stop"' in end

    def switched_off(self) -> None:
        """The agent has stopped in order, and the power goes; the disk stays as it is."""
        self.vanish()
        self.powered = False

    def restart_machine(self) -> Agent | None:
        """What an update has asked for, once the agent has ended in order; None where nothing
        was."""
        if self.restart is None or not self.stopped():
            return None
        restart, self.restart = self.restart, None
        self.switched_off()
        restart()
        return self.boot()

    # --- time ---------------------------------------------------------------------------------

    def run(self, duration_ns: int = 0, *, seconds: float = 0) -> None:
        """Lets the world go on. Raises `PowerCut` where a cut was planned in the disk."""
        duration_ns += round(seconds * SECOND_NS)
        self.loop.run_until(self.loop.now_ns() + duration_ns)

    def run_until_cut(self, until_ns: int) -> bool:
        """Runs until a planned power cut of the disk happens; True where it did."""
        try:
            self.loop.run_until(until_ns)
        except PowerCut:
            return True
        return False

    # --- fingers ------------------------------------------------------------------------------

    def press(self, button: str, held_ms: int = 100, times: int = 1, apart_ms: int = 250) -> None:
        """Presses a button some times; the fingers are off it when this returns."""
        for number in range(times):
            if number:
                self.run(milliseconds(apart_ms - held_ms))
            self._panel.press(button)
            self.run(milliseconds(held_ms))
            self._panel.release(button)

    def touch(self, button: str, pressed: bool) -> None:
        """A finger's edge; nothing where the camera is off."""
        if self.panel:
            (self.panel.press if pressed else self.panel.release)(button)

    def press_record_twice(self) -> None:
        self.happened("record pressed twice")
        self.press("record", times=2)

    def hold_record(self) -> None:
        self.happened("record held")
        self.press("record", held_ms=self.settings.buttons.stop_hold_ms + 100)

    def press_marker(self, times: int = 1) -> None:
        self.happened("marker pressed")
        self.press("marker", times=times)

    def put_in_dock(self, docked: bool) -> None:
        self.happened("docked" if docked else "taken off the dock")
        self.power.set(self.power.percent(), charging=docked)
        self.dock.put(docked)

    def _busy_ns(self) -> int:
        """How long disk and network took for what a lane just did."""
        return self.disk.take_busy_ns() + self.uplink.take_busy_ns()

    # --- inside -------------------------------------------------------------------------------

    @property
    def _panel(self) -> SimulatedPanel:
        assert self.panel
        return self.panel

    def changed(self, before: State, event: Event, after: State) -> None:
        """The agent says that its state changed."""
        self.transitions.append(Transition(self.loop.now_ns(), before, event, after))
        self.on_transition(self.transitions[-1])

    def happened(self, what: str) -> None:
        """For the record of what the world did."""
        self.happenings.append(Happening(self.loop.now_ns(), what))
        self.on_happening(self.happenings[-1])
