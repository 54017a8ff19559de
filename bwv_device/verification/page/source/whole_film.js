// Makes a whole film anew out of its sealed originals (docs/format.md, 11.5).

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, ascii, big, find, floorDiv, hex, join, number, put, same, unhex } from "./bytes.js";
import { decode } from "./canonical_json.js";
import { Opened } from "./sealed_file.js";

const SHORTEST = 1024, INIT = 65536, MOOF = 1 << 20, WITHIN = 16;
const SECOND = 1_000_000_000n, MOVIE = 1_000_000n;
const OURS = unhex("b0d7c0de5e1f4a0c9a3e62776d657461");
const MANIFEST = unhex("d8fec3d61b0e483c92975828877ec481");
const KEYFRAME = 0x02000000;
const FTYP = join(unhex("0000002066747970"), ascii("isom\0\0\x02\0isomiso2avc1mp41"));
const UNITY = unhex("00010000" + "00".repeat(12) + "00010000" + "00".repeat(12) + "40000000");
const PAGE = 4096n, LEAST_ROOM = 64n << 10n, MOST_ROOM = 64n << 20n, FAR = 1n << 32n;
const MOOV_LIMIT = 256 << 20;
const kindAt = (data, at) => String.fromCharCode(...data.subarray(at, at + 4));
const max = (values, otherwise) => values.reduce((a, b) => (a === null || b > a ? b : a), null) ?? otherwise;
const min = (values, otherwise) => values.reduce((a, b) => (a === null || b < a ? b : a), null) ?? otherwise;

// --- boxes of a segment ---

function* plainBoxes(data, at, end) {
  while (at + 8 <= end) {
    const size = number(data, at);
    if (size < 8) throw new Fail("a box of a size that can't be");
    yield { kind: kindAt(data, at + 4), start: at, end: Math.min(at + size, end), whole: at + size <= end };
    at += size;
  }
}

function few(data, box) {
  const found = [];
  for (const inner of plainBoxes(data, box.start + 8, box.end)) {
    found.push(inner);
    if (found.length > WITHIN) throw new Fail("too many boxes");
  }
  return found;
}

function child(data, parent, kind) {
  for (const box of plainBoxes(data, parent.start + 8, parent.end)) if (box.kind === kind) return box;
  throw new Fail("a box is missing");
}

const raw = (data, box) => data.subarray(box.start, box.end);

class Start {
  constructor(data) {
    const first = new Map();
    for (const box of plainBoxes(data, 0, data.length)) if (box.whole) first.set(box.kind, box);
    const [ftyp, moov, uuid] = ["ftyp", "moov", "uuid"].map((kind) => first.get(kind));
    if (!ftyp || !moov || !uuid || !same(data.subarray(uuid.start + 8, uuid.start + 24), OURS)) {
      throw new Fail("another beginning");
    }
    this.began = decode(data.subarray(uuid.start + 24, uuid.end)).first_pts_ns;
    if (typeof this.began !== "bigint") throw new Fail("another beginning");
    this.data = join(raw(data, ftyp), raw(data, moov));
    this.rate = sound(data, moov);
  }
}

function sound(data, moov) {
  for (const trak of plainBoxes(data, moov.start + 8, moov.end)) {
    if (trak.kind !== "trak") continue;
    const tkhd = child(data, trak, "tkhd"), mdhd = child(data, child(data, trak, "mdia"), "mdhd");
    if (number(data, tkhd.start + 20) === 2) return BigInt(number(data, mdhd.start + 20));
  }
  throw new Fail("no sound");
}

function runOf(data, moof, traf) {
  const inner = new Map(few(data, traf).map((box) => [box.kind, box.start + 8]));
  if (!["tfhd", "tfdt", "trun"].every((kind) => inner.has(kind))) throw new Fail("a box is missing");
  const track = number(data, inner.get("tfhd") + 4);
  if (track !== 1 && track !== 2) throw new Fail("another track");
  const at = inner.get("trun"), count = number(data, at + 4), columns = track === 1 ? 3 : 2;
  if (at + 12 + 4 * columns * count > traf.end) throw new Fail("a run that is longer than its box");
  const column = (c) => Array.from({ length: count }, (_, n) => number(data, at + 12 + 4 * (columns * n + c)));
  const keys = columns === 3 ? column(2).map((flag) => flag === KEYFRAME) : Array(count).fill(true);
  return { track, time: big(data, inner.get("tfdt") + 4), where: moof.start + number(data, at + 8),
    lasts: column(0), sizes: column(1), keys };
}

function runsOf(data, moof) {
  if (moof.end - moof.start > MOOF) throw new Fail("a fragment's description is too long");
  const trafs = few(data, moof).filter((box) => box.kind === "traf");
  if (trafs.length > 2) throw new Fail("too many runs");
  const found = trafs.map((traf) => runOf(data, moof, traf));
  if (new Set(found.map((run) => run.track)).size !== found.length) throw new Fail("two runs of a track");
  return found;
}

/** Of each piece; behind a gap from the first fragment on that is one. */
function* fragmentsOf(opened) {
  for (const [nth, data] of opened.pieces.entries()) {
    let at = nth === 0 ? 0 : firstFragment(data), moof = null;
    while (at !== null && at + 8 <= data.length) {
      const box = plainBoxes(data, at, data.length).next().value;
      if (box.whole && box.kind === "moof") moof = box;
      else if (box.kind === "mdat" && moof !== null) {
        yield [data, moof, box];
        moof = null;
      }
      if (!box.whole) break;
      at = box.end;
    }
  }
}

function firstFragment(data) {
  const mark = ascii("moof");
  for (let at = find(data, mark, 4); at >= 0; at = find(data, mark, at + 1)) {
    const start = at - 4, size = number(data, start), end = start + size;
    if (size < 8 || size > MOOF) continue;
    if (end + 8 > data.length) return null;
    try {
      const runs = runsOf(data, { start, end });
      if (kindAt(data, end + 4) === "mdat" && runs.length) return start;
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
    }
  }
  return null;
}

// --- the film ---

class Track {
  constructor(nth, rate) {
    Object.assign(this, { nth, rate, end: 0n, middle: -1n, times: [], sizes: [], keys: [], chunks: [] });
  }

  add(place, time, lasts, sizes, keys) {
    const before = this.times.at(-1);
    if (time < 0n || (before !== undefined && !(time - before >= 0n && time - before < FAR))) {
      throw new Fail("a sample that no film has room for");
    }
    const nth = this.sizes.length;
    let at = time;
    for (const lasting of lasts) {
      this.times.push(at);
      at += BigInt(lasting);
    }
    this.end = at;
    if (at >= 1n << 64n) throw new Fail("a sample that no film has room for");
    for (const size of sizes) this.sizes.push(size);
    keys.forEach((key, n) => key && this.keys.push(nth + n + 1));
    this.chunks.push([place, sizes.length]);
  }

  movie(ticks) {
    return floorDiv(ticks * MOVIE + this.rate / 2n, this.rate);
  }
}

class WholeFilm {
  constructor(start, room) {
    this.start = start;
    this.room = room;
    this.tracks = new Map([[1, new Track(1, MOVIE)], [2, new Track(2, start.rate)]]);
    this.samples = sha256.create();
    this.length = 0n;
  }

  mark() {
    const kept = [...this.tracks.values()].map((t) => [t, t.times.length, t.keys.length, t.chunks.length, t.end, t.middle]);
    return { samples: this.samples.clone(), length: this.length, kept };
  }

  goBack({ samples, length, kept }) {
    this.samples = samples;
    this.length = length;
    for (const [track, times, keys, chunks, end, middle] of kept) {
      track.times.length = track.sizes.length = times;
      track.keys.length = keys;
      track.chunks.length = chunks;
      track.end = end;
      track.middle = middle;
    }
  }

  /** In one piece, or sample by sample where it is cut, or repeats what was written before. */
  add(data, moof, mdat, offset) {
    const runs = runsOf(data, moof);
    const fresh = runs.every((run) => this.when(run, run.time, offset) > this.tracks.get(run.track).middle);
    if (!mdat.whole || !fresh) {
      this.oneByOne(data, runs, mdat, offset);
      return;
    }
    const media = mdat.start + 8, sum = (values) => values.reduce((a, b) => a + b, 0);
    for (const run of runs) {
      if (!run.sizes.length) continue;
      if (run.where < media || run.where > mdat.end - sum(run.sizes)) throw new Fail("samples outside their box");
      const track = this.tracks.get(run.track), end = run.time + BigInt(sum(run.lasts));
      const time = run.time + this.ticks(offset, track.rate);
      track.add(this.length + BigInt(run.where - media), time, run.lasts, run.sizes, run.keys);
      const last = this.when(run, end - BigInt(run.lasts.at(-1)), offset);
      track.middle = floorDiv(last + this.when(run, end, offset), 2n);
    }
    this.write(data.subarray(media, mdat.end));
  }

  oneByOne(data, runs, mdat, offset) {
    const units = [];
    for (const run of runs) {
      const { rate } = this.tracks.get(run.track);
      const ns = (ticks) => floorDiv(ticks * SECOND + rate / 2n, rate) + offset;
      let { time, where } = run;
      for (const [n, size] of run.sizes.entries()) {
        if (where + size > mdat.end) break;
        const end = time + BigInt(run.lasts[n]);
        units.push({ begin: ns(time), end: ns(end), track: run.track, key: run.keys[n], sample: data.subarray(where, where + size) });
        time = end;
        where += size;
      }
    }
    units.sort((a, b) => (a.begin < b.begin ? -1 : a.begin > b.begin ? 1 : 0));
    for (const { begin, end, track: nth, key, sample } of units) {
      const track = this.tracks.get(nth);
      if (begin <= track.middle) continue;
      const first = this.ticks(begin, track.rate), until = this.ticks(end, track.rate);
      track.add(this.length, first, [until - first], [sample.length], [key]);
      this.write(sample);
      track.middle = floorDiv(begin + end, 2n);
    }
  }

  when(run, ticks, offset) {
    return offset + floorDiv(ticks * SECOND, this.tracks.get(run.track).rate);
  }

  ticks(ns, rate) {
    return floorDiv(ns * rate + SECOND / 2n, SECOND);
  }

  write(data) {
    this.samples.update(data);
    this.length += BigInt(data.length);
  }

  /** Everything in front of the samples. */
  head() {
    const tracks = [...this.tracks.values()].filter((track) => track.sizes.length);
    const short = this.length + 8n < FAR;
    const mdat = short
      ? join(put(this.length + 8n), ascii("mdat"))
      : join(put(1), ascii("mdat"), put(this.length + 16n, 8));
    const around = FTYP.length + mdat.length;
    let length = around + this.moov(tracks, 0n, 8).length;
    const width = max([this.room, BigInt(length)]) + this.length >= FAR ? 8 : 4;
    if (width === 4) length = around + this.moov(tracks, 0n, 4).length;
    const free = Number(this.room) - length >= 8 ? boxed("free", new Uint8Array(Number(this.room) - length - 8)) : new Uint8Array(0);
    return join(FTYP, this.moov(tracks, BigInt(length + free.length), width), free, mdat);
  }

  moov(tracks, media, width) {
    const { data } = this.start, moov = child(data, { start: -8, end: data.length }, "moov");
    const traks = new Map();
    for (const box of plainBoxes(data, moov.start + 8, moov.end)) {
      if (box.kind === "trak") traks.set(number(data, child(data, box, "tkhd").start + 20), box);
    }
    const lasts = max(tracks.map((track) => track.movie(track.end)), 0n);
    const mvhd = full("mvhd", 1, 0, new Uint8Array(16), put(MOVIE), put(lasts, 8), put(0x10000), put(0x100, 2),
      new Uint8Array(10), UNITY, new Uint8Array(24), put(3));
    const made = tracks.map((track) => {
      if (!traks.has(track.nth)) throw new Fail("a track is missing");
      return trak(data, traks.get(track.nth), track, media, width);
    });
    return boxed("moov", mvhd, ...made);
  }
}

function boxed(kind, ...parts) {
  const inside = join(...parts);
  return join(put(8 + inside.length), ascii(kind), inside);
}

const full = (kind, version, flags, ...parts) => boxed(kind, put((BigInt(version) << 24n) | BigInt(flags)), ...parts);

function trak(data, source, track, media, width) {
  const begin = track.movie(track.times[0]), length = track.movie(track.end) - begin;
  const tkhd = raw(data, child(data, source, "tkhd")).subarray(12 + 20);
  const header = join(new Uint8Array(16), put(track.nth), new Uint8Array(4), put(begin + length, 8), tkhd);
  const edits = [join(put(length, 8), new Uint8Array(8), put(0x10000))];
  if (begin) edits.unshift(join(put(begin, 8), new Uint8Array(8).fill(255), put(0x10000)));
  const mdia = child(data, source, "mdia"), minf = child(data, mdia, "minf");
  const mdhd = full("mdhd", 1, 0, new Uint8Array(16), put(track.rate), put(track.end - track.times[0], 8), put(0x55c4, 2), new Uint8Array(2));
  const others = [...plainBoxes(data, minf.start + 8, minf.end)].filter((box) => box.kind !== "stbl");
  const stsd = raw(data, child(data, child(data, minf, "stbl"), "stsd"));
  const stbl = boxed("stbl", stsd, ...tables(track, media, width));
  return boxed(
    "trak",
    full("tkhd", 1, 7, header),
    boxed("edts", full("elst", 1, 0, put(edits.length), ...edits)),
    boxed("mdia", mdhd, raw(data, child(data, mdia, "hdlr")), boxed("minf", ...others.map((box) => raw(data, box)), stbl)),
  );
}

/** Runs of equal values: how many, and which. */
function grouped(values) {
  const found = [];
  for (const value of values) {
    if (found.length && found.at(-1)[1] === value) found.at(-1)[0] += 1;
    else found.push([1, value]);
  }
  return found;
}

function packed(values, width = 4) {
  const all = new Uint8Array(values.length * width);
  values.forEach((value, n) => all.set(put(value, width), n * width));
  return all;
}

function tables(track, media, width) {
  const until = [...track.times.slice(1), track.end];
  const times = grouped(track.times.map((time, n) => until[n] - time));
  const made = [full("stts", 0, 0, put(times.length), packed(times.flat()))];
  if (track.keys.length < track.sizes.length) {
    made.push(full("stss", 0, 0, put(track.keys.length), packed(track.keys)));
  }
  let first = 1;
  const chunks = grouped(track.chunks.map(([, count]) => count));
  const rows = chunks.map(([many, count]) => {
    const row = [first, count, 1];
    first += many;
    return row;
  });
  made.push(full("stsc", 0, 0, put(rows.length), packed(rows.flat())));
  made.push(full("stsz", 0, 0, put(0), put(track.sizes.length), packed(track.sizes)));
  const places = packed(track.chunks.map(([place]) => media + place), width);
  made.push(full(width === 8 ? "co64" : "stco", 0, 0, put(track.chunks.length), places));
  return made;
}

// --- a recording ---

/** Bytes that a film leaves for its head. */
function roomOf(claims, size) {
  const starts = claims.map((claim) => claim.began).filter((began) => began !== null);
  const longest = max(starts.slice(1).map((began, n) => began - starts[n]), 60n * SECOND);
  const seconds = floorDiv(max(starts, 0n) - min(starts, 0n) + longest, SECOND) + 1n;
  const room = min([4096n + 16n * seconds * 110n + 20n * seconds * 10n, LEAST_ROOM + floorDiv(BigInt(size), 4n)]);
  return min([MOST_ROOM, -floorDiv(-room, PAGE) * PAGE]);
}

/** Each film that comes out: its name, its head, the digest of its samples and their length.
 * `originals`: name, reader (null where it is not there), claim and key. A segment that can't be used is left out, whole. */
export async function filmsOf(recording, all, progress = () => {}) {
  const originals = all.filter((one) => one.claim.recording === recording);
  const room = roomOf(originals.map((one) => one.claim), originals.reduce((sum, one) => sum + (one.reader?.size ?? 0), 0));
  const films = new Map();
  let film = null;
  const finish = () => {
    const name = films.size ? `${recording}.${films.size + 1}.mp4` : `${recording}.mp4`;
    films.set(name, { head: film.head(), samples: hex(film.samples.digest()), length: film.length });
  };
  for (const original of originals) {
    if (original.name.includes(".jpg.") || !original.reader) continue;
    await progress(original.name);
    const mark = film?.mark();
    let made;
    try {
      made = await withSegment(film, original, room);
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      film?.goBack(mark);
      continue;
    }
    if (film !== null && made !== film) finish();
    film = made;
  }
  if (film !== null) finish();
  return films;
}

async function withSegment(film, { reader, claim, key }, room) {
  const opened = await Opened.of(reader, claim.head, key);
  if (opened.first < SHORTEST) throw new Fail("cut off before its first picture");
  const start = new Start(opened.pieces[0].subarray(0, Math.min(opened.first, INIT)));
  const given = claim.plaintext;
  if (given && !(opened.whole && (await opened.sha256()) === given)) {
    throw new Fail("what is inside is not what the ledger says");
  }
  const on = film !== null && same(film.start.data, start.data) ? film : new WholeFilm(start, room);
  let any = false;
  for (const [data, moof, mdat] of fragmentsOf(opened)) {
    on.add(data, moof, mdat, start.began - on.start.began);
    any = true;
  }
  if (!any) throw new Fail("cut off before its first picture");
  return on;
}

// --- a film without its manifest ---

/** Whether a film, without its manifest, is what was made anew. */
export async function isMadeOf(reader, { head, samples, length }) {
  const digest = sha256.create();
  let at = 0;
  for await (const block of bare(reader)) {
    const front = head.subarray(at, at + block.length);
    if (!same(block.subarray(0, front.length), front)) return false;
    digest.update(block.subarray(front.length));
    at += block.length;
  }
  return BigInt(at) === BigInt(head.length) + length && hex(digest.digest()) === samples;
}

async function* bare(reader) {
  const found = [];
  for await (const box of filmBoxes(reader)) found.push(box);
  let ours = null;
  for (const box of found) {
    if (box.kind !== "uuid" || ours || box.end - box.inside < 16) continue;
    if (same(await reader.bytes(box.inside, 16), MANIFEST)) ours = box;
  }
  for (const box of found) {
    if (box === ours) continue;
    if (ours && box.kind === "mdat" && box.start < ours.start) throw new Fail("its manifest stands behind the samples");
    if (ours && box.kind === "moov") {
      if (box.end - box.start > MOOV_LIMIT) throw new Fail("its tables are too large");
      const moov = (await reader.bytes(box.start, box.end - box.start)).slice();
      lower(moov, box.inside - box.start, moov.length, ours.end - ours.start, 0);
      yield moov;
    } else yield* reader.blocks(box.start, box.end);
  }
}

async function* filmBoxes(reader) {
  for (let at = 0; at < reader.size; ) {
    const head = await reader.bytes(at, Math.min(16, reader.size - at));
    const box = boxAt(head, 0, reader.size - at);
    yield { kind: box.kind, start: at, inside: at + box.inside, end: at + box.size };
    at += box.size;
  }
}

function boxAt(head, at, left) {
  let size = number(head, at), inside = 8;
  if (size === 1 && left >= 16) {
    size = number(head, at + 8, 8);
    inside = 16;
  }
  if (left < 8 || size < inside || size > left) throw new Fail("its boxes are damaged");
  return { kind: kindAt(head, at + 4), inside, size };
}

/** Chunk offsets as they were before the manifest came in front of the samples. */
function lower(moov, at, end, by, depth) {
  if (depth > 4) throw new Fail("its boxes are too deep");
  while (at < end) {
    const { kind, inside, size } = boxAt(moov, at, end - at);
    const begin = at + inside, stop = at + size;
    if (["trak", "mdia", "minf", "stbl"].includes(kind)) lower(moov, begin, stop, by, depth + 1);
    else if (kind === "stco" || kind === "co64") {
      const width = kind === "stco" ? 4 : 8, count = number(moov, begin + 4);
      if (begin + 8 + width * count > stop) throw new Fail("its chunk offsets are cut");
      for (let place = begin + 8; place < begin + 8 + width * count; place += width) {
        moov.set(put(big(moov, place, width) - BigInt(by), width), place);
      }
    }
    at = stop;
  }
}
