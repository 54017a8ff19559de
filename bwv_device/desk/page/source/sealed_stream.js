// A sealed file as it comes over the network: each chunk is opened as soon as it is whole. By the
// browser's own ChaCha20-Poly1305 where it has one, in JavaScript where not.

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { Fail, join, put, same } from "../../../verification/page/source/bytes.js";
import { payloadKey } from "../../../verification/page/source/sealed_file.js";

const CHUNK = 65536, TAG = 16;
const NATIVE = { name: "ChaCha20-Poly1305" };

async function opener(secret) {
  for (const format of ["raw-secret", "raw"]) {
    try {
      const key = await crypto.subtle.importKey(format, secret, NATIVE, false, ["decrypt"]);
      const open = async (iv, sealed) => new Uint8Array(await crypto.subtle.decrypt({ ...NATIVE, iv }, key, sealed));
      return { open, native: true };
    } catch {
      // This browser has none, or knows it by another name.
    }
  }
  return { open: async (iv, sealed) => chacha20poly1305(secret, iv).decrypt(sealed), native: false };
}

/** Whole chunks of plaintext. `head`: the header and nonce that the camera signed. `take` hears of
 * every sealed byte. `cut`: the file ended without its last chunk, as after a loss of power. */
export async function* opened(reader, head, key, take = () => {}) {
  const { open } = await opener(payloadKey(head, key));
  let waiting = new Uint8Array(0), counter = 0, headed = false;
  const nonce = (final) => join(put(counter, 11), Uint8Array.of(final ? 1 : 0));
  for (;;) {
    const { done, value } = await reader.read();
    if (value) {
      take(value);
      waiting = waiting.length ? join(waiting, value) : value;
    }
    if (!headed && waiting.length >= head.length) {
      if (!same(waiting.subarray(0, head.length), head)) throw new Fail("the file does not begin as the camera signed it");
      waiting = waiting.subarray(head.length);
      headed = true;
    }
    // The last chunk is told from the others by its nonce: so one stays back until the end.
    const opening = [];
    while (headed && waiting.length > CHUNK + TAG) {
      opening.push(chunk(open, nonce(false), waiting.subarray(0, CHUNK + TAG)));
      waiting = waiting.subarray(CHUNK + TAG);
      counter++;
    }
    const plain = await Promise.all(opening);
    if (plain.length) yield plain.length === 1 ? plain[0] : join(...plain);
    if (done) break;
  }
  if (!headed) throw new Fail("the file is cut");
  if (!waiting.length) return;
  let last;
  try {
    last = await open(nonce(true), waiting);
  } catch {
    // Torn by a loss of power: whole chunks count, and the ledger says how long the file was.
    if (waiting.length < CHUNK + TAG) return;
    last = await chunk(open, nonce(false), waiting);
  }
  if (last.length) yield last;
}

async function chunk(open, iv, sealed) {
  try {
    return await open(iv, sealed);
  } catch {
    throw new Fail("a part of the file was changed after it was sealed");
  }
}
