"""What product.md promises an officer, played on the simulated camera."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from support.camera_bench import Camera

from hal.ports import SECOND_NS, Fix
from hal.simulated.disk import TEARS

Make = Callable[..., Camera]


def record(it: Camera, seconds: float) -> None:
    it.press_record_twice()
    it.run(seconds=seconds)
    it.hold_record()
    it.run(seconds=1)


def refusals(it: Camera) -> list[str]:
    return [condition for line in it.ledger("refused") for condition in line["conditions"]]


def test_a_plain_recording(camera: Make, tmp_path: Path) -> None:
    it = camera()
    it.run(seconds=40)
    record(it, 20)
    assert it.state() == "ready"
    opened, closed = it.ledger("open")[0], it.ledger("close")[0]
    assert opened["pre_event"] == {
        "requested_ms": 30_000,
        "achieved_ms": (opened["pressed_ns"] - opened["first_pts_ns"]) // 1_000_000,
        "shortfall": "",
        "audio": "not captured by policy",
    }
    assert 30_000 <= opened["pre_event"]["achieved_ms"] < 31_100
    assert closed["reason"] == "stop"
    it.shut_down()
    report = it.verify(tmp_path)
    assert report.complete, report
    assert [v.status.value for v in report.segments] == ["sealed"]


def test_the_recording_ends_where_the_button_was_released_not_earlier(
    camera: Make, tmp_path: Path
) -> None:
    it = camera()
    it.run(seconds=3)
    record(it, 5.3)
    stopped_ns = next(t.at_ns for t in it.transitions if t.event.value == "stop")
    sealed = it.ledger("seal")[0]
    assert 0 <= stopped_ns - sealed["end_pts_ns"] + SECOND_NS // 30 <= 2 * SECOND_NS // 30 + 1


def test_sounds_and_lights_of_a_recording(camera: Make) -> None:
    it = camera()
    it.run(seconds=5)
    assert it.panel.history["status light"][-1].pattern == "ready"
    it.press_record_twice()
    it.run(seconds=95)
    it.hold_record()
    it.run(seconds=2)
    assert it.sounds() == [
        "recording started",
        *["recording goes on"] * 3,
        "recording stopped",
    ]
    assert it.light() == "dark"
    light = [s for s in it.panel.history["front light"] if s.pattern == "recording"]
    gaps = {b.at_ns - a.at_ns for a, b in pairwise(light)}
    assert gaps == {SECOND_NS // 2}


def test_segments_are_a_minute_and_cut_on_keyframes(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    record(it, 150)
    sealed = it.ledger("seal")
    assert [s["segment"][-12:-8] for s in sealed] == ["0001", "0002", "0003"]
    for one, two in pairwise(sealed):
        assert two["first_pts_ns"] - one["first_pts_ns"] == 60 * SECOND_NS
        assert two["first_pts_ns"] % SECOND_NS == 0
    units = sum(s["video_units"] for s in sealed)
    span_ns = sealed[-1]["end_pts_ns"] - sealed[0]["first_pts_ns"]
    assert abs(units - span_ns * 30 // SECOND_NS) <= 1


def test_post_event(camera: Make) -> None:
    it = camera(recording={"post_event_s": 10})
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=5)
    it.hold_record()
    stop_ns = it.transitions[-1].at_ns
    assert it.state() == "post-event"
    assert it.light() == "recording"
    it.run(seconds=12)
    assert it.state() == "ready"
    end_ns = it.ledger("seal")[0]["end_pts_ns"]
    assert abs(end_ns - stop_ns - 10 * SECOND_NS) <= SECOND_NS // 20


def test_pressing_again_in_the_post_event_time_records_on(camera: Make) -> None:
    it = camera(recording={"post_event_s": 10})
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=5)
    it.hold_record()
    it.run(seconds=4)
    it.press_record_twice()
    it.run(seconds=20)
    assert it.state() == "recording"
    it.hold_record()
    it.run(seconds=12)
    assert len(it.ledger("close")) == 1


def test_markers_informed_first(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=10)
    it.press("record")
    it.run(seconds=5)
    it.press_marker()
    it.run(seconds=5)
    assert [line["marker"] for line in it.ledger("marker")] == ["informed", "moment"]


def test_a_late_single_press_is_a_moment_and_the_officer_was_reminded(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=29)
    assert not any("vibration" in line for line in it.ledger("cue"))
    it.run(seconds=3)
    assert [line["vibration"] for line in it.ledger("cue") if "vibration" in line] == [
        "tell those present"
    ]
    it.run(seconds=40)
    it.press_marker()
    it.run(seconds=2)
    assert [line["marker"] for line in it.ledger("marker")] == ["moment"]


def test_a_start_while_the_last_recording_is_being_closed_lights_on(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=5)
    it.disk.latency_ns = lambda operation: 3 * SECOND_NS if operation.verb == "sync" else 0
    it.hold_record()
    it.press_record_twice()
    it.disk.latency_ns = lambda operation: 0
    it.run(seconds=8)
    assert it.state() == "recording"
    assert it.light() == "recording"
    assert [line.get("sound") for line in it.ledger("cue")].count("recording stopped") == 0
    it.hold_record()
    it.run(seconds=2)
    assert len(it.ledger("close")) == 2
    assert it.light() == "dark"


def informs(it: Camera) -> int:
    return [line.get("vibration") for line in it.ledger("cue")].count("tell those present")


@pytest.mark.parametrize(
    ("after_s", "window_s", "pressed_s", "reminded"),
    [(30, 60, None, 1), (30, 60, 20, 0), (30, 60, 35, 1), (30, 30, None, 0), (29, 30, None, 1)],
)
def test_the_reminder_to_inform_comes_once_where_nobody_was_told(
    camera: Make, after_s: int, window_s: int, pressed_s: int | None, reminded: int
) -> None:
    it = camera(public={"reminder_after_s": after_s, "informed_window_s": window_s})
    it.run(seconds=3)
    it.press_record_twice()
    for second in range(100):
        if second == pressed_s:
            it.press("marker")
        it.run(seconds=1)
        assert informs(it) <= (second >= after_s - 1)
    assert informs(it) == reminded
    it.hold_record()
    it.run(seconds=2)


def test_a_recording_that_is_over_reminds_nobody(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    record(it, 10)
    it.run(seconds=60)
    assert informs(it) == 0


def test_the_first_press_says_informed_within_its_window_only(camera: Make) -> None:
    for wait_s, kind in ((57, "informed"), (63, "moment")):
        it = camera()
        it.run(seconds=3)
        it.press_record_twice()
        it.run(seconds=wait_s)
        it.press("marker")
        it.run(seconds=2)
        assert [line["marker"] for line in it.ledger("marker")] == [kind]


def test_flag_while_recording_and_shortly_after(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press("marker", held_ms=2200)
    assert refusals(it) == ["there is no recording to flag"]
    record(it, 5)
    it.press("marker", held_ms=2200)
    it.run(seconds=70)
    it.press("marker", held_ms=2200)
    it.run(seconds=1)
    assert [line["recording"] for line in it.ledger("flag")] == ["00000001-0001"]
    assert len(refusals(it)) == 2


def test_snapshot_only_while_recording(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_marker(times=2)
    it.run(seconds=2)
    assert refusals(it) == ["it is not recording"]
    it.press_record_twice()
    it.run(seconds=2.3)
    it.press_marker(times=2)
    pressed_ns = it.loop.now_ns()
    it.run(seconds=3)
    still = it.ledger("still")[0]
    assert still["segment"] == "00000001-0001-0001.jpg.age"
    # The camera was asked for a keyframe: nobody waits for the next second.
    assert 0 < still["pts_ns"] - pressed_ns < SECOND_NS


def test_mute_and_covert_are_refused_unless_policy_allows(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=2)
    it.press_marker(times=3)
    it.run(seconds=1)
    hold_both(it)
    assert refusals(it) == ["policy forbids mute", "policy forbids covert mode"]
    assert it.ledger("mute") == it.ledger("covert") == []


def hold_both(it: Camera) -> None:
    it.panel.press("record")
    it.panel.press("marker")
    it.run(seconds=5.2)
    it.panel.release("record")
    it.panel.release("marker")
    it.run(seconds=1)


def test_mute_is_a_signed_interval_with_its_own_light(camera: Make) -> None:
    it = camera(policy={"mute": True})
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=5)
    it.press_marker(times=3)
    it.run(seconds=10)
    assert it.light() == "recording without sound"
    it.press_marker(times=3)
    it.run(seconds=5)
    assert it.light() == "recording"
    it.hold_record()
    it.run(seconds=1)
    on, off = it.ledger("mute")
    assert (on["on"], off["on"]) == (True, False)
    sealed = it.ledger("seal")[0]
    seconds = (sealed["end_pts_ns"] - sealed["first_pts_ns"]) / SECOND_NS
    heard = sealed["audio_units"] * 1024 / 48_000
    assert seconds - heard - 3 == pytest.approx((off["t"] - on["t"]) / SECOND_NS, abs=1.5)


def test_a_third_press_that_is_held_mutes_as_long_as_it_is(camera: Make) -> None:
    it = camera(policy={"mute": True})
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=5)
    it.press("marker", times=2)
    it.run(seconds=0.2)
    it.panel.press("marker")
    it.run(seconds=12)
    assert it.light() == "recording without sound"
    it.panel.release("marker")
    it.run(seconds=0.3)
    assert it.light() == "recording"
    on, off = it.ledger("mute")
    assert (on["reason"], off["reason"]) == ("button", "button let go")
    assert (off["t"] - on["t"]) / SECOND_NS == pytest.approx(12, abs=0.1)


def test_letting_go_does_not_switch_what_the_press_has_ended(camera: Make) -> None:
    """Muted before: three presses end it, however long the third lasts."""
    it = camera(policy={"mute": True})
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=5)
    it.press_marker(times=3)
    it.run(seconds=5)
    it.press("marker", times=2)
    it.run(seconds=0.2)
    it.press("marker", held_ms=4000)
    it.run(seconds=2)
    assert [line["on"] for line in it.ledger("mute")] == [True, False]


def test_it_says_once_that_it_ended_without_battery(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.power.set(1)
    it.run(seconds=30)
    assert it.state() == "stopped"
    it.switched_off()
    it.power.set(90)
    it.dock.put(True)
    it.boot()
    it.run(seconds=10)
    assert "ended without battery" not in it.sounds(), "not in the dock: nobody hears it there"
    it.put_in_dock(False)
    it.run(seconds=5)
    assert it.sounds().count("ended without battery") == 1
    it.put_in_dock(True)
    it.run(seconds=5)
    it.put_in_dock(False)
    it.run(seconds=5)
    assert it.sounds().count("ended without battery") == 1
    it.shut_down()
    it.boot()
    it.run(seconds=5)
    assert "ended without battery" not in it.sounds()


def test_a_battery_that_goes_out_without_a_word_is_told_too(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.power.set(4)
    it.run(seconds=30)
    it.power_cut(TEARS[-1])
    it.power.set(90)
    it.boot()
    it.run(seconds=5)
    assert "ended without battery" in it.sounds()
    it.power_cut(TEARS[-1])
    it.boot()
    it.run(seconds=5)
    assert "ended without battery" not in it.sounds(), "a cut of the power is another thing"


def test_covert_is_felt_every_quarter_of_an_hour(camera: Make) -> None:
    it = camera(policy={"covert": True, "covert_limit_min": 60})
    it.run(seconds=3)
    hold_both(it)
    it.run(seconds=50 * 60)
    told = [line for line in it.ledger("cue") if line.get("vibration") == "covert goes on"]
    assert len(told) == 3
    hold_both(it)
    it.run(seconds=30 * 60)
    assert len([x for x in it.ledger("cue") if x.get("vibration")]) == 3


def test_covert_is_dark_and_ends_at_the_dock(camera: Make) -> None:
    it = camera(policy={"covert": True})
    it.run(seconds=3)
    hold_both(it)
    before = len(it.panel.history["beeper"])
    it.press_record_twice()
    it.run(seconds=40)
    assert it.state() == "recording"
    assert {s.pattern for s in it.panel.history["front light"]} == {"dark"}
    assert it.panel.history["status light"][-1].pattern == "dark"
    assert [s for s in it.panel.history["beeper"][before:] if s.level.value == "on"] == []
    it.put_in_dock(True)
    it.run(seconds=2)
    assert [(x["on"], x["reason"]) for x in it.ledger("covert")] == [
        (True, "button"),
        (False, "dock or shutdown"),
    ]


def test_covert_ends_by_itself(camera: Make) -> None:
    it = camera(policy={"covert": True, "covert_limit_min": 1})
    it.run(seconds=3)
    hold_both(it)
    it.run(seconds=61)
    assert it.ledger("covert")[-1]["reason"] == "time limit"


def test_roll_over_without_a_gap(camera: Make, tmp_path: Path) -> None:
    it = camera(recording={"rollover_min": 1, "segment_s": 30})
    it.run(seconds=3)
    record(it, 130)
    closed = it.ledger("close")
    assert [c["reason"] for c in closed] == ["roll-over", "roll-over", "stop"]
    opened = [o for o in it.ledger("open") if o["index"] == 1]
    assert [o.get("follows") for o in opened] == [None, "00000001-0001", "00000001-0002"]
    sealed = it.ledger("seal")
    for one, two in pairwise(sealed):
        assert abs(two["first_pts_ns"] - one["end_pts_ns"]) <= 25_000_000
    it.shut_down()
    films = it.export(tmp_path)
    assert sum(film.video_units for film in films) == sum(s["video_units"] for s in sealed)


def test_a_sensor_that_is_never_quite_on_time_loses_nothing(camera: Make, tmp_path: Path) -> None:
    """Real stamps come some hundred microseconds early or late, also where fragments meet."""
    it = camera()
    for device in (it.camera, it.microphone):
        device.disturb = lambda batch: [
            unit._replace(pts_ns=unit.pts_ns + (unit.pts_ns // 1000 * 7919 % 900 - 450) * 1000)
            for unit in batch
        ]
    it.run(seconds=3)
    record(it, 20)
    it.shut_down()
    (sealed,) = it.ledger("seal")
    (film,) = it.export(tmp_path)
    assert (film.video_units, film.audio_units) == (sealed["video_units"], sealed["audio_units"])
    assert not [gap for gap in it.ledger("gap") if gap["reason"] == "missing"]


def test_without_a_pre_event_it_starts_at_the_next_keyframe(camera: Make) -> None:
    it = camera(recording={"pre_event_s": 0})
    it.run(seconds=3.4)
    it.press_record_twice()
    it.run(seconds=3)
    opened = it.ledger("open")[0]
    assert opened["first_pts_ns"] >= opened["pressed_ns"]
    assert opened["first_pts_ns"] - opened["pressed_ns"] <= SECOND_NS
    assert it.camera.keyframe_requests == 1


def test_refusals_name_their_conditions(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.camera.stalled = True
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=1)
    assert refusals(it) == ["the camera delivers pictures"]
    assert it.sounds()[-1] == "refused"
    assert it.panel.history["status light"][-1].pattern == "cannot record"
    it.camera.stalled = False
    it.run(seconds=3)
    it.put_in_dock(True)
    it.run(seconds=1)
    it.press_record_twice()
    it.run(seconds=1)
    assert refusals(it)[-1] == "the camera is docked"


def test_docking_ends_a_forgotten_recording_and_forgets_the_buffer(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=10)
    it.put_in_dock(True)
    it.run(seconds=3)
    assert it.state() == "docked"
    assert it.ledger("close")[0]["reason"] == "dock"
    assert it.agent.parts.recorder.prebuffer_bytes == 0
    assert len(it.ledger("dock")[0]["nonce"]) == 32
    delivered = it.camera.delivered
    it.run(seconds=20)
    assert it.camera.delivered == delivered, "it does not film in the dock"
    it.put_in_dock(False)
    it.run(seconds=3)
    assert it.state() == "ready"


def test_storage_full_ends_in_order_and_refuses(camera: Make, tmp_path: Path) -> None:
    it = camera(storage={"reserve_mib": 8})
    it.disk.capacity_bytes = 24 << 20
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=60)
    assert it.state() == "ready"
    assert it.ledger("close")[0]["reason"] == "storage full"
    assert "storage low" in it.sounds()
    it.press_record_twice()
    it.run(seconds=1)
    assert refusals(it) == ["storage has room"]
    it.shut_down()
    assert it.verify(tmp_path).complete


def test_battery_alarms_and_an_orderly_end(camera: Make, tmp_path: Path) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_record_twice()
    it.power.set(10)
    it.run(seconds=12)
    assert "battery low" in it.sounds()
    it.power.set(2)
    it.run(seconds=15)
    assert it.ended_in_order
    assert it.ledger("close")[0]["reason"] == "battery empty"
    assert [line["band"] for line in it.ledger("power")] == ["low", "empty"]
    it.vanish()
    assert it.verify(tmp_path).complete


def test_a_clock_that_is_not_set_is_heard_and_carried_in_every_time(camera: Make) -> None:
    it = camera(boot=False)
    it.clock.source, it.clock.error_ns = "none", 10**18
    it.boot()
    it.run(seconds=3)
    assert it.sounds() == ["clock not set"]
    record(it, 3)
    assert it.ledger("open")[0]["time"]["source"] == "none"


def test_a_step_of_the_clock_is_a_line_and_never_moves_footage(camera: Make) -> None:
    it = camera()
    it.run(seconds=12)
    it.press_record_twice()
    it.run(seconds=5)
    it.clock.offset_ns -= 3600 * SECOND_NS
    it.run(seconds=20)
    it.hold_record()
    it.run(seconds=1)
    steps = [line["stepped_ns"] for line in it.ledger("time")]
    assert len(steps) == 1
    assert steps[0] == pytest.approx(-3600 * SECOND_NS, abs=SECOND_NS)
    assert len(it.ledger("seal")) == 1


def test_the_spoken_notice_is_played_and_logged(camera: Make) -> None:
    it = camera(public={"spoken_notice": "recording-en"})
    it.run(seconds=3)
    record(it, 3)
    assert it.speaker.said == ["recording-en"]
    assert it.ledger("public-informed")[0]["notice"] == "recording-en"


def test_in_covert_mode_nothing_is_spoken(camera: Make) -> None:
    it = camera(public={"spoken_notice": "recording-en"}, policy={"covert": True})
    it.run(seconds=3)
    hold_both(it)
    record(it, 3)
    assert it.speaker.said == []
    assert it.ledger("public-informed") == []


def test_a_speaker_that_fails_is_a_fault_and_no_notice(camera: Make) -> None:
    it = camera(public={"spoken_notice": "recording-en"})
    it.speaker.broken = "no speaker"
    it.run(seconds=3)
    record(it, 3)
    assert it.ledger("public-informed") == []
    assert it.ledger("fault")[0]["part"] == "speaker"


def test_the_place_is_sealed_and_not_in_the_ledger(camera: Make, agency, tmp_path: Path) -> None:
    import io

    from bwv_device.formats.age_payload import Opener
    from bwv_device.formats.media.mp4_reader import read_init

    it = camera(location={"enabled": True})
    it.location.place = Fix(515_000_000, -1_200_000, 8)
    it.run(seconds=3)
    record(it, 3)
    ledger = b"".join(data for path, data in it.disk.files() if path.startswith("ledger"))
    assert b"latitude" not in ledger
    sealed = next(data for path, data in it.disk.files() if path.endswith(".age"))
    plain = b"".join(Opener(io.BytesIO(sealed), agency.identities).chunks())
    assert read_init(plain).metadata["location"]["latitude_e7"] == 515_000_000


def test_a_lamp_that_fails_is_in_the_ledger(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.panel.break_output("front_light", "burnt out")
    record(it, 3)
    failed = [line for line in it.ledger("cue") if "failed" in line]
    assert failed[0]["failed"] == "front light"
    assert "burnt out" in failed[0]["reason"]


def test_a_stuck_button_is_in_the_ledger(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.panel.press("record")
    it.run(seconds=70)
    assert [line["reason"] for line in it.ledger("fault")] == ["record button stuck"]


def test_every_second_is_explained(camera: Make) -> None:
    """Off, docked, ready, recording: the state lines of the ledger tile the whole time."""
    it = camera(docked=True)
    it.run(seconds=3)
    it.put_in_dock(False)
    it.run(seconds=5)
    record(it, 5)
    it.put_in_dock(True)
    it.run(seconds=2)
    it.shut_down()
    states = it.ledger("state")
    assert [line["to"] for line in states] == [
        *("ready", "docked", "ready", "recording", "post-event", "ready", "docked", "stopped")
    ]
    assert all(a["to"] == b["from"] for a, b in pairwise(states))
    assert it.ledger()[-1]["kind"] == "stop"


def test_the_ledgers_head_goes_out_with_the_status(camera: Make, tmp_path: Path) -> None:
    it = camera(mqtt={"broker": "bench"})
    it.run(seconds=3)
    record(it, 3)
    it.run(seconds=3)
    last = [message for message in it.broker.messages if message.topic.endswith("/state")][-1]
    assert last.retain
    assert last.topic == "bwv/v1/example-agency/bench-camera-1/state"
    head = json.loads(last.payload)["head"]
    lines = {line["n"] for line in it.ledger()}
    assert head["number"] in lines


def test_an_impatient_finger_starts_again_at_once(camera: Make) -> None:
    """Start right behind a stop: the new recording waits for the old one's last bytes."""
    it = camera()
    it.disk.latency_ns = lambda operation: 60_000_000
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=5)
    it.hold_record()
    it.press_record_twice()
    it.run(seconds=5)
    assert it.state() == "recording"
    it.hold_record()
    it.run(seconds=2)
    assert [c["recording"] for c in it.ledger("close")] == ["00000001-0001", "00000001-0002"]


def test_a_covered_lens_is_felt_and_written_down(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.press_record_twice()
    it.run(seconds=3)
    it.camera.impair("covered", True)
    it.run(seconds=2)
    it.camera.impair("covered", False)
    it.microphone.impair("silent", True)
    it.run(seconds=2)
    faults = [(fault["part"], fault["reason"]) for fault in it.ledger("fault")]
    assert faults == [
        ("camera", "covered"),
        ("camera", "covered no longer"),
        ("microphone", "silent"),
    ]
    felt = [shown.pattern for shown in it.panel.history["vibration"] if shown.level.value == "on"]
    assert felt.count("pictures or sound show nothing") == 4
    assert it.state() == "recording"
    assert it.light() == "recording"


def test_a_holster_that_opens_starts_a_recording_and_never_ends_one(camera: Make) -> None:
    it = camera(pins={"trigger": 25})
    it.run(seconds=3)
    holster = it.panel.factory.pin(25)
    for drive in (holster.drive_low, holster.drive_high, holster.drive_low):
        drive()
        it.run(seconds=2)
    assert it.state() == "recording"
    (opened,) = it.ledger("open")
    assert opened["trigger"] == "trigger"


def test_without_a_holster_its_pin_is_nobodys(camera: Make) -> None:
    it = camera()
    it.run(seconds=3)
    it.panel.factory.pin(25).drive_low()
    it.run(seconds=2)
    assert it.state() == "ready"


def test_a_hot_board_is_told_once_until_it_has_cooled(camera: Make) -> None:
    it = camera()
    for celsius in (60, 81, 79, 82, 74, 81):
        it.power.board_c = celsius
        it.run(seconds=11)
    told = [fault["reason"] for fault in it.ledger("fault") if fault["part"] == "board"]
    assert told == ["hot: 81 C", "hot no longer", "hot: 81 C"]


def test_a_long_hold_right_behind_a_short_press_stops(camera: Callable[..., Camera]) -> None:
    """An officer in a hurry. The same movement on a camera that is ready starts, and never stops
    what it has just started."""
    it = camera(recording={"pre_event_s": 0, "post_event_s": 0})
    it.run(seconds=2)
    for expected in ("recording", "ready"):
        it.press("record")
        it.run(seconds=0.2)
        it.press("record", held_ms=4000)
        it.run(seconds=2)
        assert it.state() == expected
