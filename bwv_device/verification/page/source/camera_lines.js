// The camera's own lines about one recording (docs/format.md, 3 and 11.3).

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, ascii, hex, join, text, unhex, utf8 } from "./bytes.js";
import { decode, encode } from "./canonical_json.js";
import { cameraOf, chainOf } from "./certificates.js";
import { KINDS, misfit } from "./grammar.js";
import { Key } from "./signatures.js";

const SECOND = 1_000_000_000n, LONGEST = 1 << 20, LAST = (1n << 62n) - 1n;
const WHILE = ["open", "sync", "seal", "still", "close"];
const LINE = /^(\{[^\n\t]*\})\t([0-9a-f]{128})$/s;
const HEADS = { n: "bigint", prev: "string", t: "bigint", kind: "string" };

function wellFormed(raw) {
  if (raw.length >= LONGEST) throw new Fail("a line of the camera is too long");
  const found = LINE.exec(text(raw));
  if (!found) throw new Fail("a line of the camera is none");
  const fields = decode(ascii(found[1]));
  const typed = Object.entries(HEADS).every(([name, kind]) => typeof fields[name] === kind);
  if (!typed || fields.n < 1n || fields.n > LAST || fields.t < 0n || fields.t > LAST) {
    throw new Fail("a line of the camera is none");
  }
  return { fields, signed: raw.subarray(0, raw.length - 129), signature: found[2] };
}

export class CameraLines {
  constructor(recording, roots) {
    this.recording = recording;
    this.roots = roots;
    this.files = new Map();
    this.device = "";
    this.parameterSets = new Set();
    this.ended = null;
    this.offsets = new Map();
    this.times = new Map();
    this.lines = [];
    this.ownBoot = []; // of the boot in which it was recorded
  }

  static async read(data, recording, roots) {
    const camera = new CameraLines(recording, roots);
    let key = null, boot = 0n, before = 0n, previous = "", at = 0;
    for (let end = data.indexOf(10, at); end >= 0; end = data.indexOf(10, at)) {
      const raw = data.subarray(at, end), { fields, signed, signature } = wellFormed(raw);
      at = end + 1;
      const wrong = misfit(Object.hasOwn(KINDS, fields.kind) ? KINDS[fields.kind] : "", fields);
      if (wrong) throw new Fail(`a line of the camera: ${wrong}`);
      if (fields.kind === "boot") {
        key = await camera.booted(fields);
        boot = fields.boot;
      }
      if (key === null || !(await key.verifiesLine(signature, signed))) {
        throw new Fail("the signature of a line of the camera does not hold");
      }
      const named = String(fields.segment || fields.recording || recording);
      if (fields.n <= before || !named.startsWith(recording)) {
        throw new Fail("a line of the camera is out of order, or of another recording");
      }
      if (fields.n === before + 1n && camera.lines.length && fields.prev !== previous) {
        throw new Fail("a line of the camera does not continue the one before");
      }
      before = fields.n;
      previous = hex(sha256(raw));
      camera.follow(boot, fields);
      camera.lines.push(fields);
      if (boot === BigInt(recording.slice(0, 8))) camera.ownBoot.push(fields);
    }
    if (at !== data.length) throw new Fail("something stands behind the camera's lines");
    if (!camera.files.size) throw new Fail("the camera's lines name no file");
    return camera;
  }

  async booted(said) {
    const chain = chainOf(utf8(said.certificate));
    const name = await cameraOf(chain, this.roots);
    if (!name || said.device !== name || (this.device && this.device !== name)) {
      throw new Fail("the camera's lines are of another camera, or of another agency's");
    }
    const point = unhex(said.boot_key);
    const statement = { purpose: "bwv boot key v2", device: said.device, boot: said.boot, boot_key: said.boot_key,
      prev: said.prev, n: said.n };
    const certified = await chain[0].key.verifiesLine(said.device_signature, ascii(encode(statement)));
    if (!certified || point.length !== 65 || point[0] !== 4) throw new Fail("a boot that its camera did not certify");
    this.device = name;
    return new Key(point);
  }

  follow(boot, said) {
    const { kind } = said;
    if (kind === "checkpoint") {
      for (const [name, file] of this.files) {
        if (BigInt(name.slice(0, 8)) === boot && !file.end) throw new Fail("it says that nothing is open, and something is");
      }
    }
    if (kind === "close") this.ended = said;
    if (!["open", "sync", "seal", "still", "recovered"].includes(kind)) return;
    const name = said.segment, of = BigInt(name.slice(0, 8)), known = this.files.get(name);
    if ((of === boot) === (kind === "recovered") || of > boot) throw new Fail(`${name} is not for this boot to speak of`);
    const begins = kind === "open" || kind === "still";
    if (kind !== "recovered" && begins === Boolean(known)) throw new Fail(`${name} begins again, or never did`);
    if (known?.end) throw new Fail(`${name} had ended`);
    const file = known ?? { recording: "", head: new Uint8Array(0), synced: 0n, syncedSha256: "", end: "", length: null,
      sha256: "", plaintext: "", began: null, until: null };
    this.files.set(name, file);
    this[kind](file, said);
  }

  open(file, said) {
    file.recording = said.recording;
    file.began = said.first_pts_ns;
    file.head = join(utf8(said.header), unhex(said.nonce));
    file.before = said.pre_event ?? null;
    if (said.parameter_sets) this.parameterSets.add(said.parameter_sets);
    if (said.time === undefined) return;
    const offset = said.time.utc_ns - said.first_pts_ns, begin = said.first_pts_ns + offset;
    this.offsets.set(said.segment, offset);
    this.times.set(said.segment, [begin, begin > 0n ? begin : 0n]);
  }

  sync(file, said) {
    if (said.length <= file.synced) throw new Fail("it attests no more than before");
    file.synced = said.length;
    file.syncedSha256 = said.sha256;
  }

  seal(file, said) {
    Object.assign(file, { end: "seal", length: said.length, sha256: said.sha256, plaintext: said.plaintext_sha256,
      until: said.end_pts_ns ?? null });
    if (!this.offsets.has(said.segment)) return;
    let [begin, end] = this.times.get(said.segment);
    if (file.until !== null) end = file.until + this.offsets.get(said.segment);
    this.times.set(said.segment, [begin, end > begin ? end : begin]);
  }

  still(file, said) {
    Object.assign(file, { recording: said.recording, until: said.pts_ns, end: "still", length: said.length,
      sha256: said.sha256 });
    if (said.header !== undefined && said.nonce !== undefined) file.head = join(utf8(said.header), unhex(said.nonce));
  }

  recovered(file, said) {
    if (said.attested_length !== file.synced) throw new Fail("it misstates what was attested");
    Object.assign(file, { recording: file.recording || said.recording, end: "recovered", length: said.length,
      sha256: said.sha256 });
  }

  segments() {
    return [...this.files].filter(([name]) => name.includes(".mp4"));
  }

  holes() {
    const numbers = this.segments().map(([name]) => Number(name.slice(14, 18)));
    const told = [];
    for (let n = Math.min(...numbers) + 1; n < Math.max(...numbers); n++) {
      if (!numbers.includes(n)) told.push(`the camera's lines say nothing of segment ${n}`);
    }
    const sealed = BigInt(this.segments().filter(([, file]) => file.end === "seal").length);
    if (this.ended && (this.ended.segments ?? sealed) !== sealed) {
      told.push("the camera sealed another number of segments than its lines name");
    }
    return told;
  }

  /** How many lines of the recording's boot are missing between its begin and its end. */
  leftOut() {
    const own = this.ownBoot.filter(({ kind }) => WHILE.includes(kind)).map(({ n }) => n);
    if (!own.length) return [];
    const [first, last] = [own[0], own.at(-1)];
    const there = new Set(this.ownBoot.map(({ n }) => n).filter((n) => n >= first && n < last));
    const missing = last - first - BigInt(there.size);
    return missing ? [`${missing} of the camera's lines within this recording are left out`] : [];
  }

  unfinished() {
    const told = this.segments().filter(([, file]) => !file.end).map(([name]) => `${name} was never finished`);
    return this.ended ? told : [...told, "no line says that the recording ended"];
  }

  /** Whether pictures of these times may be of this recording, a second either way. */
  covers(first, until) {
    const spans = [...this.times.values()];
    const begin = spans.reduce((least, [from]) => (least === null || from < least ? from : least), null) ?? 0n;
    if (!spans.length || this.segments().some(([, file]) => file.until === null)) return first >= begin - SECOND;
    const end = spans.reduce((most, [, to]) => (to > most ? to : most), begin);
    return begin - SECOND <= first && until <= end + SECOND;
  }
}
