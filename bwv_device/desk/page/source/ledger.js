// Follows custody's ledger line by line: numbers, links, signatures, and the Merkle root that
// witnesses have cosigned. So a desk that hides a line, goes back, or tells this browser another
// history than others, is found out (docs/format.md, 8.2 and 8.3).

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, ascii, hex, join, same, unhex } from "../../../verification/page/source/bytes.js";
import { decode } from "../../../verification/page/source/canonical_json.js";
import { chainOf, roleOf } from "../../../verification/page/source/certificates.js";
import { root, roots } from "./agency.js";
import { get } from "./api.js";
import { find, put } from "./key_store.js";

// Of more lines than this a browser follows none: it says so.
const FOLLOWED = 100_000;
const STATE = "followed";
const NOTHING = "0".repeat(64);
const LINE = /^(\{[^\n\t]*\})\t([0-9a-f]{128})\n$/s;
const KEPT = ["hold", "release-approved", "release-proposed"];

const leaf = (entry) => sha256(join(Uint8Array.of(0), entry));
const node = (left, right) => sha256(join(Uint8Array.of(1), left, right));

/** The roots of the full trees that the first `size` entries make, the largest first. */
function grow(peaks, entry) {
  const grown = [...peaks, { size: 1, hash: hex(leaf(entry)) }];
  while (grown.length > 1 && grown.at(-1).size === grown.at(-2).size) {
    const right = grown.pop(), left = grown.pop();
    grown.push({ size: 2 * left.size, hash: hex(node(unhex(left.hash), unhex(right.hash))) });
  }
  return grown;
}

/** RFC 6962, 2.1: of the peaks from the right to the left. */
const treeRoot = (peaks) => peaks.map(({ hash }) => unhex(hash)).reduceRight((right, left) => (right ? node(left, right) : left), null);

const fresh = () => ({ id: STATE, agency: root.fingerprint, n: 0, digest: NOTHING, peaks: [], signers: {}, about: {}, holds: {}, roots: {} });

class Ledger {
  constructor() {
    this.state = null;
    this.busy = null;
    this.keys = new Map();
  }

  /** Reads on, up to what the desk has now. Raises `Fail` where it is no continuation. */
  follow() {
    this.busy ??= this.readOn().finally(() => { this.busy = null; });
    return this.busy;
  }

  async readOn() {
    if (!this.state) {
      const kept = await find("seen", STATE);
      this.state = kept && kept.agency === root.fingerprint ? kept : fresh();
    }
    const next = structuredClone(this.state);
    for (;;) {
      const { lines, head } = await get("ledger", { from: next.n + 1 });
      if (head < this.state.n) throw new Fail(`the desk shows a ledger that ends at line ${head}; this browser has read line ${this.state.n}`);
      if (head - next.n > FOLLOWED) return { followed: false, head };
      if (!lines.length) break;
      let aside = 0;
      for (const raw of lines) {
        if (raw) {
          await this.take(next, raw, aside);
          aside = 0;
        } else aside++;
      }
      if (next.n >= head || aside === lines.length) break;
    }
    this.state = next;
    await put("seen", next);
    return { followed: true, head: next.n };
  }

  async take(next, raw, aside) {
    const found = LINE.exec(raw);
    if (!found) throw new Fail("the desk gives something that is no line");
    const signed = ascii(found[1]), said = decode(signed);
    const broken = () => new Fail(`line ${said.n} does not continue line ${next.n}: the ledger was changed`);
    if (said.v !== 2n || said.n !== BigInt(next.n + aside + 1) || said.prev !== next.digest || (said.aside ?? 0n) !== BigInt(aside)) throw broken();
    if (said.certificate) next.signers[said.by] ??= await this.introduced(said.certificate, said.by);
    const signer = next.signers[said.by];
    if (!signer || !(await this.key(said.by, signer).verifiesLine(found[2], signed))) {
      throw new Fail(`line ${said.n} is not signed by a role of this agency`);
    }
    for (let n = 0; n < aside; n++) this.entry(next, new Uint8Array(32));
    const digest = sha256(ascii(raw.slice(0, -1)));
    this.entry(next, digest);
    next.n = Number(said.n);
    next.digest = hex(digest);
    this.remember(next, said);
  }

  /** Roots at the sizes that a checkpoint may have: the newest thousand. */
  entry(next, entry) {
    next.peaks = grow(next.peaks, entry);
    const size = next.peaks.reduce((sum, peak) => sum + peak.size, 0);
    next.roots[size] = hex(treeRoot(next.peaks));
    delete next.roots[size - 1000];
  }

  async introduced(pem, by) {
    const chain = chainOf(ascii(pem)), role = await roleOf(chain, roots);
    if (!role || chain[0].fingerprint !== by) throw new Fail("a line introduces somebody who is no role of this agency");
    return { pem, role, name: chain[0].the("name") };
  }

  key(by, { pem }) {
    if (!this.keys.has(by)) this.keys.set(by, chainOf(ascii(pem))[0].key);
    return this.keys.get(by);
  }

  remember(next, said) {
    const names = [said.recording, ...(Array.isArray(said.recordings) ? said.recordings : [])];
    for (const name of names) {
      if (typeof name === "string" && name.includes("/")) (next.about[name] ??= []).push(next.n);
    }
    if (!KEPT.includes(said.kind)) return;
    const number = said.kind === "hold" ? next.n : Number(said.hold);
    if (said.kind === "hold") next.holds[number] = { recording: said.recording, by: next.signers[said.by].role, state: "in force" };
    else if (next.holds[number]) next.holds[number].state = said.kind === "release-approved" ? "released" : "release proposed";
  }

  /** What the desk says of a recording beside what was read here: sentences of what it hides. */
  compare(shown) {
    if (!this.state) return [];
    const wrong = [];
    const lines = new Set(shown.lines.map(({ n }) => n));
    for (const n of this.state.about[shown.id] ?? []) {
      if (!lines.has(n)) wrong.push(`The desk hides line ${n}, which speaks of this recording.`);
    }
    for (const [n, hold] of Object.entries(this.state.holds)) {
      if (hold.recording !== shown.id) continue;
      const told = shown.holds.find((one) => String(one.n) === n);
      if (!told) wrong.push(`The desk hides hold ${n}.`);
      else if ((told.state === "released") !== (hold.state === "released")) wrong.push(`The desk says that hold ${n} is ${told.state}; it is ${hold.state}.`);
    }
    return wrong;
  }

  /** Whether witnesses saw the same lines; null where that can't be told. */
  agrees(checkpoint) {
    const known = this.state?.roots[Number(checkpoint.size)];
    return known ? same(unhex(known), checkpoint.root) : null;
  }
}

export const ledger = new Ledger();
