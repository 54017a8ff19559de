// A sealed original (age v1), opened with the key that a package gives for it alone.

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, ascii, join, put, text, toBase64 } from "./bytes.js";
import { digestOfBytes } from "./digests.js";

const CHUNK = 65536, TAG = 16, NONCE = 16;

export function payloadKey(head, key) {
  const header = text(head.subarray(0, head.length - NONCE)), nonce = head.subarray(head.length - NONCE);
  const mark = header.lastIndexOf("\n--- ");
  if (mark < 0 || key.length !== 16) throw new Fail("its key is not that of the file");
  const macKey = hkdf(sha256, key, new Uint8Array(0), ascii("header"), 32);
  const mac = toBase64(hmac(sha256, macKey, ascii(header.slice(0, mark) + "\n---"))).replace(/=+$/, "");
  if (header.slice(mark + 5) !== `${mac}\n`) throw new Fail("its key is not that of the file");
  return hkdf(sha256, key, nonce, ascii("payload"), 32);
}

/** Pieces of plaintext with gaps between them, and the length of the first chunk. */
export class Opened {
  static async of(reader, head, key) {
    const opened = new Opened();
    const secret = payloadKey(head, key);
    opened.pieces = [];
    opened.first = 0;
    let piece = [], gap = false, ended = false;
    for (let at = head.length, counter = 0; at < reader.size; at += CHUNK + TAG, counter++) {
      const sealed = await reader.bytes(at, Math.min(CHUNK + TAG, reader.size - at));
      const last = at + CHUNK + TAG >= reader.size;
      const [plain, final] = chunk(secret, counter, sealed, last);
      if (plain === null && !gap) {
        opened.pieces.push(join(...piece));
        piece = [];
      }
      gap = plain === null;
      if (plain === null) continue;
      ended = final;
      piece.push(plain);
      opened.first ||= plain.length;
    }
    opened.pieces.push(join(...piece));
    opened.whole = ended && opened.pieces.length === 1;
    return opened;
  }

  /** Of a file without gaps. */
  sha256() {
    return digestOfBytes(this.pieces[0]);
  }
}

function chunk(secret, counter, sealed, last) {
  for (const final of last ? [true, false] : [false, true]) {
    const nonce = join(put(counter, 11), Uint8Array.of(final ? 1 : 0));
    let plain;
    try {
      plain = chacha20poly1305(secret, nonce).decrypt(sealed);
    } catch {
      continue;
    }
    if (!final && plain.length !== CHUNK) return [null, false];
    if (final && !plain.length && counter) return [null, false];
    return [plain, final];
  }
  return [null, false];
}
