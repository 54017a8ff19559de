// What the person signs: canonical JSON, ECDSA P-256, the lower s (docs/format.md, 3.2 and 6.1).

import { ascii, big, hex, join, put } from "../../../verification/page/source/bytes.js";
import { encode } from "../../../verification/page/source/canonical_json.js";

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** `json TAB signature`, of bytes that are canonical. */
export async function signedText(key, json) {
  const raw = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, ascii(json)));
  const s = big(raw, 32, 32);
  const lower = s > ORDER / 2n ? ORDER - s : s;
  return `${json}\t${hex(join(raw.subarray(0, 32), put(lower, 32)))}`;
}

/** An object as it lies in a store: the statement, and the certificates of its signer. */
export async function statement(identity, purpose, fields) {
  const json = encode({ ...fields, purpose, by: identity.fingerprint });
  return `${await signedText(identity.signing, json)}\n${identity.chain}`;
}

export const nowNs = () => BigInt(Date.now()) * 1_000_000n;

export function randomHex(length) {
  return hex(crypto.getRandomValues(new Uint8Array(length)));
}
