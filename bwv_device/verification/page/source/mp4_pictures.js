// NAL units of a film, MP4 with tables or with fragments, in decoding order.

import { Fail, find, number } from "./bytes.js";

const TABLE_LIMIT = 512 << 20;
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

/** One behind the other: kind, where the content begins, where it ends. */
async function* boxes(reader, at, end) {
  while (at < end) {
    const head = await reader.bytes(at, Math.min(16, end - at));
    let size = number(head, 0), inside = 8;
    if (size === 1 && at + 16 <= end) {
      size = number(head, 8, 8);
      inside = 16;
    } else if (size === 0) size = end - at;
    if (at + 8 > end || size < inside || at + size > end) throw new Fail("its boxes are damaged");
    yield { kind: name(head, 4), at: at + inside, end: at + size };
    at += size;
  }
}

/** What stands at the top of a film. */
export async function kindsIn(reader) {
  const kinds = new Set();
  for await (const box of boxes(reader, 0, reader.size)) kinds.add(box.kind);
  return kinds;
}

/** The only box of a kind: of two, players choose one. */
async function only(reader, { at, end }, kind) {
  const found = [];
  for await (const box of boxes(reader, at, end)) if (box.kind === kind) found.push(box);
  if (found.length !== 1) throw new Fail(`it has ${found.length} boxes ${kind} where one belongs`);
  return found[0];
}

const word = async (reader, at) => number(await reader.bytes(at, 4), 0);
const text4 = async (reader, at) => name(await reader.bytes(at, 4), 0);

/** A track of a film, by its one description. */
async function movie(reader, trak) {
  const header = await only(reader, trak, "tkhd");
  const version = number(await reader.bytes(header.at, 1), 0, 1);
  const nth = await word(reader, header.at + (version ? 20 : 12));
  const media = await only(reader, trak, "mdia");
  const kind = await text4(reader, (await only(reader, media, "hdlr")).at + 8);
  const stbl = await only(reader, await only(reader, media, "minf"), "stbl");
  const entry = await only(reader, stbl, "stsd");
  const codec = await text4(reader, entry.at + 12);
  if ((await word(reader, entry.at + 4)) !== 1 || !nth) throw new Fail("a track is of more than one kind, or of none");
  if (!(kind === "vide" && codec === "avc1") && !(kind === "soun" && codec === "mp4a")) {
    throw new Fail("a track is neither pictures nor sound as a camera makes them");
  }
  return { nth, kind, stbl, entry };
}

/** Of its one track of pictures. What players could read in two ways is refused. */
async function* inMp4(reader) {
  const moov = await only(reader, { at: 0, end: reader.size }, "moov"), tracks = [];
  for await (const box of boxes(reader, moov.at, moov.end)) {
    if (box.kind === "trak") tracks.push(await movie(reader, box));
  }
  const films = tracks.filter((track) => track.kind === "vide");
  if (films.length !== 1 || new Set(tracks.map((track) => track.nth)).size !== tracks.length) {
    throw new Fail("it has not one track of pictures, or two tracks of one number");
  }
  const [film] = films;
  // Behind the fields of a sample entry for pictures (ISO 14496-12, 12.1.3).
  const avcc = await only(reader, { at: film.entry.at + 8 + 8 + 78, end: film.entry.end }, "avcC");
  const sets = await reader.bytes(avcc.at, avcc.end - avcc.at);
  if (sets.length < 7 || (sets[4] & 3) !== 3) throw new Fail("its pictures have lengths of another kind");
  yield* configured(sets);
  for await (const [start, size] of samplesOf(reader, film)) {
    let place = start;
    const end = start + size;
    while (place + 4 <= end) {
      const length = await word(reader, place);
      const stop = Math.min(place + 4 + length, end, reader.size);
      yield await reader.bytes(place + 4, Math.max(0, stop - place - 4));
      place += 4 + length;
    }
  }
}

async function* samplesOf(reader, film) {
  yield* await tableOf(reader, film.stbl);
  for await (const moof of boxes(reader, 0, reader.size)) {
    if (moof.kind !== "moof") continue;
    for await (const traf of boxes(reader, moof.at, moof.end)) {
      if (traf.kind !== "traf") continue;
      const header = await only(reader, traf, "tfhd");
      if ((await word(reader, header.at + 4)) !== film.nth) continue;
      if ((await word(reader, header.at)) & 1) throw new Fail("a fragment says that its samples lie elsewhere");
      for await (const part of boxes(reader, traf.at, traf.end)) {
        if (part.kind === "trun") yield* run(reader, part, moof.at - 8);
      }
    }
  }
}

/** Samples by the tables of a film; none where it has fragments alone. */
async function tableOf(reader, stbl) {
  const kinds = [];
  for await (const box of boxes(reader, stbl.at, stbl.end)) kinds.push(box.kind);
  const wide = kinds.includes("co64");
  const sizes = await only(reader, stbl, "stsz"), places = await only(reader, stbl, wide ? "co64" : "stco");
  if (wide && kinds.includes("stco")) throw new Fail("it has two tables of places");
  const chunks = await only(reader, stbl, "stsc");
  return (await word(reader, sizes.at + 8)) ? tabled(reader, sizes.at, chunks.at, places.at, wide) : [];
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

async function rows(reader, at, width, columns) {
  const count = number(await reader.bytes(at + 4, 4), 0);
  if (at + 8 + width * count > reader.size || width * count > TABLE_LIMIT) {
    throw new Fail("it says to have more than it has");
  }
  const data = await reader.bytes(at + 8, width * count);
  return Array.from({ length: count }, (_, n) => columns(data, n * width));
}

async function tabled(reader, at, chunksAt, placesAt, wide) {
  const each = number(await reader.bytes(at + 4, 4), 0), count = number(await reader.bytes(at + 8, 4), 0);
  if (count * (each ? 1 : 4) > reader.size) throw new Fail("it says to have more than it has");
  const data = each ? null : await reader.bytes(at + 12, 4 * count);
  const places = await rows(reader, placesAt, wide ? 8 : 4, (d, p) => number(d, p, wide ? 8 : 4));
  const chunks = await rows(reader, chunksAt, 12, (d, p) => [number(d, p), number(d, p + 4)]);
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

async function* run(reader, { at, end }, base) {
  const flags = (await word(reader, at)) & 0xffffff, count = await word(reader, at + 4);
  let place = at + 8, offset = base;
  if (!(flags & 0x200)) throw new Fail("it does not say how long its pictures are");
  if (flags & 1) {
    offset = base + (await word(reader, place));
    place += 4;
  }
  place += flags & 4 ? 4 : 0;
  const before = flags & 0x100 ? 4 : 0;
  const width = before + 4 + (flags & 0x400 ? 4 : 0) + (flags & 0x800 ? 4 : 0);
  if (place + width * count > end) throw new Fail("it says to have more than it has");
  for (let n = 0; n < count; n++, place += width) {
    const size = await word(reader, place + before);
    yield [offset, size];
    offset += size;
  }
}
