// SHA-256: by WebCrypto where all of it fits into memory, ten times as fast; in JavaScript where not.

import { sha256 } from "@noble/hashes/sha2.js";
import { hex } from "./bytes.js";

const IN_MEMORY = 256 << 20;
const subtle = globalThis.crypto?.subtle;

export async function digestOfBytes(bytes) {
  return hex(subtle ? new Uint8Array(await subtle.digest("SHA-256", bytes)) : sha256(bytes));
}

export async function digestOfFile(reader) {
  if (subtle && reader.size <= IN_MEMORY) return digestOfBytes(await reader.all(IN_MEMORY));
  const whole = sha256.create();
  for await (const block of reader.blocks()) whole.update(block);
  return hex(whole.digest());
}
