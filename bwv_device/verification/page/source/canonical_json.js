// Canonical JSON (docs/format.md, 3.1): read strictly, so that each value has one form. Integers
// become BigInt: JavaScript's numbers lose nanoseconds.

import { Fail, text } from "./bytes.js";

const DEPTH = 16;
const SHORT = { '"': '"', "\\": "\\", b: "\b", t: "\t", n: "\n", f: "\f", r: "\r" };
const LONG_ONLY = /[\b\t\n\f\r"\\ -\x7f]/;

export function decode(bytes) {
  const source = text(bytes);
  const reader = new Reader(source);
  const value = reader.value(1);
  if (reader.at !== source.length || !isTable(value)) throw new Fail("it is not in its one form");
  return value;
}

export const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** As canonical JSON; for what is signed. */
export function encode(value) {
  if (Array.isArray(value)) return `[${value.map(encode).join(",")}]`;
  if (isTable(value)) {
    const keys = Object.keys(value).sort(byCodePoint);
    return `{${keys.map((key) => `${quoted(key)}:${encode(value[key])}`).join(",")}}`;
  }
  return typeof value === "string" ? quoted(value) : String(value);
}

function quoted(string) {
  return `"${string.replace(/["\\\x00-\x1f\x80-\uffff]/g, (c) => {
    const short = Object.keys(SHORT).find((key) => SHORT[key] === c);
    return short ? `\\${short}` : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  })}"`;
}

function byCodePoint(a, b) {
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let n = 0; n < Math.min(left.length, right.length); n++) {
    const difference = left[n].codePointAt(0) - right[n].codePointAt(0);
    if (difference) return difference;
  }
  return left.length - right.length;
}

class Reader {
  constructor(source) {
    this.source = source;
    this.at = 0;
  }

  fail() {
    throw new Fail("it is not in its one form");
  }

  take(word) {
    if (!this.source.startsWith(word, this.at)) this.fail();
    this.at += word.length;
  }

  value(level) {
    const first = this.source[this.at];
    if (first === "{") return this.table(level);
    if (first === "[") return this.list(level);
    if (first === '"') return this.string();
    for (const [word, value] of [["true", true], ["false", false], ["null", null]]) {
      if (this.source.startsWith(word, this.at)) {
        this.take(word);
        return value;
      }
    }
    return this.integer();
  }

  table(level) {
    if (level > DEPTH) this.fail();
    const found = Object.create(null);
    let before = null;
    this.take("{");
    while (this.source[this.at] !== "}") {
      if (before !== null) this.take(",");
      const key = this.string();
      if (before !== null && byCodePoint(before, key) >= 0) this.fail();
      this.take(":");
      found[key] = this.value(level + 1);
      before = key;
    }
    this.take("}");
    return found;
  }

  list(level) {
    if (level > DEPTH) this.fail();
    const found = [];
    this.take("[");
    while (this.source[this.at] !== "]") {
      if (found.length) this.take(",");
      found.push(this.value(level + 1));
    }
    this.take("]");
    return found;
  }

  string() {
    let found = "";
    this.take('"');
    for (;;) {
      const end = /["\\]/g;
      end.lastIndex = this.at;
      const stop = end.exec(this.source);
      if (!stop) this.fail();
      const plain = this.source.slice(this.at, stop.index);
      if (/[^\x20-\x7f]/.test(plain)) this.fail();
      found += plain;
      this.at = stop.index + 1;
      if (stop[0] === '"') break;
      found += this.escaped();
    }
    if (!found.isWellFormed()) this.fail();
    return found;
  }

  escaped() {
    const kind = this.source[this.at++];
    if (Object.hasOwn(SHORT, kind)) return SHORT[kind];
    const digits = this.source.slice(this.at, this.at + 4);
    if (kind !== "u" || !/^[0-9a-f]{4}$/.test(digits)) this.fail();
    this.at += 4;
    const character = String.fromCharCode(parseInt(digits, 16));
    if (LONG_ONLY.test(character)) this.fail();
    return character;
  }

  integer() {
    const digits = /-?(?:0|[1-9][0-9]{0,18})/y;
    digits.lastIndex = this.at;
    const found = digits.exec(this.source);
    if (!found || found[0] === "-0") this.fail();
    this.at += found[0].length;
    const value = BigInt(found[0]);
    if (BigInt.asIntN(64, value) !== value || /[0-9.eE]/.test(this.source[this.at] ?? "")) this.fail();
    return value;
  }
}
