// What the camera signed inside of a film (docs/format.md, 2.3).

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, big, floorDiv, hex, join, number, put, same, unhex } from "./bytes.js";
import { cameraOf, chainOf } from "./certificates.js";

const UUID = unhex("005bc93f2d715e95ada4796f90877a6f");
const SHA256_OID = unhex("010b0609608648016503040201000000");
const OTHER_PICTURES = [2, 3, 4, 19, 20, 21];
const GIVE_UP = 1000, WAITING = 4096, LARGEST = 65536, MOST = 65535;
const WINDOWS = 116_444_736_000_000_000n; // 1970, in units of 100 ns since 1601
const HOUR_MS = 3_600_000;

export const NEVER_SIGNED = "nothing is signed";
export const UNSIGNED = ["unsigned pictures stand in front of others", "unsigned pictures in the middle"];

const bare = (nal) => {
  let end = nal.length;
  while (end && nal[end - 1] === 0) end -= 1;
  return nal.subarray(0, end);
};

/** An IDR picture and what follows it. Digests as text: they are looked for among others. */
class Group {
  constructor(both, first) {
    this.both = both;
    this.sets = both.every((one) => one.length)
      ? hex(sha256(join(...both.flatMap((one) => [put(one.length), one]))))
      : "";
    this.slices = [first];
    this.claimed = false;
  }

  digest() {
    const all = sha256.create();
    for (const slice of this.slices) all.update(slice);
    return hex(all.digest());
  }
}

export class Film {
  constructor(roots) {
    this.roots = roots;
    this.groups = [];
    this.false = new Set();
    this.wrong = 0;
    this.exceptions = new Set();
    this.sets = { 7: new Uint8Array(0), 8: new Uint8Array(0) };
    this.pem = null;
    this.leaf = null;
    this.camera = "";
    this.orphans = this.proven = this.begun = 0;
    this.shown = new Set();
    this.first = this.until = 0n;
    this.last = null;
  }

  complain(sentence) {
    this.wrong += 1;
    this.false.add(sentence);
  }

  async judge(nals) {
    for await (const nal of nals) {
      const kind = nal.length ? nal[0] & 31 : 0;
      if (this.wrong > GIVE_UP) break;
      if (kind === 7 || kind === 8) this.sets[kind] = bare(nal).slice();
      else if (OTHER_PICTURES.includes(kind)) this.complain("pictures of a kind that is never signed");
      else if ((kind === 1 || kind === 5) && nal.length > 1) this.picture(kind, bare(nal));
      else if (kind === 6) {
        const start = marked(nal);
        if (start === null) continue;
        try {
          await this.statement(bare(nal), start);
        } catch (error) {
          if (!(error instanceof Fail)) throw error;
          this.complain(`a statement is damaged: ${error.message}`);
        }
      }
    }
    if (this.pem === null && !this.wrong) {
      this.complain(NEVER_SIGNED);
      return;
    }
    const waiting = this.waiting();
    if (waiting.length > 1) this.complain(UNSIGNED[0]);
    if (waiting.length) this.exceptions.add("the last pictures are not signed");
    if (this.orphans) this.complain("pictures stand in front of the first keyframe");
  }

  waiting() {
    return this.groups.filter((group) => !group.claimed);
  }

  picture(kind, nal) {
    const both = [this.sets[7], this.sets[8]];
    const group = this.groups.at(-1);
    const digest = sha256(nal);
    if (kind === 5 && nal[1] & 0x80) {
      if (this.waiting().length >= WAITING) this.complain(UNSIGNED[0]);
      this.groups = [...this.groups.filter((one) => !one.claimed).slice(1 - WAITING), new Group(both, digest)];
      this.begun += 1;
    } else if (!group) this.orphans += 1;
    else if (group.claimed) this.complain("pictures stand behind the statement about them");
    else if (!same(group.both[0], both[0]) || !same(group.both[1], both[1])) {
      this.complain("other parameter sets within a group");
    } else if (group.slices.length < MOST) group.slices.push(sha256(join(group.slices[0], digest)));
  }

  async statement(nal, start) {
    const [plain, where] = unescaped(nal);
    const end = plain.length - 1, parts = new Map();
    const size = 255 * (start - 3) + number(plain, start - 1, 1);
    if (plain[end] !== 0x80 || end - start !== size || nal.length > LARGEST) throw new Fail("its size");
    const flags = number(plain, start + 16, 1);
    let at = start + 17, signed = 0;
    if (flags & 0x3f) throw new Fail("its flags");
    while (at < end) {
      const tag = plain[at], length = number(plain, at + 1, 2);
      const strange = parts.has(tag) || parts.has(3) || tag < 1 || tag > 6;
      if (at + 3 + length > end || strange) throw new Fail("its parts");
      parts.set(tag, plain.subarray(at + 3, at + 3 + length));
      // A byte against emulation in front of this part is not signed.
      if (tag === 3) signed = where[at - 1] + 1;
      at += 3 + length;
    }
    const vendor = parts.has(5) ? texts(parts.get(5)) : null;
    await this.certificates(parts.get(6) ?? Uint8Array.of(1, 0));
    if (flags & 0x80) return;
    if (!(flags & 0x40) || !signed || !same(parts.get(4) ?? SHA256_OID, SHA256_OID)) throw new Fail("it is not signed");
    const said = parts.get(1), proof = parts.get(3);
    if (!said) throw new Fail("its parts");
    const length = number(proof, 1, 2);
    if (said.length !== 91 || said[0] !== 2 || said[4] > 1 || proof[0] !== 1) throw new Fail("its form");
    if (3 + length > proof.length || proof.subarray(3 + length).some((byte) => byte !== 1)) {
      throw new Fail("its signature's form");
    }
    const count = number(said, 25, 2), listed = parts.get(2);
    if (listed && (listed[0] !== 1 || listed.length !== 1 + 32 * count)) throw new Fail("its list");
    if (!this.leaf) {
      this.complain("no camera's certificate");
      return;
    }
    const covered = escaped(plain, nal, signed);
    if (!covered || !(await this.leaf.key.verifiesDer(proof.subarray(3, 3 + length), covered))) {
      this.complain("a signature does not hold");
      return;
    }
    const names = listed ? Array.from({ length: count }, (_, n) => listed.subarray(1 + 32 * n, 33 + 32 * n)) : null;
    this.claim(said, count, names, vendor);
  }

  /** Finds the group that a statement is about, and holds it against it. */
  claim(said, count, names, vendor) {
    const digest = hex(said.subarray(27, 59)), waiting = this.waiting();
    const listed = names && new Set(names.map(hex));
    const alike = waiting.find((group) => group.digest() === digest);
    const shares = (group) => listed !== null && group.slices.some((slice) => listed.has(hex(slice)));
    const first = !this.proven && this.last === null && this.begun <= 1;
    if (!alike && first && (!waiting.length || !shares(waiting[0]))) return; // of pictures in front of the film
    const group = alike ?? waiting.find(shares) ?? waiting[0];
    if (!group) {
      this.complain("a statement about pictures that are not there");
      return;
    }
    for (const earlier of waiting.slice(0, waiting.indexOf(group))) {
      earlier.claimed = true;
      this.complain(UNSIGNED[1]);
    }
    group.claimed = true;
    if (vendor === null || vendor[1] !== this.camera) this.complain("another camera's name");
    if (vendor === null || vendor[0].split(" ").at(-1) !== group.sets) this.complain("other parameter sets");
    this.shown.add(group.sets);
    if (alike && group.slices.length === count) {
      this.proven += 1;
      this.first ||= 100n * (time(said, 5) - WINDOWS);
      this.until = 100n * (time(said, 13) - WINDOWS);
    } else this.damaged(group, names, digest);
    this.follows(group, said);
  }

  damaged(group, names, digest) {
    if (names === null || hex(sha256(join(...names))) !== digest) this.complain("other pictures");
    else if (isRest(group.slices, names)) {
      this.proven += 1;
      this.exceptions.add("pictures are missing");
    } else this.complain("pictures were changed, added or reordered");
  }

  follows(group, said) {
    const start = time(said, 5), end = time(said, 13);
    this.time(start, end);
    const nth = number(said, 21), before = said.subarray(59, 91), last = this.last;
    this.last = { nth, end, anchor: group.slices[0] };
    if (last === null || (nth === last.nth + 1 && same(before, last.anchor))) return;
    if (nth === 1 && before.every((byte) => !byte) && start > last.end) {
      this.exceptions.add("another recording begins");
    } else if (nth > last.nth + 1) this.exceptions.add("groups are missing");
    else this.complain("it does not continue what stands before it");
  }

  time(start, end) {
    if (end < start) this.complain("an end before its beginning");
    const ms = Number(floorDiv((start - WINDOWS) * 100n, 1_000_000_000n)) * 1000;
    const year = new Date(ms).getUTCFullYear();
    if (!(year >= 1 && year <= 9999)) this.exceptions.add("an impossible time");
    else if (ms < this.leaf.from - HOUR_MS || ms > this.leaf.until) {
      this.exceptions.add("a time when its certificate was not valid");
    }
  }

  async certificates(value) {
    if (value[0] !== 1 || value[1] !== 0) throw new Fail("its certificates");
    const pem = value.subarray(2);
    if (!pem.length || (this.pem !== null && same(pem, this.pem))) return;
    if (this.pem !== null) {
      this.complain("the certificate changes");
      return;
    }
    this.pem = pem.slice();
    try {
      const chain = chainOf(pem);
      this.camera = await cameraOf(chain, this.roots);
      this.leaf = this.camera ? chain[0] : null;
    } catch {
      this.leaf = null; // whatever is wrong with it
    }
    if (!this.leaf) this.complain("its certificate is not one of this agency's cameras");
  }
}

const time = (said, at) => BigInt.asIntN(64, big(said, at, 8));

function isRest(some, every) {
  let at = 0;
  for (const one of some) {
    while (at < every.length && !same(every[at], one)) at += 1;
    if (at === every.length) return false;
    at += 1;
  }
  return true;
}

function texts(value) {
  const found = [];
  let at = 1;
  for (let n = 0; n < 3; n++) {
    const length = number(value, at, 1), part = value.subarray(at + 1, at + 1 + length);
    if (part.some((byte) => byte > 127)) throw new Fail("its texts");
    found.push(String.fromCharCode(...part));
    at += 1 + length;
  }
  if (value[0] !== 1 || at !== value.length) throw new Fail("its texts");
  return found;
}

/** Where the UUID stands in a statement; null for another SEI. */
function marked(nal) {
  let at = 2;
  while (at < Math.min(nal.length, LARGEST) && nal[at] === 255) at += 1;
  return nal.length >= 24 && nal[1] === 5 && same(nal.subarray(at + 1, at + 17), UUID) ? at + 1 : null;
}

/** Without emulation prevention; and where each byte stood. */
function unescaped(nal) {
  const plain = new Uint8Array(nal.length), where = new Uint32Array(nal.length);
  let length = 0;
  const take = (from) => {
    plain[length] = nal[from];
    where[length++] = from;
  };
  for (let at = 0; at < nal.length; ) {
    if (nal[at] === 0 && nal[at + 1] === 0 && nal[at + 2] === 3) {
      take(at);
      take(at + 1);
      at += 3;
    } else take(at++);
  }
  return [plain.subarray(0, length), where];
}

/** What was signed must stand in the stream as it must be written; null where it does not. */
function escaped(plain, nal, signed) {
  const again = [];
  let zeros = 0;
  for (const byte of plain) {
    if (zeros === 2 && byte <= 3) {
      again.push(3);
      zeros = 0;
    }
    again.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
    if (again.length >= signed) break;
  }
  const front = Uint8Array.from(again).subarray(0, signed);
  return front.length === signed && same(front, nal.subarray(0, signed)) ? front : null;
}
