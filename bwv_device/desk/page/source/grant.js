// Asks to look at a recording, and takes the keys that the key desk gives to this person's own key
// (docs/format.md, 10). Each look is a line of custody's ledger before a key leaves the key desk.

import { Decrypter } from "age-encryption";
import { Fail, ascii, utf8 } from "../../../verification/page/source/bytes.js";
import { chainOf, roleOf } from "../../../verification/page/source/certificates.js";
import { digestOf, parted, stated } from "../../../verification/page/source/statements.js";
import { roots } from "./agency.js";
import { send } from "./api.js";
import { nowNs, randomHex, statement } from "./signing.js";

const AT_ONCE = 256, WAITS = 300, PAUSE_MS = 100;
const DESKS = ["keydesk", "custodian", "reviewer", "disclosure", "auditor"];

/** File keys by the files' names; `waits` hears that witnesses have not seen the line yet. */
export async function look({ identity, store, recording, segments, reason, caseName }, waits = () => {}) {
  const keys = new Map(), lines = [];
  for (let at = 0; at < segments.length; at += AT_ONCE) {
    const some = segments.slice(at, at + AT_ONCE), [device, name] = recording.split("/");
    const request = await statement(identity, "bwv view request v1", {
      store, device, recording: name, segments: some, key: identity.viewingChain, reason, case: caseName,
      nonce: randomHex(16), utc_ns: nowNs(),
    });
    const { grant } = await granted(request, waits);
    const { line, found } = await opened(grant, request, some, identity);
    lines.push(String(line));
    for (const [segment, key] of found) keys.set(segment, key);
  }
  return { keys, lines };
}

async function granted(request, waits) {
  for (let n = 0; n < WAITS; n++) {
    const { said } = await send("view", { request, approval: "" });
    if (said.grant) return said;
    waits(said.line);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Fail("the line says that you look, and no quorum of witnesses has seen it: try again later");
}

async function opened(grant, request, segments, identity) {
  const [signed, pem] = parted(utf8(grant));
  const chain = chainOf(pem);
  if (!DESKS.includes(await roleOf(chain, roots))) throw new Fail("what came back is not of this agency's key desk");
  const said = await stated(signed, chain);
  if (said.purpose !== "bwv grant v1" || said.request !== digestOf(ascii(request.split("\n")[0]))) {
    throw new Fail("the key desk answers another request");
  }
  const found = [];
  for (const { segment, header } of said.headers) {
    if (!segments.includes(segment)) continue;
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity.viewing);
    found.push([segment, await decrypter.decryptHeader(ascii(header))]);
  }
  return { line: said.line, found };
}
