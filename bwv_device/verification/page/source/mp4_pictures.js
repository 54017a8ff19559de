// NAL units of a film, MP4 with tables or with fragments, in decoding order.

import { Fail, find, number } from "./bytes.js";

const WITH_BOXES = ["moov", "trak", "mdia", "minf", "stbl", "moof", "traf"];
const TABLES = ["stsz", "stsc", "stco", "co64"];
const DEEP = 8, TABLE_LIMIT = 512 << 20;
const name = (bytes, at) => String.fromCharCode(...bytes.subarray(at, at + 4));

export async function* nalUnits(reader) {
  const begin = await reader.bytes(0, Math.min(8, reader.size));
  if (begin.length === 8 && ["ftyp", "styp", "moov"].includes(name(begin, 4))) yield* inMp4(reader);
  else yield* inStartCodes(await reader.all(TABLE_LIMIT));
}

function* inStartCodes(data) {
  const code = Uint8Array.of(0, 0, 1);
  let start = 0;
  for (let at = find(data, code); at >= 0; at = find(data, code, at + 3)) {
    if (start) yield data.subarray(start, at);
    start = at + 3;
  }
  if (start) yield data.subarray(start);
}

/** Each box, outer ones first: kind, where its content begins, its end. */
async function* boxes(reader, at, end, depth = 0) {
  if (depth > DEEP) throw new Fail("its boxes are too deep");
  while (at + 8 <= end) {
    const head = await reader.bytes(at, 8);
    let size = number(head, 0), inside = 8;
    const kind = name(head, 4);
    if (size === 1) {
      size = at + 16 <= reader.size ? number(await reader.bytes(at + 8, 8), 0, 8) : 0;
      inside = 16;
    } else if (size === 0) {
      size = end - at;
    }
    if (size < inside || at + size > end) throw new Fail("its boxes are damaged");
    yield { kind, at: at + inside, end: at + size };
    if (WITH_BOXES.includes(kind)) yield* boxes(reader, at + inside, at + size, depth + 1);
    at += size;
  }
}

async function* inMp4(reader) {
  const tables = new Tables();
  let films = 0;
  for await (const box of boxes(reader, 0, reader.size)) {
    const within = async (from, length) => reader.bytes(box.at + from, Math.min(length, reader.size - box.at - from));
    if (box.kind === "hdlr" && name(await within(8, 4), 0) === "vide") films += 1;
    if (films > 1) throw new Fail("it has more than one track of pictures");
    if (box.kind === "stsd") {
      if (number(await reader.bytes(box.at + 4, 4), 0) !== 1) throw new Fail("a track is of more than one kind");
      if (!tables.track && name(await within(12, 4), 0) === "avc1") {
        tables.track = tables.nth;
        for await (const inner of boxes(reader, box.at + 8 + 8 + 78, box.end)) {
          if (inner.kind === "avcC") yield* configured(await reader.bytes(inner.at, inner.end - inner.at));
        }
      }
    }
    await tables.box(reader, box);
  }
  for (const [start, size] of await tables.samples(reader)) {
    let place = start;
    const end = start + size;
    while (place + 4 <= end) {
      const length = number(await reader.bytes(place, 4), 0);
      const stop = Math.min(place + 4 + length, end, reader.size);
      yield await reader.bytes(place + 4, Math.max(0, stop - place - 4));
      place += 4 + length;
    }
  }
}

function* configured(avcc) {
  let at = 5;
  for (const mask of [31, 255]) {
    const count = number(avcc, at, 1) & mask;
    at += 1;
    for (let n = 0; n < count; n++) {
      const length = number(avcc, at, 2);
      yield avcc.subarray(at + 2, at + 2 + length);
      at += 2 + length;
    }
  }
}

class Tables {
  constructor() {
    this.nth = this.track = this.moof = this.base = 0;
    this.found = new Map();
    this.runs = [];
  }

  async box(reader, { kind, at, end }) {
    const mine = this.track === this.nth;
    if ((kind === "stco" || kind === "co64") && this.track && mine) {
      this.found.delete(kind === "stco" ? "co64" : "stco");
    }
    if (kind === "trak" && !this.track) this.found = new Map();
    else if (kind === "tkhd") {
      const version = number(await reader.bytes(at, 1), 0, 1);
      this.nth = number(await reader.bytes(at + (version ? 20 : 12), 4), 0);
    } else if (TABLES.includes(kind) && mine) this.found.set(kind, at);
    else if (kind === "moof") this.moof = at - 8;
    else if (kind === "tfhd") {
      this.nth = number(await reader.bytes(at + 4, 4), 0);
      this.base = this.moof;
    } else if (kind === "trun" && mine) this.runs.push(...(await run(reader, at, this.base)));
  }

  async samples(reader) {
    const sizes = this.found.get("stsz");
    const some = sizes !== undefined && number(await reader.bytes(sizes + 8, 4), 0);
    return [...(some ? await tabled(reader, this.found) : []), ...this.runs];
  }
}

async function rows(reader, at, width, columns) {
  const count = number(await reader.bytes(at + 4, 4), 0);
  if (at + 8 + width * count > reader.size || width * count > TABLE_LIMIT) {
    throw new Fail("it says to have more than it has");
  }
  const data = await reader.bytes(at + 8, width * count);
  return Array.from({ length: count }, (_, n) => columns(data, n * width));
}

async function tabled(reader, found) {
  const wide = found.has("co64");
  if (!found.has("stsc") || !(wide || found.has("stco"))) throw new Fail("its tables are not whole");
  const at = found.get("stsz");
  const each = number(await reader.bytes(at + 4, 4), 0), count = number(await reader.bytes(at + 8, 4), 0);
  if (count * (each ? 1 : 4) > reader.size) throw new Fail("it says to have more than it has");
  const data = each ? null : await reader.bytes(at + 12, 4 * count);
  const places = await rows(reader, found.get(wide ? "co64" : "stco"), wide ? 8 : 4, (d, p) => number(d, p, wide ? 8 : 4));
  const chunks = await rows(reader, found.get("stsc"), 12, (d, p) => [number(d, p), number(d, p + 4)]);
  const samples = [];
  let sample = 0, row = 0;
  for (const [n, start] of places.entries()) {
    while (row + 1 < chunks.length && chunks[row + 1][0] <= n + 1) row += 1;
    if (!chunks.length) throw new Fail("its tables are not whole");
    let place = start;
    const stop = Math.min(count, sample + chunks[row][1]);
    for (let k = sample; k < stop; k++) {
      const size = each || number(data, 4 * k);
      samples.push([place, size]);
      place += size;
    }
    sample += chunks[row][1];
  }
  return samples;
}

async function run(reader, at, base) {
  const flags = number(await reader.bytes(at, 4), 0) & 0xffffff, count = number(await reader.bytes(at + 4, 4), 0);
  let place = at + 8, offset = base;
  if (!(flags & 0x200)) throw new Fail("it does not say how long its pictures are");
  if (flags & 1) {
    offset = base + number(await reader.bytes(place, 4), 0);
    place += 4;
  }
  place += flags & 4 ? 4 : 0;
  const before = flags & 0x100 ? 4 : 0;
  const width = before + 4 + (flags & 0x400 ? 4 : 0) + (flags & 0x800 ? 4 : 0);
  const samples = [];
  for (let n = 0; n < count; n++) {
    const size = number(await reader.bytes(place + before, 4), 0);
    samples.push([offset, size]);
    offset += size;
    place += width;
  }
  return samples;
}

