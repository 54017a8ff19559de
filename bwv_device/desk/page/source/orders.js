// Orders to the worker, and what comes back (docs/format.md, 12.4): questions to be signed, each read
// before it is, and a package that this browser opens and holds against what it signs.

import { BlobReader, BlobWriter, ZipReader, configure } from "@zip.js/zip.js";
import { Decrypter } from "age-encryption";
import { Fail, ascii, hex, text, unhex, utf8 } from "../../../verification/page/source/bytes.js";
import { decode } from "../../../verification/page/source/canonical_json.js";
import { digestOfBytes } from "../../../verification/page/source/digests.js";
import { chainOf, roleOf } from "../../../verification/page/source/certificates.js";
import { digestOf, parted, stated } from "../../../verification/page/source/statements.js";
import { roots } from "./agency.js";
import { bytes, get, post } from "./api.js";
import { ledger } from "./ledger.js";
import { nowNs, randomHex, signedText, statement } from "./signing.js";

configure({ useWebWorkers: false });
const OF_PACKAGE = ["SHA256SUMS", "SHA256SUMS.sig"];
const PLAN_LIMIT = 60_000;
// The field that begins what is signed of a manifest: CBOR, an array of four, "Signature1" (RFC 9052).
const MANIFEST = "846a5369676e617475726531";

/** JSON in ASCII, as a plan stands in an order. */
const plain = (value) =>
  JSON.stringify(value).replace(/[\x7f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

export async function order(identity, { store, recording, what, plan, reason }) {
  const [device, name] = recording.split("/"), said = plain(plan);
  if (said.length > PLAN_LIMIT) throw new Fail("that covers too many parts: join some of them");
  const written = await statement(identity, "bwv render order v1", {
    store, device, recording: name, what, plan: said, reason, key: identity.viewingChain, nonce: randomHex(16), utc_ns: nowNs(),
  });
  return (await post("orders", { order: written })).order;
}

export const orders = () => get("orders");

/** What an order says, by its own text. */
export function read(written) {
  const said = decode(ascii(written.split("\t")[0]));
  return { ...said, plan: JSON.parse(said.plan), digest: digestOf(ascii(written.split("\n")[0])) };
}

export async function approve(identity, digest) {
  const approval = await statement(identity, "bwv render approval v1", { order: digest, utc_ns: nowNs() });
  await post("orders/approve", { order: digest, approval });
}

/** Files by name of what the worker made, opened with this person's key. */
export async function result(identity, digest) {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity.viewing);
  const zip = await decrypter.decrypt(await bytes("orders/result", { order: digest }));
  const blob = new Blob([zip], { type: "application/zip" }), files = new Map();
  const reader = new ZipReader(new BlobReader(blob));
  for (const entry of await reader.getEntries()) files.set(entry.filename, await entry.getData(new BlobWriter()));
  await reader.close();
  return { blob, files };
}

async function digests(files) {
  const found = {};
  for (const [name, blob] of files) found[name] = await digestOfBytes(new Uint8Array(await blob.arrayBuffer()));
  return found;
}

/** A question in words, once it was read: `said` for what a person confirms, null for what goes with
 * what they ordered. Raises `Fail` for what was not ordered. */
export async function question(identity, waiting, ordered) {
  const { message, body, asked } = JSON.parse(waiting.question), signed = unhex(message);
  await byWorker(asked, waiting.digest, digestOf(signed));
  if (message.startsWith(MANIFEST)) return { signed: message, said: null };
  const json = text(signed), said = decode(signed);
  if (said.by !== identity.fingerprint) throw new Fail("it is not in your name");
  if (said.purpose === "bwv package v1") {
    const mine = said.device === ordered.device && said.recording === ordered.recording && said.store === ordered.store;
    if (!mine) throw new Fail("the package is of another recording");
    return { signed: message, json, said: null };
  }
  return { signed: message, json, said: await disclosed(identity, waiting, ordered, said, body) };
}

/** A worker of the agency asks this, of this order; not the desk, which only carries it. */
async function byWorker(asked, order, message) {
  const [said, pem] = parted(utf8(asked)), chain = chainOf(pem);
  if ((await roleOf(chain, roots)) !== "renderer") throw new Fail("no worker of this agency asks for the signature");
  const { purpose, ...fields } = await stated(said, chain);
  if (purpose !== "bwv render question v1" || fields.order !== order || fields.message !== message) {
    throw new Fail("the worker asks for something else");
  }
}

/** The line that says what goes to whom; held against the package that it speaks of. */
async function disclosed(identity, waiting, ordered, line, body) {
  if (line.kind !== "disclosed" || digestOf(ascii(body)) !== line.body) throw new Fail("the line says something else");
  const { salt, ...words } = decode(ascii(body)), { plan } = ordered;
  const meant = {
    recording: `${ordered.device}/${ordered.recording}`, recipient: plan.recipient, reason: ordered.reason, request: plan.request, redacted: plan.redaction !== null,
  };
  const said = { ...line, ...words };
  for (const [name, value] of Object.entries(meant)) if (said[name] !== value) throw new Fail(`the line says something else than you ordered: ${name}`);
  const { followed } = await ledger.follow();
  if (followed && (Number(line.n) - Number(line.aside ?? 0n) - 1 < ledger.state.n)) throw new Fail("the line does not continue what this browser has read");
  const { files } = await result(identity, waiting.digest), found = await digests(files);
  for (const [name, digest] of Object.entries(found)) {
    if (!OF_PACKAGE.includes(name) && said.files[name] !== digest) throw new Fail(`${name} of the package is not what the line names`);
  }
  const lacking = Object.keys(said.files).find((name) => !(name in found));
  if (lacking) throw new Fail(`the package lacks ${lacking}`);
  if (found.SHA256SUMS !== said.sums) throw new Fail("the package's list is not what the line names");
  return { ...said, count: Object.keys(found).length };
}

/** Signs a question that was read. */
export async function answer(identity, waiting, read) {
  let signature;
  if (read.json) signature = (await signedText(identity.signing, read.json)).split("\t")[1];
  else {
    const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, identity.signing, unhex(read.signed));
    signature = lower(hex(new Uint8Array(raw)));
  }
  await post("orders/sign", { order: waiting.digest, question: waiting.question, signature });
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function lower(digits) {
  const s = BigInt(`0x${digits.slice(64)}`);
  return s > ORDER / 2n ? digits.slice(0, 64) + (ORDER - s).toString(16).padStart(64, "0") : digits;
}

