// Signed statements: `json TAB signature`, and who may say them (docs/format.md, 6.1).

import { sha256 } from "@noble/hashes/sha2.js";
import { Fail, hex, text } from "./bytes.js";
import { decode } from "./canonical_json.js";

/** What the first of a chain signed. Raises `Fail`. */
export async function stated(bytes, chain) {
  const said = text(bytes), tab = said.lastIndexOf("\t");
  if (tab < 0 || !/^[0-9a-f]{128}$/.test(said.slice(tab + 1))) throw new Fail("it is no statement");
  const signed = bytes.subarray(0, bytes.length - 129);
  if (!chain[0].key || !(await chain[0].key.verifiesLine(said.slice(tab + 1), signed))) {
    throw new Fail("a signature does not hold");
  }
  const fields = decode(signed);
  if (fields.by !== chain[0].fingerprint) throw new Fail("it names another certificate than it brings");
  return fields;
}

/** An object's statement and its certificates, which stand behind the first line. */
export function parted(bytes) {
  const end = bytes.indexOf(10);
  if (end < 0) throw new Fail("it is no statement");
  return [bytes.subarray(0, end), bytes.subarray(end + 1)];
}

export const digestOf = (bytes) => hex(sha256(bytes));
