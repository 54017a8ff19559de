// Custody's log: signed notes, witnesses, inclusion (docs/format.md, 8.3 and 8.4).

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, base64, big, hex, join, put, same, utf8 } from "./bytes.js";
import { chainOf } from "./certificates.js";
import { TRUST, misfit } from "./grammar.js";
import { ed25519Verifies, mlDsaVerifies } from "./signatures.js";
import { parted, stated } from "./statements.js";

const LOG = 1, COSIGNER = 4, COSIGNER_MLDSA = 6;
const LENGTHS = { [LOG]: 32, [COSIGNER]: 32, [COSIGNER_MLDSA]: 1312 };
const NOTE_LIMIT = 128 << 10, SIGNATURES = 100, PROOF = 63, FAR = 1n << 63n;
// Of a key: what is not seen, spaces, and the sign that parts its text.
const NO_NAME = /[+\x00-\x20\x7f-\xa0\xad\u061c\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]/;
const fitsName = (name) => name.length > 0 && utf8(name).length <= 255 && !NO_NAME.test(name);

class NoteKey {
  constructor(written) {
    const [name, digest, ...rest] = written.split("+");
    const data = base64(rest.join("+"));
    if (!data.length || LENGTHS[data[0]] !== data.length - 1 || !fitsName(name)) {
      throw new Fail("a key of a kind that is not known");
    }
    Object.assign(this, { name, kind: data[0], public: data.subarray(1) });
    this.id = hex(sha256(join(utf8(name + "\n"), data)).subarray(0, 4));
    if (this.id !== digest) throw new Fail("a key whose digest is not its own");
  }

  verifies(signature, message) {
    if (this.kind === COSIGNER_MLDSA) return mlDsaVerifies(this.public, signature, message);
    return ed25519Verifies(this.public, signature, message);
  }
}

/** The agency's trust list, by its root. Raises `Fail`. */
export async function readTrust(written, roots) {
  const [signed, pem] = parted(utf8(written));
  const chain = chainOf(pem);
  if (chain.length !== 1 || !roots.some((root) => same(root.der, chain[0].der))) {
    throw new Fail("the trust list is not signed by the agency's root");
  }
  const said = await stated(signed, chain);
  const wrong = misfit(TRUST, said, true);
  if (wrong || said.purpose !== "bwv trust v1") throw new Fail(`the trust list says something else: ${wrong}`);
  const log = new NoteKey(said.log), witnesses = said.witnesses.map((row) => new NoteKey(row.key));
  if (log.kind !== LOG || log.name !== `bwv-custody/${said.store}`) throw new Fail("the trust list names another log");
  const alike = new Set(witnesses.map((key) => `${key.name} ${key.kind} ${hex(key.public)}`));
  if (alike.size !== witnesses.length || witnesses.some((key) => key.kind === LOG)) {
    throw new Fail("the trust list names a witness twice, or one that is none");
  }
  if (said.quorum > BigInt(new Set(witnesses.map((key) => key.name)).size)) {
    throw new Fail("the trust list wants more witnesses than it names");
  }
  return { said, log, witnesses };
}

/** How long the log is, its root, and which witnesses saw that. Raises `Fail`. */
export async function readCheckpoint(written, trust) {
  const note = utf8(written), split = written.lastIndexOf("\n\n");
  if (note.length > NOTE_LIMIT || split < 0 || !written.endsWith("\n") || /[\r\0]/.test(written)) {
    throw new Fail("the checkpoint is no note");
  }
  const signed = utf8(written.slice(0, split + 1)), rows = written.slice(0, split).split("\n");
  if (rows.length < 3 || rows.some((row) => !row) || !/^(?:0|[1-9][0-9]{0,18})$/.test(rows[1])) {
    throw new Fail("the checkpoint is none");
  }
  const [origin, size, root] = [rows[0], BigInt(rows[1]), base64(rows[2])];
  if (root.length !== 32 || size >= FAR || origin !== trust.log.name) throw new Fail("the checkpoint is of another log");
  const tail = written.slice(split + 2);
  const signatures = tail.split("\n").slice(0, -1).map(signatureLine);
  if (!signatures.length || signatures.length > SIGNATURES) throw new Fail("the checkpoint has no signatures, or too many");
  const by = (key) => signatures.filter((row) => row.name === key.name && row.id === key.id);
  let logged = false;
  for (const row of by(trust.log)) logged ||= await trust.log.verifies(row.signature, signed);
  if (!logged) throw new Fail("the checkpoint is not signed by the log");
  const witnesses = new Map();
  for (const key of trust.witnesses) {
    for (const row of by(key)) {
      if (row.signature.length <= 8) continue;
      const time = row.signature.subarray(0, 8), when = big(time, 0);
      const message = key.kind === COSIGNER_MLDSA
        ? join(utf8("subtree/v1\n\0"), short(key.name), time, short(origin), new Uint8Array(8), put(size, 8), root)
        : join(utf8(`cosignature/v1\ntime ${when}\n`), signed);
      if (when < FAR && (await key.verifies(row.signature.subarray(8), message))) witnesses.set(key.name, when);
    }
  }
  return { size, root, witnesses };
}

const short = (name) => join(Uint8Array.of(utf8(name).length), utf8(name));

function signatureLine(line) {
  const [dash, name, said, ...more] = line.split(" ");
  const data = base64(said ?? "");
  if (dash !== "—" || more.length || data.length <= 4 || !fitsName(name)) {
    throw new Fail("the checkpoint has a line that is no signature");
  }
  return { name, id: hex(data.subarray(0, 4)), signature: data.subarray(4) };
}

/** RFC 9162, 2.1.3.2. */
export function standsIn(leaf, index, size, proof, root) {
  if (index < 0n || index >= size || proof.length > PROOF) return false;
  let at = index, last = size - 1n;
  for (const sibling of proof) {
    if (last === 0n) return false;
    const right = (at & 1n) === 1n || at === last;
    leaf = sha256(join(Uint8Array.of(1), ...(right ? [sibling, leaf] : [leaf, sibling])));
    while (right && at && !(at & 1n)) [at, last] = [at >> 1n, last >> 1n];
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n && same(leaf, root);
}

export const leafOf = (line) => sha256(join(Uint8Array.of(0), sha256(line)));
