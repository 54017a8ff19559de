// Judges a disclosure package (docs/format.md, 11): the same answer as `verify.py` and `bwv`.

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, hex, same, text, unhex, utf8 } from "./bytes.js";
import { CameraLines } from "./camera_lines.js";
import { decode, isTable } from "./canonical_json.js";
import { chainOf, roleOf } from "./certificates.js";
import { digestOfFile } from "./digests.js";
import { leafOf, readCheckpoint, readTrust, standsIn } from "./custody_log.js";
import { PACKAGE, misfit } from "./grammar.js";
import { kindsIn, nalUnits } from "./mp4_pictures.js";
import { Reader } from "./reader.js";
import { Opened } from "./sealed_file.js";
import { Film, NEVER_SIGNED, UNSIGNED } from "./signed_pictures.js";
import { digestOf, parted, stated } from "./statements.js";
import { filmsOf, isMadeOf } from "./whole_film.js";

export const GENUINE = "genuine", EXCEPTION = "exception", FALSE = "not genuine";
const SUMS = "SHA256SUMS", SIGNATURE = "SHA256SUMS.sig";
const STATEMENT = 4 << 20, LIST = 16 << 20, LINES = 64 << 20;
const LISTED = /^([0-9a-f]{64})  ([^\n\0]{1,1024})$/su;
// What operating systems leave in folders by themselves. Nobody reads it as a part of the package.
const STRAY = /(?:^|\/)(?:\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*)$/;
export const isStray = (name) => STRAY.test(name);
// As Python's `splitlines` sees them.
const BREAKS = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;
const FTYP = "66747970";
const HOUR_MS = 3_600_000;
const REDACTED = "a redacted copy: what was covered is stated; what lies beneath can be checked by the court with " +
  "the original";

export class Package {
  /** `files`: blobs by their path within the package. */
  constructor(files, roots, progress = () => {}) {
    this.files = files;
    this.roots = roots;
    this.progress = progress;
    this.false = [];
    this.exceptions = [];
    this.said = null;
    this.signer = null;
    this.camera = null;
    this.checkpoint = null;
    this.trust = null;
    this.stills = []; // that were checked
  }

  async judge() {
    try {
      await this.who();
      await this.listed();
      if (!this.false.length) {
        const lines = await this.small("proof/camera.ledger", LINES);
        this.camera = await CameraLines.read(lines, this.said.recording, this.roots);
        this.named();
        await this.films();
        await this.originals();
        await this.custody();
      }
    } catch (error) {
      if (error?.name === "AbortError") throw error;
      // Whatever hostile bytes led to: it is an answer.
      this.false.push(`it can't be judged: ${error?.message ?? error}`);
    }
    return this.false.length ? FALSE : this.exceptions.length ? EXCEPTION : GENUINE;
  }

  reader(name) {
    const blob = this.files.get(name);
    if (!blob) throw new Fail(`${name} is missing`);
    return new Reader(blob);
  }

  small(name, limit) {
    return this.reader(name).all(limit);
  }

  // --- who says it, and which files belong to it ---

  async who() {
    const [signed, pem] = parted(await this.small(SIGNATURE, STATEMENT));
    const chain = chainOf(pem);
    if ((await roleOf(chain, this.roots)) !== "disclosure") {
      throw new Fail("it is not signed by whom the agency lets disclose");
    }
    const said = await stated(signed, chain);
    const wrong = misfit(PACKAGE, said, true);
    if (wrong || said.purpose !== "bwv package v1") throw new Fail(`its signature says something else: ${wrong}`);
    this.said = said;
    this.signer = chain[0];
  }

  async listed() {
    const listing = await this.small(SUMS, LIST);
    if (digestOf(listing) !== this.said.sums) {
      this.false.push(`${SUMS} is not the list that was signed`);
      return;
    }
    const lines = text(listing).split(BREAKS);
    if (!lines.at(-1)) lines.pop();
    const rows = lines.map((line) => LISTED.exec(line));
    if (!rows.every(Boolean)) throw new Fail(`${SUMS} has a line that is none`);
    const digests = new Map(rows.map((row) => [row[2], row[1]]));
    const there = [...this.files.keys()].filter((name) => name !== SUMS && name !== SIGNATURE && !isStray(name));
    const present = new Set(there);
    for (const name of there) if (!digests.has(name)) this.false.push(`${name} does not belong to it`);
    for (const [name, digest] of digests) {
      if (!present.has(name)) this.false.push(`${name} is missing`);
      else if ((await this.digest(name)) !== digest) this.false.push(`${name} was changed`);
    }
    for (const film of this.said.films) {
      if (digests.get(film.name) !== film.sha256) this.false.push(`${film.name} is not the film that was signed`);
    }
  }

  async digest(name) {
    await this.progress(name);
    return digestOfFile(this.reader(name));
  }

  // --- the camera's lines ---

  named() {
    if (this.camera.device !== this.said.device) this.false.push(`the camera's lines are not of ${this.said.device}`);
    const signed = new Map(this.said.sealed.map((row) => [row.segment, row.sha256]));
    const named = new Map([...this.camera.files].filter(([, file]) => file.end && file.length));
    for (const [name, file] of named) {
      if (!signed.has(name)) this.exceptions.push(`${name} was recorded, and is not in custody`);
      else if (signed.get(name) !== file.sha256) this.false.push(`${name} is not the file that the camera names`);
    }
    for (const name of signed.keys()) if (!named.has(name)) this.false.push(`${name}: the camera names no such file`);
    this.false.push(...this.camera.holes());
    this.exceptions.push(...this.camera.unfinished(), ...this.camera.leftOut());
  }

  // --- films ---

  async films() {
    if (!this.said.films.length) this.false.push("no film is in it");
    for (const { name, kind } of this.said.films) {
      if (kind === "redacted") this.exceptions.push(`${name}: ${REDACTED}`);
      else await this.film(name, kind);
    }
  }

  /** By what the camera signed inside of it. */
  async film(name, kind) {
    await this.progress(name);
    const judged = new Film(this.roots), begin = await this.reader(name).bytes(0, Math.min(8, this.files.get(name).size));
    if (hex(begin.subarray(4)) !== FTYP || (await kindsIn(this.reader(name))).has("moof")) {
      throw new Fail(`${name} is no MP4, or one in fragments`);
    }
    await judged.judge(nalUnits(this.reader(name)));
    if (kind === "whole") {
      // What its sealed originals hold may be unsigned inside.
      for (const sentence of [NEVER_SIGNED, ...(this.camera.unfinished().length ? [] : UNSIGNED)]) {
        if (judged.false.delete(sentence)) judged.exceptions.add(sentence);
      }
    }
    const told = (sentences) => [...sentences].map((sentence) => `${name}: ${sentence}`);
    this.exceptions.push(...told(judged.exceptions));
    if (kind === "whole" && !judged.proven && !judged.false.size) return;
    this.false.push(...told(judged.false));
    if (judged.camera !== this.camera.device) this.false.push(`${name} is not of the camera ${this.camera.device}`);
    if ([...judged.shown].some((sets) => !this.camera.parameterSets.has(sets))) {
      this.false.push(`${name} has other parameter sets than the ledger names`);
    }
    if (judged.proven && !this.camera.covers(judged.first, judged.until)) {
      this.false.push(`${name} was not taken while this recording lasted`);
    }
  }

  /** A whole film must come out of its sealed originals, byte for byte. */
  async originals() {
    const wholes = this.said.films.filter((film) => film.kind === "whole").map((film) => film.name);
    const stills = [...this.files.keys()].filter((name) => /^[^/]+\.jpg$/s.test(name) && !isStray(name)).sort();
    if (!wholes.length) {
      const there = [...this.files.keys()].some((name) => name === "proof/keys.json" || name.startsWith("proof/sealed/"));
      if (there) this.false.push("sealed originals stand beside what is not the whole recording");
      this.exceptions.push(...stills.map((name) => `${name}: nothing here proves this picture`));
      return;
    }
    const told = decode(await this.small("proof/keys.json", LIST)), keys = new Map();
    for (const [name, key] of Object.entries(told)) keys.set(name, digits(key, 16));
    const originals = [];
    const signed = new Set(this.said.sealed.map((row) => row.segment));
    for (const [name, claim] of [...this.camera.files].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const path = `proof/sealed/${name}`, reader = this.files.has(path) ? this.reader(path) : null;
      if (!reader && signed.has(name)) this.false.push(`${name} is missing`);
      if (reader && !(await asClaimed(reader, claim))) this.false.push(`${name} is not what the camera names`);
      originals.push({ name, reader, claim, key: keys.get(name) ?? new Uint8Array(0) });
    }
    const made = await filmsOf(this.said.recording, originals, this.progress);
    for (const name of wholes) {
      const film = made.get(name);
      if (!film || !(await isMadeOf(this.reader(name), film))) {
        this.false.push(`${name} is not what its sealed originals hold`);
      }
    }
    const sealed = new Map(originals.map((original) => [original.name, original]));
    for (const name of stills) {
      if (await isStill(this.reader(name), sealed.get(`${name}.age`))) this.stills.push(name);
      else this.false.push(`${name} is not what its sealed original holds`);
    }
  }

  // --- custody ---

  async custody() {
    const told = decode(await this.small("proof/custody.json", LINES));
    const { lines, checkpoint, trust } = told;
    if (!Array.isArray(lines) || typeof checkpoint !== "string" || typeof trust !== "string") {
      throw new Fail("custody's lines are none");
    }
    if (trust) this.trust = await readTrust(trust, this.roots);
    this.standing();
    if (this.trust && this.trust.said.store !== this.said.store) this.false.push("the trust list is of another store");
    if (this.trust && checkpoint) this.checkpoint = await readCheckpoint(checkpoint, this.trust);
    let beyond = 0;
    for (const line of lines) beyond += (await this.line(line)) ? 0 : 1;
    if (!lines.length) this.exceptions.push("custody's ledger says nothing of this recording alone");
    else if (!this.checkpoint) this.exceptions.push("nobody outside the agency has seen custody's lines");
    else {
      const { quorum } = this.trust.said;
      if (!quorum || BigInt(this.checkpoint.witnesses.size) < quorum) {
        this.exceptions.push("no quorum of witnesses has seen custody's lines");
      } else if (beyond) this.exceptions.push(`${beyond} of custody's lines are newer than witnesses saw`);
    }
  }

  /** Whether who disclosed it might do that then. */
  standing() {
    const ms = Number(this.said.utc_ns / 1_000_000_000n) * 1000;
    if (ms < this.signer.from - HOUR_MS || ms > this.signer.until) {
      this.false.push("the certificate of who disclosed it was not valid then");
    }
    for (const row of this.trust?.said.revoked ?? []) {
      if (row.certificate === this.signer.fingerprint && this.said.utc_ns >= row.utc_ns) {
        this.false.push("the certificate of who disclosed it was revoked");
      }
    }
  }

  /** Whether the checkpoint covers it. */
  async line(said) {
    if (!isTable(said)) throw new Fail("custody's lines are none");
    const { number, certificate, line, proof } = said;
    if (typeof number !== "bigint" || typeof certificate !== "string" || typeof line !== "string") {
      throw new Fail("custody's lines are none");
    }
    const chain = chainOf(utf8(certificate));
    if (!(await roleOf(chain, this.roots))) throw new Fail("a line of custody is signed by nobody of the agency");
    const signed = utf8(line), fields = await stated(signed, chain);
    const named = ["recording", "recordings", "found"].find((name) => Object.hasOwn(fields, name));
    const about = fields[named];
    const mine = `${this.said.device}/${this.said.recording}`;
    if (about !== mine && !(Array.isArray(about) && about.length === 1 && about[0] === mine)) {
      this.false.push(`custody's line ${number} is about another recording`);
    }
    if (fields.n !== number) this.false.push(`custody's line ${number} is another line`);
    if (!this.checkpoint || number > this.checkpoint.size) return false;
    if (!Array.isArray(proof)) throw new Fail("custody's lines are none");
    const { size, root } = this.checkpoint;
    if (!standsIn(leafOf(signed), number - 1n, size, proof.map((digest) => digits(digest, 32)), root)) {
      this.false.push(`custody's line ${number} does not stand in the log`);
    }
    return true;
  }
}

/** Bytes by their digits, of which there must be so many. */
function digits(written, length) {
  const bytes = unhex(written);
  if (bytes.length !== length) throw new Fail("digits are none, or of another number");
  return bytes;
}

/** Whether a picture is what its sealed original holds. */
async function isStill(given, sealed) {
  if (!sealed?.reader) return false;
  try {
    const opened = await Opened.of(sealed.reader, sealed.claim.head, sealed.key);
    return opened.whole && (await opened.sha256()) === (await digestOfFile(given));
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return false;
  }
}

/** Whether a sealed file is what the camera's lines name, in its parts as well. */
async function asClaimed(reader, claim) {
  if (reader.size < claim.head.length) return false;
  if (!same(await reader.bytes(0, claim.head.length), claim.head)) return false;
  const attested = claim.end === "recovered" ? Number(claim.synced) : 0;
  if (attested > reader.size) return false;
  if (attested) {
    const part = sha256.create();
    for await (const block of reader.blocks(0, attested)) part.update(block);
    if (hex(part.digest()) !== claim.syncedSha256) return false;
  }
  return BigInt(reader.size) === claim.length && (await digestOfFile(reader)) === claim.sha256;
}
