"""The owner of a real mosquitto against a camera: what he sends is read in another process, and
what reaches the recording one is what the agency signed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mqtt_clients import AGENCY, Desk, Ear
from support.signed_commands import fields, signed

from bwv_device.backends.broker_process import ORDER_LIMIT, BrokerProcess
from bwv_device.backends.broker_server import SHARE
from hal.keystore import SoftwareIdentity
from hal.ports import MqttMessage

NAME = "cam-flood"
TOPIC = f"bwv/v1/{AGENCY}/{NAME}/command"
WILL = MqttMessage(f"bwv/v1/{AGENCY}/{NAME}/presence", b"gone", retain=True)
LONGEST = 16_384


class Line:
    """A camera's line in its process, and somebody who may write to its topic."""

    def __init__(self, desk: Desk) -> None:
        self.link: BrokerProcess = desk.camera_process(NAME)
        self.ear = Ear()
        self.link.open(WILL, (TOPIC,), self.ear)
        self.ear.wait("connected")
        self.link.publish(1, MqttMessage(f"bwv/v1/{AGENCY}/{NAME}/event", b"here"))
        self.ear.wait("acknowledged")
        self.key = SoftwareIdentity(desk.role("command"), desk.role("command"))
        self.camera_pem = (desk.folder / f"{NAME}.pem").read_bytes()
        self.teller = desk.person("command", f"teller-{id(self)}")
        self.teller_ear, self.said = Ear(), 0
        self.teller.open(None, (), self.teller_ear)
        self.teller_ear.wait("connected")

    def say(self, payload: bytes) -> None:
        """A few may be under way."""
        self.said += 1
        self.teller.publish(self.said, MqttMessage(TOPIC, payload))
        if self.said > 20:
            self.teller_ear.wait("acknowledged", self.said - 20)

    def command(self, counter: int) -> bytes:
        return signed(self.key, fields(counter, device=NAME))

    def close(self) -> None:
        self.teller.close()
        self.link.close()
        self.link.end()


@pytest.fixture
def line(desk: Desk) -> Iterator[Line]:
    made = Line(desk)
    yield made
    made.close()


def hostile(line: Line) -> dict[str, bytes]:
    """Messages of the longest that a command may be, each dear to some parser."""
    pem = line.camera_pem  # published by the camera itself
    mark = b"\t" + b"0" * 128 + b"\n" + pem
    room = LONGEST - len(mark)
    return {
        "escaped quotes": b'{"a":"' + b'\\"' * ((room - 6) // 2) + mark,
        "open lists": (b"{" + b"[" * (room - 1)) + mark,
        "junk": os.urandom(LONGEST),
        "certificates": (b"{}\t" + b"0" * 128 + b"\n" + pem * 10)[:LONGEST],
        "too long": bytes(LONGEST + 1),
    }


def test_nothing_but_signed_commands_reaches_the_recorder(line: Line) -> None:
    for payload in hostile(line).values():
        line.say(payload)
    good = line.command(1)
    line.say(good[:-40])
    line.say(good.replace(b'"counter":1', b'"counter":2'))
    line.say(good)
    assert line.ear.wait("received") == ("received", TOPIC, good)
    assert len(line.ear.all("received")) == 1
    line.say(b"one more, so that the rest is told")
    time_s = time.monotonic() + 10
    while time.monotonic() < time_s and counted(line) < 8:
        line.say(b"and more")
        threading.Event().wait(0.3)
    assert {reason for _, reason, _ in line.ear.all("sifted_out")} >= {"malformed", "forged"}
    assert counted(line) >= 7


def counted(line: Line) -> int:
    return sum(int(str(count)) for _, _, count in line.ear.all("sifted_out"))


def cpu_s(pid: int | None) -> float:
    if pid is None:
        times = os.times()
        return times.user + times.system
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def test_a_message_costs_the_recorder_nothing_and_the_other_process_its_budget(line: Line) -> None:
    """400 hostile messages of 16 KiB: processor time of each in the broker's process is at most
    that of two good commands; and while they come a signed command still gets through."""
    good = [line.command(n) for n in range(1, 41)]
    for number, payload in enumerate(good, 1):
        line.say(payload)
        line.ear.wait("received", number)
    pid = line.link.pid
    before_s = cpu_s(pid)
    for payload in good:
        line.say(payload)
    line.ear.wait("received", 80)
    each_good_s = max(0.0005, (cpu_s(pid) - before_s) / 40)
    before_s, payloads = cpu_s(pid), list(hostile(line).values())
    for number in range(400):
        line.say(payloads[number % len(payloads)])
    line.say(line.command(1000))
    line.ear.wait("received", 81)
    each_hostile_s = (cpu_s(pid) - before_s) / 400
    print(f"good {each_good_s * 1e3:.2f} ms, hostile {each_hostile_s * 1e3:.2f} ms")
    assert each_hostile_s <= 2 * each_good_s
    assert len(line.ear.all("received")) == 81


def test_the_process_gives_way(line: Line) -> None:
    """Nicer than the recorder, the first to go when memory runs out; and its share is bounded."""
    pid = line.link.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 10
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    assert SHARE <= 0.25


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_ends_is_a_line_that_is_lost(line: Line, how: int) -> None:
    os.kill(line.link.pid, how)
    assert "has ended" in str(line.ear.wait("closed")[1])
    again = Ear()
    line.link.open(WILL, (TOPIC,), again)
    again.wait("connected")
    good = line.command(7)
    line.say(good)
    assert again.wait("received") == ("received", TOPIC, good)


def test_one_that_hangs_holds_nobody_up(line: Line) -> None:
    """Orders wait, up to a limit; then they are left out, at once."""
    pid = line.link.pid
    os.kill(pid, signal.SIGSTOP)
    message = MqttMessage(f"bwv/v1/{AGENCY}/{NAME}/event", bytes(8000))
    done = threading.Event()

    def publish() -> None:
        for token in range(3000):
            line.link.publish(token, message)
        done.set()

    threading.Thread(target=publish, daemon=True).start()
    assert done.wait(20)
    child = line.link._child
    assert child is not None
    assert child._orders.qsize() <= ORDER_LIMIT
    os.kill(pid, signal.SIGCONT)


def test_processes_that_end_leave_nothing_behind(line: Line) -> None:
    """Neither descriptors nor threads nor zombies, however often."""

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    before = held()
    for _ in range(4):
        ear = Ear()
        line.link.open(WILL, (TOPIC,), ear)
        ear.wait("connected")
        os.kill(line.link.pid, signal.SIGKILL)
        ear.wait("closed")
    again = Ear()
    line.link.open(WILL, (TOPIC,), again)
    again.wait("connected")
    assert held() <= (before[0] + 1, before[1] + 1)
