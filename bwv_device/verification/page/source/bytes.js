// Bytes, and the one error of everything that reads what others wrote.

export class Fail extends Error {}

export const ascii = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));
export const utf8 = (text) => new TextEncoder().encode(text);
export const text = (bytes) => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Fail("a text is no text");
  }
};

export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

export function unhex(digits) {
  if (typeof digits !== "string" || !/^(?:[0-9a-f]{2})*$/.test(digits)) throw new Fail("a digest is none");
  return Uint8Array.from({ length: digits.length / 2 }, (_, n) => parseInt(digits.substr(2 * n, 2), 16));
}

/** Base64 in its one form; nothing where it is not. */
export function base64(digits) {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(digits)) return new Uint8Array(0);
  const bytes = ascii(atob(digits));
  return toBase64(bytes) === digits ? bytes : new Uint8Array(0);
}

export function toBase64(bytes) {
  let chars = "";
  for (const byte of bytes) chars += String.fromCharCode(byte);
  return btoa(chars);
}

export function join(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const same = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);

/** Most significant byte first. Raises `Fail` where a number is cut, or too large for one. */
export function number(bytes, at, length = 4) {
  if (at < 0 || at + length > bytes.length) throw new Fail("it is cut");
  let value = 0;
  for (let n = 0; n < length; n++) value = value * 256 + bytes[at + n];
  if (value > Number.MAX_SAFE_INTEGER) throw new Fail("a number is beyond what there can be");
  return value;
}

export function big(bytes, at, length = 8) {
  if (at < 0 || at + length > bytes.length) throw new Fail("it is cut");
  return length ? BigInt("0x" + hex(bytes.subarray(at, at + length))) : 0n;
}

export function put(value, length = 4) {
  let left = BigInt(value);
  if (left < 0n || left >= 1n << BigInt(8 * length)) throw new Fail("a number has no room");
  const bytes = new Uint8Array(length);
  for (let n = length - 1; n >= 0; n--, left >>= 8n) bytes[n] = Number(left & 255n);
  return bytes;
}

/** Where `part` stands; -1 where it does not. */
export function find(bytes, part, from = 0) {
  for (let at = bytes.indexOf(part[0], from); at >= 0; at = bytes.indexOf(part[0], at + 1)) {
    if (at + part.length > bytes.length) return -1;
    if (part.every((byte, n) => bytes[at + n] === byte)) return at;
  }
  return -1;
}

export const floorDiv = (a, b) => {
  if (b === 0n) throw new Fail("a rate of nothing");
  const q = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? q - 1n : q;
};
