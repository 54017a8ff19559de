// Certificates of the one profile that an agency has (docs/format.md, 6.1): P-256, SHA-256.

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, ascii, base64, hex, same, text, toBase64 } from "./bytes.js";
import { Key } from "./signatures.js";

const PEM_LIMIT = 16 << 10;
const BEGIN = "-----BEGIN CERTIFICATE-----\n";
const END = "-----END CERTIFICATE-----\n";
const SEQUENCE = 0x30, SET = 0x31, OID = 6, BITS = 3, OCTETS = 4, BOOLEAN = 1, INTEGER = 2;
const ECDSA_SHA256 = "2a8648ce3d040302", P256_KEY = "2a8648ce3d0201", P256_CURVE = "2a8648ce3d030107";
const CONSTRAINTS = "551d13";
const NAMES = { "550403": "name", "55040b": "unit", "0992268993f22c640101": "person" };
const ROLES = ["intake", "configuration", "command", "custodian", "reviewer", "disclosure", "auditor",
  "retention", "software", "keydesk", "renderer"];
const DEVICE = /^(?!\.)[A-Za-z0-9._-]{1,64}$/;

/** One element of DER: its tag, its content, and all of it. */
function element(bytes, at) {
  let length = bytes[at + 1], start = at + 2;
  if (length & 0x80) {
    const count = length & 0x7f;
    if (!count || count > 3 || start + count > bytes.length) throw new Fail("a certificate is damaged");
    length = 0;
    for (let n = 0; n < count; n++) length = length * 256 + bytes[start + n];
    start += count;
    if (length < (count === 1 ? 128 : 256 ** (count - 1))) throw new Fail("a certificate is damaged");
  }
  const end = start + length;
  if (!(end <= bytes.length)) throw new Fail("a certificate is damaged");
  return { tag: bytes[at], inside: bytes.subarray(start, end), all: bytes.subarray(at, end), end };
}

function elements(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; at = found.at(-1).end) found.push(element(bytes, at));
  return found;
}

function expect(part, tag) {
  if (part?.tag !== tag) throw new Fail("a certificate is of another form");
  return part;
}

export class Certificate {
  constructor(der) {
    this.der = der;
    this.fingerprint = hex(sha256(der));
    const outer = expect(element(der, 0), SEQUENCE);
    const [signed, algorithm, signature] = elements(outer.inside);
    this.signed = expect(signed, SEQUENCE).all;
    this.signature = expect(signature, BITS).inside.subarray(1);
    const parts = elements(signed.inside);
    if (parts[0]?.tag === 0xa0) parts.shift();
    const [serial, inner, issuer, validity, subject, key, ...more] = parts;
    expect(serial, INTEGER);
    if (outer.end !== der.length || !same(expect(inner, SEQUENCE).all, expect(algorithm, SEQUENCE).all)) throw new Fail("a certificate is damaged");
    this.ecdsa = hex(expect(elements(algorithm.inside)[0], OID).inside) === ECDSA_SHA256;
    this.issuer = expect(issuer, SEQUENCE).all;
    this.subject = expect(subject, SEQUENCE).all;
    [this.from, this.until] = elements(expect(validity, SEQUENCE).inside).map(moment);
    this.names = names(subject.inside);
    this.key = publicKey(expect(key, SEQUENCE));
    this.ca = isCa(more.find((part) => part.tag === 0xa3));
  }

  /** The one value of a kind; "" where there is none, or more. */
  the(kind) {
    const found = this.names.filter(([name]) => name === kind);
    return found.length === 1 ? found[0][1] : "";
  }

  get pem() {
    const lines = toBase64(this.der).replace(/.{64}(?=.)/g, "$&\n");
    return `${BEGIN}${lines}\n${END}`;
  }
}

function moment({ tag, inside }) {
  const digits = text(inside);
  const year = tag === 0x17 ? digits.slice(0, 2) : digits.slice(0, 4);
  const full = tag === 0x17 ? Number(year) + (Number(year) < 50 ? 2000 : 1900) : Number(year);
  const rest = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits.slice(year.length));
  if (!rest) throw new Fail("a certificate has a time that is none");
  const [month, day, hour, minute, second] = rest.slice(1).map(Number);
  return Date.UTC(full, month - 1, day, hour, minute, second);
}

function names(subject) {
  return elements(subject).flatMap((set) =>
    elements(expect(set, SET).inside).map((pair) => {
      const [kind, value] = elements(expect(pair, SEQUENCE).inside);
      if (!value) throw new Fail("a certificate is of another form");
      return [NAMES[hex(expect(kind, OID).inside)] ?? "other", text(value.inside)];
    }),
  );
}

function publicKey(info) {
  const [algorithm, point] = elements(info.inside);
  const [kind, curve] = elements(expect(algorithm, SEQUENCE).inside);
  const ours = hex(expect(kind, OID).inside) === P256_KEY && curve && hex(curve.inside) === P256_CURVE;
  const bytes = expect(point, BITS).inside.subarray(1);
  return ours && bytes.length === 65 && bytes[0] === 4 ? new Key(bytes) : null;
}

function isCa(extensions) {
  if (!extensions) return false;
  for (const extension of elements(element(extensions.inside, 0).inside)) {
    const parts = elements(extension.inside);
    if (hex(expect(parts[0], OID).inside) !== CONSTRAINTS) continue;
    const [ca] = elements(element(expect(parts.at(-1), OCTETS).inside, 0).inside);
    return ca?.tag === BOOLEAN && ca.inside[0] === 0xff;
  }
  return false;
}

/** Certificates and nothing else, in the one form of PEM. Raises `Fail`. */
export function chainOf(bytes) {
  const pem = text(bytes);
  if (bytes.length > PEM_LIMIT) throw new Fail("it brings more than certificates");
  const chain = pem.split(END).slice(0, -1).map((part) => {
    if (!part.startsWith(BEGIN)) throw new Fail("it brings more than certificates");
    return new Certificate(base64(part.slice(BEGIN.length).replaceAll("\n", "")));
  });
  if (!chain.length || chain.map((one) => one.pem).join("") !== pem) {
    throw new Fail("it brings more than certificates");
  }
  return chain;
}

/** Of a file that people keep: text around it is no harm. */
export function rootOf(bytes) {
  const found = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(text(bytes));
  if (!found) throw new Fail("that is no certificate");
  return new Certificate(base64(found[1].replace(/\s/g, "")));
}

export async function issued(subject, issuer) {
  if (!issuer.ca || !issuer.key || !subject.ecdsa || !same(subject.issuer, issuer.subject)) return false;
  return issuer.key.verifiesDer(subject.signature, subject.signed);
}

async function leadsTo(chain, root) {
  const issuers = [...chain.slice(1), root];
  for (const [n, one] of chain.entries()) if (!(await issued(one, issuers[n]))) return false;
  return true;
}

async function issuedBy(chain, unit, roots) {
  if (chain.length !== 2 || chain[1].the("unit") !== unit || !chain[0].key) return false;
  for (const root of roots) if (await leadsTo(chain, root)) return true;
  return false;
}

/** The role that one of the roots' roles CA certified; "" for nobody's. */
export async function roleOf(chain, roots) {
  const role = chain[0].the("unit");
  return ROLES.includes(role) && (await issuedBy(chain, "roles CA", roots)) ? role : "";
}

/** The camera that one of the roots' device CA certified; "" for none. */
export async function cameraOf(chain, roots) {
  const name = chain[0].the("name");
  const fits = chain[0].names.length === 1 && DEVICE.test(name);
  return fits && (await issuedBy(chain, "device CA", roots)) ? name : "";
}

export const pemBytes = (chain) => ascii(chain.map((one) => one.pem).join(""));
