// Bytes of a file that may be larger than memory, by a window of some megabytes.

import { Fail } from "./bytes.js";

const WINDOW = 8 << 20;

export class Reader {
  constructor(blob) {
    this.blob = blob;
    this.size = blob.size;
    this.start = 0;
    this.window = new Uint8Array(0);
  }

  /** `length` bytes from `at` on. Raises `Fail` where there are not so many. */
  async bytes(at, length) {
    if (at < 0 || length < 0 || at + length > this.size) throw new Fail("it is cut");
    const from = at - this.start;
    if (from >= 0 && from + length <= this.window.length) return this.window.subarray(from, from + length);
    const end = Math.min(this.size, at + Math.max(length, WINDOW));
    this.window = new Uint8Array(await this.blob.slice(at, end).arrayBuffer());
    this.start = at;
    if (this.window.length < length) throw new Fail("it is cut");
    return this.window.subarray(0, length);
  }

  /** All of it, of a file that is small. */
  async all(limit) {
    if (this.size > limit) throw new Fail("it is too large");
    return new Uint8Array(await this.blob.arrayBuffer());
  }

  async *blocks(from = 0, to = this.size) {
    for (let at = from; at < to; at += 1 << 20) yield await this.bytes(at, Math.min(1 << 20, to - at));
  }
}
