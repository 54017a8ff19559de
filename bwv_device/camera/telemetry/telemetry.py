"""What the camera publishes about itself (docs/mqtt.md).

Optional: nothing here can delay a recording. An error is written to the ledger, and telemetry
starts again a minute later.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cryptography import x509

from bwv_device import __version__
from bwv_device.camera.commands.dispatch import Answer, Hands, Remote
from bwv_device.camera.error_boundary import ErrorBoundary
from bwv_device.camera.loop import Loop, Outcome
from bwv_device.camera.telemetry import home_assistant, ledger_events
from bwv_device.camera.telemetry.broker_connection import BrokerConnection, BrokerObserver, Greeting
from bwv_device.camera.telemetry.camera_status import CameraStatus
from bwv_device.camera.vault import undelivered
from bwv_device.camera.vault.vault_lane import VaultLane
from bwv_device.formats import signature
from bwv_device.formats.mqtt_messages import (
    Event,
    Head,
    Health,
    Presence,
    Reply,
    State,
    Topics,
    Undelivered,
    head_statement,
)
from bwv_device.settings import Settings, seconds
from hal.ports import SECOND_NS, Anchor, Board, MqttMessage, Timer, UtcReading

# Changes come in groups: at most one state message a second.
CHANGE_NS = SECOND_NS
RESTART_NS = 60 * SECOND_NS
LOOK_NS = SECOND_NS // 20
CONTRADICT_NS = 5 * SECOND_NS
FAULTS = 16


class TelemetryState(enum.Enum):
    """Whether messages are published."""

    RUNNING = "messages go to the outbox"
    SUSPENDED = "an unexpected error was met; it begins again in a while"
    STOPPED = "the camera has ended"


_S = TelemetryState


class Telemetry(BrokerObserver):
    """From `opened`, when the ledger's boot counter is known, to `stop`."""

    def __init__(
        self,
        board: Board,
        loop: Loop,
        settings: Settings,
        config_sha256: str,
        vault_lane: VaultLane,
        status: Callable[[], CameraStatus],
        hands: Hands,
        roots: Sequence[x509.Certificate],
    ) -> None:
        self._board, self._loop, self._settings = board, loop, settings
        self._vault_lane, self._status, self._config_sha256 = vault_lane, status, config_sha256
        self._boundary = ErrorBoundary(loop, "telemetry", self._failed)
        self._device = board.identity.device
        self._topics = Topics(settings.device.agency, self._device)
        self._began_ns = loop.now_ns()
        self._boot = 0
        self._anchor: Anchor | None = None
        self._numbers: dict[str, int] = {}
        self._timers: dict[str, Timer] = {}
        self._due_ns: dict[str, int] = {}
        self._faults: deque[dict[str, Any]] = deque(maxlen=FAULTS)
        self._told: tuple[object, ...] = ()
        self._troubled = False
        self._composing = False
        self._oldest = Undelivered(0)
        self.running = _S.RUNNING
        reports = {"head": self._report_head, "diagnostics": self._report_diagnostics}
        self.remote = Remote(
            board, loop, self._boundary, vault_lane, roots, hands, self._reply, reports
        )
        self._line = self._new_line()

    # --- life ---------------------------------------------------------------------------------

    def opened(self, anchor: Anchor, commands: int) -> None:
        """The ledger is open, maybe anew; `commands` is the largest counter it knows."""
        self._boundary.run(lambda: self._opened(anchor, commands))

    def changed(self, anchor: Anchor | None) -> None:
        """Something may have changed. Only real changes are published."""
        self._anchor = anchor or self._anchor
        if self._boot and self.running is not _S.SUSPENDED:
            self._boundary.run(self._tell_change)

    def noted(self, kind: str, fields: Mapping[str, Any], anchor: Anchor) -> None:
        """A line of the ledger is durable."""
        self._anchor = anchor
        self._boundary.run(lambda: self._noted(kind, fields, anchor.number))

    def _noted(self, kind: str, fields: Mapping[str, Any], number: int) -> None:
        event = ledger_events.told(kind, fields)
        if event is None:
            return
        if self.running is _S.SUSPENDED:  # else the line that says so would be the next error
            self._numbers["event"] = self._numbers.get("event", 0) + 1
            self._line.dropped += 1
            return
        self._tell_event(event, number)

    def say_last(self, done: Callable[[], None]) -> None:
        """What is so in the end goes out, where there is a line. `done` may come late, or never:
        whoever waits has a limit of his own."""

        def look() -> None:
            if self._line.drained:
                done()
            else:
                self._later("last", LOOK_NS, look)

        def begin() -> None:
            self._tell_state()
            self._later("last", LOOK_NS, look)

        if self._line.up:
            self._boundary.run(begin)
        else:
            done()

    def stop(self) -> None:
        self.running = _S.STOPPED
        for timer in self._timers.values():
            timer.cancel()
        self._boundary.run(self._line.stop)

    def _opened(self, anchor: Anchor, commands: int) -> None:
        if anchor.boot != self._boot:
            self._boot, self._numbers = anchor.boot, {}
        self._anchor = anchor
        self.remote.opened(commands)
        if self.running is _S.RUNNING:
            self._line.start()
            self._tell_state()
            self._tell_health()

    def _failed(self, error: Exception) -> None:
        """After an unexpected error: a new connection, a minute later."""
        reason = f"{type(error).__name__}: {error}"
        self._troubled = True
        if self.running is _S.RUNNING:
            self.running = _S.SUSPENDED
        self._vault_lane.note("fault", part="telemetry", reason=reason[:200])
        old, self._line = self._line, self._new_line()
        self._line.session = old.session + 1
        self._line.connections, self._line.dropped = old.connections, old.dropped
        old.abandon()
        self._board.mqtt.close()
        self._later("restart", RESTART_NS, self._restart)

    def _restart(self) -> None:
        self.running, self._composing = _S.RUNNING, False
        self._line.start()
        self._tell_state()
        self._tell_health()

    def _new_line(self) -> BrokerConnection:
        topics, settings = self._topics, self._settings.mqtt
        listens = (topics["command"], topics["presence"])
        line = BrokerConnection(
            self._board.mqtt, self._board.outbox, self._board.entropy, self._loop,
            self._boundary, settings, listens, self,
        )  # fmt: skip
        return line

    def trouble(self, reason: str) -> None:
        """One ledger line until it works again: an outage of hours is one event."""
        if not self._troubled:
            self._troubled = True
            self._vault_lane.note("fault", part="telemetry", reason=reason[:200])

    def broker_up(self) -> None:
        self._troubled = False

    # --- presence -----------------------------------------------------------------------------

    def greeting(self, session: int) -> Greeting:
        about = (__version__, self._config_sha256)
        birth = self._topics.message("presence", Presence(True, self._boot, session, *about))
        offline = self._topics.message("presence", Presence(False, self._boot, session))
        certificate = self._board.identity.certificate_pem
        messages = [MqttMessage(self._topics["identity"], certificate, retain=True), birth]
        if self._settings.mqtt.home_assistant:
            agency = self._settings.device.agency
            messages.append(home_assistant.announcement(self._topics, agency, self._device))
        return Greeting(messages, offline)

    def received(self, topic: str, payload: bytes) -> None:
        if topic == self._topics["presence"]:
            # An old will came late. Whoever owns the broker could say so all day.
            if b'"online":false' in payload and "contradict" not in self._timers:
                self._later("contradict", CONTRADICT_NS, self._contradict)
        elif topic == self._topics["command"]:
            self.remote.take(payload)

    def sifted_out(self, reason: str, count: int) -> None:
        self.remote.sifted_out(reason, count)

    def _contradict(self) -> None:
        self._timers.pop("contradict", None)
        self._line.say_birth()

    # --- state --------------------------------------------------------------------------------

    def _aspects(self) -> tuple[object, ...]:
        """What is published as soon as it changes; the rest waits for the next regular message."""
        status = self._status()
        power = status.power
        return (
            *status[:7], status.band, power.charging if power else None, status.room,
            status.delivery, status.software, self.remote.counter,
        )  # fmt: skip

    def _tell_change(self) -> None:
        if self._aspects() != self._told:
            self._soon("state", CHANGE_NS, self._tell_state)

    def _tell_state(self) -> None:
        self._later("state", seconds(self._settings.mqtt.state_s), self._tell_state)
        if self._composing:
            return
        self._composing = True
        self._told = self._aspects()
        status, anchor = self._status(), self._anchor

        def job() -> tuple[Head | None, Undelivered]:
            return self._head(anchor), self._undelivered()

        def composed(outcome: Outcome) -> None:
            self._composing = False
            if outcome.error is not None:
                self.trouble(str(outcome.error))
            head, self._oldest = outcome.value if outcome.error is None else (None, self._oldest)
            self._line.put("state", self._topics.message("state", self._state(status, head)))

        self._boundary.submit(job, composed)

    def _state(self, status: CameraStatus, head: Head | None) -> State:
        return State(
            **self._stamp("state"),
            session=self._line.session,
            state=status.state,
            recording=status.recording,
            stored=status.stored,
            able=status.able,
            unmet=status.unmet,
            officer=status.officer,
            light=status.light,
            battery=status.battery(),
            storage=status.storage(self._percent_left()),
            undelivered=self._oldest,
            delivery=status.delivery,
            command_counter=self.remote.counter,
            head=head,
            software=status.software,
        )

    def _percent_left(self) -> int | None:
        try:
            free, total = self._board.disk.free_bytes(), self._board.disk.total_bytes()
        except OSError:
            return None
        return min(100, 100 * free // total) if total else None

    def _head(self, anchor: Anchor | None) -> Head | None:
        """Signed by the device key: a broker can't invent one."""
        if anchor is None:
            return None
        when = _milliseconds(self._board.clock.utc())
        signed = signature.from_der(self._board.identity.sign(head_statement(anchor, *when)))
        return Head(*anchor, *when, signed.hex())

    def _undelivered(self) -> Undelivered:
        """Looks up the oldest file only if it changed."""
        files, name = undelivered.waiting(self._board.disk)
        if name != self._oldest.oldest:
            disk, certificate_pem = self._board.disk, self._board.identity.certificate_pem
            recorded_ns = undelivered.recorded_ns(disk, certificate_pem, name) if name else None
            utc_ms = None if recorded_ns is None else recorded_ns // 1_000_000
            return Undelivered(files, name, utc_ms)
        return Undelivered(files, name, self._oldest.oldest_utc_ms)

    # --- the others ---------------------------------------------------------------------------

    def _tell_health(self) -> None:
        self._later("health", seconds(self._settings.mqtt.health_s), self._tell_health)
        self._boundary.submit(self._board.vitals.read, self._compose_health)

    def _compose_health(self, outcome: Outcome) -> None:
        vitals = outcome.value if outcome.error is None else {}
        said = Health(**self._stamp("health"), **self.vital_signs(), vitals=vitals)
        self._line.put("health", self._topics.message("health", said))

    def vital_signs(self) -> dict[str, Any]:
        """The fields of a health message beside its stamp and the computer's vitals."""
        power, line = self._status().power, self._line
        return {
            "session": line.session,
            "uptime_s": (self._loop.now_ns() - self._began_ns) // SECOND_NS,
            "undervoltage": power.undervoltage if power else False,
            "temperature_c": power.temperature_c if power else None,
            "waiting": line.filled.rows,
            "waiting_bytes": line.filled.size_bytes,
            "dropped": line.dropped + line.filled.dropped,
            "connections": line.connections,
            "refused": dict(self.remote.refused),
        }

    def _tell_event(self, event: ledger_events.LineEvent, number: int) -> None:
        said = Event(**self._stamp("event"), kind=event.kind, line=number, fields=event.fields)
        if event.kind == "fault":
            self._faults.append({"utc_ms": said.utc_ms, **event.fields})
        if self._boot:
            self._line.put("", self._topics.message("event", said))

    def _reply(self, answer: Answer) -> None:
        said = Reply(**self._stamp("reply"), **answer._asdict())
        self._line.put("", self._topics.message("reply", said))

    # --- what a command may ask ---------------------------------------------------------------

    def _report_head(self, done: Callable[[dict[str, Any]], None]) -> None:
        anchor = self._anchor
        self._boundary.submit(
            lambda: self._head(anchor),
            lambda outcome: done({"head": asdict(outcome.value) if outcome.value else None}),
        )

    def _report_diagnostics(self, done: Callable[[dict[str, Any]], None]) -> None:
        def compose(outcome: Outcome) -> None:
            about = {"software": __version__, "config_sha256": self._config_sha256}
            vitals = outcome.value if outcome.error is None else {}
            faults = list(self._faults)
            done({**about, **self.vital_signs(), "vitals": vitals, "faults": faults})

        self._boundary.submit(self._board.vitals.read, compose)

    # --- inside -------------------------------------------------------------------------------

    def _stamp(self, leaf: str) -> dict[str, Any]:
        number = self._numbers[leaf] = self._numbers.get(leaf, 0) + 1
        reading = self._board.clock.utc()
        utc_ms, error_ms = _milliseconds(reading)
        when = {"utc_ms": utc_ms, "error_ms": error_ms, "clock": reading.source}
        return {"boot": self._boot, "number": number, **when}

    def _soon(self, name: str, wait_ns: int, callback: Callable[[], None]) -> None:
        """Runs within `wait_ns`; an earlier plan stays."""
        due_ns = self._loop.now_ns() + wait_ns
        if self._due_ns.get(name, due_ns + 1) > due_ns:
            self._later(name, wait_ns, callback)

    def _later(self, name: str, wait_ns: int, callback: Callable[[], None]) -> None:
        if self.running is _S.STOPPED:
            return
        if timer := self._timers.pop(name, None):
            timer.cancel()
        due_ns = self._due_ns[name] = self._loop.now_ns() + wait_ns
        self._timers[name] = self._loop.call_at(due_ns, lambda: self._boundary.run(callback))


def _milliseconds(reading: UtcReading) -> tuple[int, int]:
    """Wall clock and error in milliseconds; the error is rounded up."""
    return reading.utc_ns // 1_000_000, -(-reading.error_ns // 1_000_000)
