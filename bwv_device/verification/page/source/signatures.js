// ECDSA P-256, Ed25519, ML-DSA-44: by WebCrypto where it has them, in JavaScript where not.

import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { ml_dsa44 } from "@noble/post-quantum/ml-dsa.js";
import { big, join, unhex } from "./bytes.js";

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const P256 = { name: "ECDSA", namedCurve: "P-256" };
const subtle = globalThis.crypto?.subtle;

/** A P-256 key by its uncompressed point. */
export class Key {
  constructor(point) {
    this.point = point;
    this.known = null;
  }

  /** `signature`: r and s, 32 bytes each. */
  async verifies(signature, message) {
    if (signature.length !== 64) return false;
    try {
      if (!subtle) return p256.verify(signature, message, this.point, { lowS: false });
      this.known ??= subtle.importKey("raw", this.point, P256, false, ["verify"]);
      return await subtle.verify({ name: "ECDSA", hash: "SHA-256" }, await this.known, signature, message);
    } catch {
      return false;
    }
  }

  /** As ledgers and statements write it: 128 digits, the lower s only (3.2). */
  async verifiesLine(digits, message) {
    if (!/^[0-9a-f]{128}$/.test(digits)) return false;
    const signature = unhex(digits);
    return big(signature, 32, 32) <= ORDER / 2n && (await this.verifies(signature, message));
  }

  async verifiesDer(der, message) {
    const raw = fromDer(der);
    return raw !== null && (await this.verifies(raw, message));
  }
}

function fromDer(der) {
  let at = 2;
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return null;
  const parts = [];
  for (let n = 0; n < 2; n++) {
    const length = der[at + 1];
    const digits = der.subarray(at + 2, at + 2 + length);
    const padded = length > 1 && digits[0] === 0;
    if (der[at] !== 2 || digits.length !== length || !length || digits[0] & 0x80) return null;
    if (padded && !(digits[1] & 0x80)) return null;
    const bare = padded ? digits.subarray(1) : digits;
    if (bare.length > 32) return null;
    parts.push(new Uint8Array(32 - bare.length), bare);
    at += 2 + length;
  }
  return at === der.length ? join(...parts) : null;
}

let native = Boolean(subtle);

export async function ed25519Verifies(key, signature, message) {
  if (native) {
    try {
      const known = await subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
      return await subtle.verify("Ed25519", known, signature, message);
    } catch {
      native = false; // this browser has none
    }
  }
  try {
    return ed25519.verify(signature, message, key, { zip215: false });
  } catch {
    return false;
  }
}

export function mlDsaVerifies(key, signature, message) {
  try {
    return ml_dsa44.verify(signature, message, key);
  } catch {
    return false;
  }
}
