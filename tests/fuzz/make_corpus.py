"""Writes where fuzzing starts from: `PYTHONPATH=tests/fuzz python tests/fuzz/make_corpus.py`."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from targets import agency

from bwv_device.backends import broker_frames
from bwv_device.fleet.sign_command import command_statement
from bwv_device.formats.age_payload import Opener
from bwv_device.formats.ledger_lines import parse_line
from hal.ports import AccessUnit, Track
from hal.rpi.capture import pipe_messages
from sim.world.camera_handle import make_camera
from sim.world.custody_workers import BenchCustody
from sim.world.mqtt_operator import command_key

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    video = {"bitrate_kbps": 200, "fps": 5}
    camera = make_camera(agency(), recording={"pre_event_s": 2}, video=video)
    camera.world.run(seconds=3)
    camera.press_twice()
    camera.world.run(seconds=2)
    camera.press("marker")
    camera.world.run(seconds=1)
    camera.hold()
    camera.world.run(seconds=1)
    camera.switch_off()
    files = dict(camera.world.disk.files())
    ledger = files["ledger/00000001.ledger"]
    sealed = next(data for path, data in files.items() if path.endswith(".mp4.age"))
    plain = b"".join(Opener(io.BytesIO(sealed), agency().identities).chunks())
    lines = ledger.splitlines()
    first = camera.world.media.video.gop(0)[0]
    _put("vault", whole=ledger, half=b"\n".join(lines[:4]) + b"\n", torn=ledger[:-30])
    _put("survey", whole=len(ledger).to_bytes(2, "big") + ledger, cut=b"\x04\x00" + ledger)
    _put("line", **{f"line{n}": line for n, line in enumerate(lines[:12])})
    _put("canonical", **{f"value{n}": line.partition(b"\t")[0] for n, line in enumerate(lines[:6])})
    by_kind = {parse_line(line).kind: line.partition(b"\t")[0] for line in lines}
    _put("grammar", **by_kind)
    told = [broker_frames.encode("connected", 1),
            broker_frames.encode("acknowledged", 1, token=5),
            broker_frames.encode("received", 1, topic="t", payload=broker_frames.data(b"x")),
            broker_frames.encode("sifted_out", 1, counts={"forged": 2}),
            broker_frames.encode("closed", 1, reason="lost")]  # fmt: skip
    _put("broker-frames", some=b"".join(told), one=told[2])
    _put("sealed", whole=sealed[:4000], header=sealed[:300])
    _put("mp4", start=plain[:2000], fragment=plain[:9000])
    _put("h264", keyframe=first[:200], picture=camera.world.media.video.gop(0)[1][:200])
    _put("trust", **{name.replace(".", "-"): data for name, data in agency().files.items()})
    _put("config", repository=Path("config.toml").read_bytes(), small=b"[device]\nagency = 'x'\n")
    _put("anchor", head=b'{"device":"a","boot":1,"number":2,"digest":"00"}')
    _put(
        "wire",
        units=_units(first),
        words=pipe_messages.message(pipe_messages.Kind.LOST, {"units": 3}),
    )
    _put_dock()
    _put_fleet()
    scenarios = Path(str(resources.files("sim").joinpath("scenario", "shipped")))
    _put("scenario", **{path.stem: path.read_bytes() for path in scenarios.glob("*.toml")})


def _units(picture: bytes) -> bytes:
    """What a capture process sends."""
    units = [AccessUnit(Track.VIDEO, n, 33_000_000, n == 0, picture[:60]) for n in range(3)]
    return pipe_messages.units(units)


def _put_fleet() -> None:
    """What a desk and a camera say to each other, and packets of a broker."""
    camera = make_camera(agency(), mqtt={"broker": "bench"})
    camera.world.run(seconds=3)
    camera.press_twice()
    camera.world.run(seconds=12)
    prefix = "bwv/v1/example-agency/bench-camera-1/"
    said = camera.world.broker.retained
    leaves = ("identity", "presence", "state", "health")
    texts = [f"{leaf}\n".encode() + said[prefix + leaf] for leaf in leaves]
    _put("roster", **{f"real-{n}-{leaves[n]}": text for n, text in enumerate(texts)})
    desk, now_s = command_key(agency()), 1_772_438_400
    for name, table in (("locate", {"seconds": 3}), ("hold", {"recording": ""})):
        good = command_statement(desk, "bench-camera-1", name, table, 5, "x", 60, now_s)
        _put("command", **{f"good-{name}": good})
    publish = b"\x00\x01A\x00payload"
    _put("mqtt", connack=b"\x20\x03\x00\x00\x00", puback=b"\x40\x02\x00\x01",
         publish=b"\x30" + bytes([len(publish)]) + publish,
         disconnect=b"\xe0\x02\x8e\x00",
         suback=b"\x20\x03\x00\x00\x00\x90\x04\x00\x01\x00\x01")  # fmt: skip


def _put_dock() -> None:
    """What a docking leaves in a store."""
    camera = make_camera(agency(), recording={"pre_event_s": 0}, dock={"store": "bench"})
    custody = BenchCustody(camera.world, agency())
    custody.start()
    camera.world.run(seconds=2)
    camera.press_twice()
    camera.world.run(seconds=2)
    camera.hold()
    camera.world.run(seconds=1)
    said: list[bytes] = []
    custody.store.put = _listening(custody.store.put, said)  # type: ignore[method-assign]
    camera.world.put_in_dock(True)
    camera.world.run(seconds=30)
    _put("statement", **{f"statement{n}": data for n, data in enumerate(said)})
    lines = [d for k, d in custody.store.objects.items() if k.startswith("custody/ledger/")]
    _put("custody", lines=b"".join(lines), first=lines[0])


def _listening(put: Callable[[str, bytes], None], said: list[bytes]) -> Callable[..., None]:
    def listen(key: str, data: bytes) -> None:
        if key.startswith(("dockings/", "outbox/")):
            said.append(data)
        put(key, data)

    return listen


def _put(target: str, **seeds: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
