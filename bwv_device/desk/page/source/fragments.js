// A segment's fragments, made ready for Media Source Extensions: pictures and sound apart, on the
// clock of the whole recording. Where no sound was kept (before the press) silence stands, for a
// player waits for ever where one of its tracks has nothing; where pictures are missing the last one
// stays. Both are told in the lanes below the film.

import { Fail, ascii, big, join, number, put } from "../../../verification/page/source/bytes.js";

const kindAt = (data, at) => String.fromCharCode(...data.subarray(at, at + 4));
const MOST = 64 << 20;
// AAC-LC, 1,024 samples of silence; one and two channels.
const SILENCE = { 1: Uint8Array.of(0x00, 0xc8, 0x00, 0x80, 0x23, 0x80), 2: Uint8Array.of(0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80) };
const FRAME = 1024n, SECOND = 1_000_000_000n;
const KEY = 0x02000000;

function* boxes(data, at, end) {
  while (at + 8 <= end) {
    const size = number(data, at);
    if (size < 8 || at + size > end) throw new Fail("its boxes are damaged");
    yield { kind: kindAt(data, at + 4), start: at, end: at + size };
    at += size;
  }
}

const child = (data, box, kind) => {
  for (const inner of boxes(data, box.start + 8, box.end)) if (inner.kind === kind) return inner;
  throw new Fail("a box is missing");
};
const boxed = (kind, ...parts) => {
  const inside = join(...parts);
  return join(put(8 + inside.length), ascii(kind), inside);
};
const full = (kind, version, flags, ...parts) => boxed(kind, put((BigInt(version) << 24n) | BigInt(flags)), ...parts);

/** What stands in front of a segment's fragments. */
export class Beginning {
  constructor(ftyp, data, moov) {
    this.ftyp = ftyp;
    this.data = data;
    this.moov = moov;
    this.tracks = new Map();
    for (const trak of boxes(data, moov.start + 8, moov.end)) {
      if (trak.kind !== "trak") continue;
      const mdia = child(data, trak, "mdia"), entry = this.entry(mdia);
      const nth = number(data, child(data, trak, "tkhd").start + 20), rate = BigInt(number(data, child(data, mdia, "mdhd").start + 20));
      this.tracks.set(nth, { nth, rate, trak, ...entry });
    }
    this.video = [...this.tracks.values()].find((track) => track.video);
    this.audio = [...this.tracks.values()].find((track) => !track.video) ?? null;
    if (!this.video) throw new Fail("it has no pictures");
  }

  entry(mdia) {
    const { data } = this, stsd = child(data, child(data, child(data, mdia, "minf"), "stbl"), "stsd");
    const at = stsd.start + 16, kind = kindAt(data, at + 4);
    if (kind === "avc1") {
      const avcc = [...boxes(data, at + 8 + 78, at + number(data, at))].find((box) => box.kind === "avcC");
      const [, profile, compatible, level] = data.subarray(avcc.start + 8, avcc.start + 12);
      const two = (value) => value.toString(16).padStart(2, "0");
      return { video: true, codec: `avc1.${two(profile)}${two(compatible)}${two(level)}`,
        width: number(data, at + 32, 2), height: number(data, at + 34, 2) };
    }
    if (kind === "mp4a") return { video: false, codec: "mp4a.40.2", channels: number(data, at + 24, 2) };
    throw new Fail("a track is neither pictures nor sound as a camera makes them");
  }

  /** An initialization segment with one track alone. */
  init(track) {
    const { data, moov } = this, parts = [];
    for (const box of boxes(data, moov.start + 8, moov.end)) {
      if (box.kind === "trak" && box.start !== track.trak.start) continue;
      if (box.kind !== "mvex") parts.push(data.subarray(box.start, box.end));
      else {
        const kept = [...boxes(data, box.start + 8, box.end)].filter((inner) => inner.kind !== "trex" || number(data, inner.start + 12) === track.nth);
        parts.push(boxed("mvex", ...kept.map((inner) => data.subarray(inner.start, inner.end))));
      }
    }
    return join(this.ftyp, boxed("moov", ...parts));
  }
}

/** Reads a segment's plaintext as it comes: `push` gives the fragments that became whole. */
export class SegmentReader {
  /** `offsetNs`: where the segment begins in the recording. */
  constructor(offsetNs) {
    this.offsetNs = offsetNs;
    this.waiting = new Uint8Array(0);
    this.beginning = null;
    this.ftyp = null;
    this.moof = null;
    this.soundUntil = null;
  }

  push(plain) {
    this.waiting = this.waiting.length ? join(this.waiting, plain) : plain;
    const found = [];
    let at = 0;
    while (at + 8 <= this.waiting.length) {
      const size = number(this.waiting, at), kind = kindAt(this.waiting, at + 4);
      if (size < 8 || size > MOST) throw new Fail("its boxes are damaged");
      if (at + size > this.waiting.length) break;
      const box = this.waiting.slice(at, at + size);
      at += size;
      if (kind === "ftyp") this.ftyp = box;
      if (kind === "moov") this.beginning = new Beginning(this.ftyp, box, { start: 0, end: box.length });
      if (kind === "moof") this.moof = box;
      if (kind === "mdat" && this.moof && this.beginning) {
        found.push(this.fragment(this.moof, box));
        this.moof = null;
      }
    }
    if (at) this.waiting = this.waiting.subarray(at);
    return found;
  }

  /** `video` and `audio` make what a player takes, when it takes it; null for a track without. */
  fragment(moof, mdat) {
    const runs = new Map();
    for (const traf of boxes(moof, 8, moof.length)) {
      if (traf.kind === "traf") {
        const run = this.run(moof, traf, mdat);
        runs.set(run.track.nth, run);
      }
    }
    const video = runs.get(this.beginning.video.nth) ?? null, audio = this.beginning.audio ? runs.get(this.beginning.audio.nth) ?? null : null;
    const pictures = video ? this.pictures(video) : [];
    return {
      from: pictures[0]?.from ?? null, to: pictures.at(-1)?.to ?? null, key: video ? video.samples[0].flags === KEY : false, pictures,
      video: video && (() => made(video, this.ticks(video.track, this.offsetNs))),
      audio: this.sound(audio, video),
    };
  }

  ticks(track, ns) {
    return (ns * track.rate + SECOND / 2n) / SECOND;
  }

  run(moof, traf, mdat) {
    const nth = number(moof, child(moof, traf, "tfhd").start + 12), track = this.beginning.tracks.get(nth);
    if (!track) throw new Fail("a fragment of another track");
    const time = big(moof, child(moof, traf, "tfdt").start + 12), trun = child(moof, traf, "trun").start;
    const flags = number(moof, trun + 8) & 0xffffff, count = number(moof, trun + 12);
    const columns = [0x100, 0x200, 0x400, 0x800].filter((flag) => flags & flag);
    let at = trun + 16 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    let place = number(moof, trun + 16) - moof.length;
    const samples = [];
    for (let n = 0; n < count; n++) {
      const row = {};
      for (const flag of columns) {
        row[flag] = number(moof, at);
        at += 4;
      }
      const data = mdat.subarray(place, place + row[0x200]);
      if (data.length !== row[0x200] || row[0x100] === undefined) throw new Fail("a run that is longer than its fragment");
      samples.push({ duration: BigInt(row[0x100]), flags: row[0x400] ?? KEY, data });
      place += row[0x200];
    }
    return { track, time, samples };
  }

  /** Begin and end of each picture in seconds of the recording. */
  pictures({ track, time, samples }) {
    const offset = Number(this.offsetNs) / 1e9, rate = Number(track.rate);
    let at = time;
    return samples.map(({ duration }) => {
      const from = offset + Number(at) / rate;
      at += duration;
      return { from, to: offset + Number(at) / rate };
    });
  }

  /** The fragment's sound; silence in front of it where it begins late, or where there is none. */
  sound(audio, video) {
    const { audio: track } = this.beginning;
    if (!track) return null;
    const until = video ? ((video.time + video.samples.reduce((sum, s) => sum + s.duration, 0n)) * track.rate) / video.track.rate : 0n;
    const begin = this.soundUntil ?? 0n, from = audio ? audio.time : until, samples = [];
    const frames = from > begin ? (from - begin) / FRAME : 0n;
    for (let n = 0n; n < frames; n++) samples.push({ duration: FRAME, flags: KEY, data: SILENCE[track.channels] ?? SILENCE[1] });
    if (samples.length) samples.at(-1).duration += (from - begin) % FRAME;
    const start = samples.length ? begin : audio ? audio.time : null;
    if (audio) samples.push(...audio.samples);
    if (!samples.length) return null;
    this.soundUntil = (start ?? begin) + samples.reduce((sum, s) => sum + s.duration, 0n);
    return () => made({ track, time: start, samples }, this.ticks(track, this.offsetNs));
  }
}

let sequence = 0;

/** One `moof` and its `mdat`, of one track. */
function made({ track, time, samples }, offset) {
  const rows = join(...samples.map(({ duration, flags, data }) => join(put(duration), put(data.length), put(flags))));
  const moof = (place) =>
    boxed("moof", full("mfhd", 0, 0, put(++sequence)),
      boxed("traf", full("tfhd", 0, 0x20000, put(track.nth)), full("tfdt", 1, 0, put(time + offset, 8)),
        full("trun", 0, 0x701, put(samples.length), put(place), rows)));
  const length = moof(0).length;
  sequence--;
  return join(moof(length + 8), boxed("mdat", ...samples.map(({ data }) => data)));
}
