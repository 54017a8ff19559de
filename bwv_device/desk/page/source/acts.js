// What a person does: the desk drafts a line, this browser reads it, puts it into words, and signs
// what it read (docs/format.md, 12.2). The words come from the line itself, never from the desk.

import { Fail, ascii } from "../../../verification/page/source/bytes.js";
import { decode, encode } from "../../../verification/page/source/canonical_json.js";
import { digestOf } from "../../../verification/page/source/statements.js";
import { Refused, send } from "./api.js";
import { ledger } from "./ledger.js";
import { signedText } from "./signing.js";

// What must stand in a line (its body included) for an act, by its arguments. The rest is computed by
// the desk, and is shown in words: `computed` names it.
const MEANT = {
  hold: (a) => ({ kind: "hold", recording: a.recording, reason: a.reason, case: a.case, request: "" }),
  "hold-for-request": (a) => ({ kind: "hold", recording: a.recording, reason: `request ${a.request}`, case: "", request: a.request }),
  "propose-release": (a) => ({ kind: "release-proposed", hold: a.hold, reason: a.reason, computed: ["recording"] }),
  "approve-release": (a) => ({ kind: "release-approved", hold: a.hold, computed: ["recording"] }),
  category: (a) => ({ kind: "category", recording: a.recording, category: a.category }),
  review: (a) => ({ kind: "review", recording: a.recording, words: a.words }),
  "case-member": (a) => ({ kind: "case-member", case: a.case, person: a.person, member: a.member }),
  "open-request": (a) => ({
    kind: "request", type: a.type, received: a.received, place: a.place, description: a.description,
    incident_ns: a.incident_ns, from_ns: a.from_ns, to_ns: a.to_ns, letter: a.letterDigest, letter_name: a.letter_name,
    devices: a.devices.split(/\s+/).filter(Boolean), officers: a.officers.split(",").map((name) => name.trim()).filter(Boolean),
    computed: ["request", "due", "in_time", "figures"],
  }),
  "request-step": (a) => ({ kind: "request-step", request: a.request, step: a.step, about: a.about, day: a.day, reason: a.reason, computed: ["due"] }),
  search: (a) => ({
    kind: "search", request: a.request,
    computed: ["head", "devices", "officers", "searched", "not_docked", "found", "not_delivered", "erased", "from_ns", "to_ns"],
  }),
  "close-request": (a) => ({ kind: "request-closed", request: a.request, outcome: a.outcome, reason: a.reason }),
  "own-quarantine": (a) => ({ kind: "quarantine-owner", quarantine: a.quarantine, owner: a.owner }),
  "take-in-again": (a) => ({ kind: "quarantine-again", quarantine: a.quarantine, reason: a.reason }),
  "propose-discard": (a) => ({ kind: "discard-proposed", quarantine: a.quarantine, reason: a.reason }),
  "approve-discard": (a) => ({ kind: "discard-approved", quarantine: a.quarantine }),
  "audit-read": (a) => ({ kind: "audit-read", recording: a.recording, person: a.person }),
};
// Where a line stands, and who signs it.
const PLACE = ["v", "n", "prev", "utc_ns", "by", "aside", "certificate", "body"];
const TRIES = 20;

/** Raises `Fail` unless the draft says what was meant, in this person's name, and nothing else. */
export function readDraft(draft, act, given, identity) {
  const line = decode(ascii(draft.line));
  const body = draft.body ? decode(ascii(draft.body)) : {};
  if (draft.body ? digestOf(ascii(draft.body)) !== line.body : "body" in line) throw new Fail("the words are not those of the line");
  const { computed = [], ...meant } = MEANT[act](given);
  const said = { ...line, ...body };
  for (const [name, value] of Object.entries(meant)) {
    if (!(name in said) || encode({ it: said[name] }) !== encode({ it: value })) {
      throw new Fail(`the line says something else than you chose: ${name}`);
    }
  }
  const known = new Set([...Object.keys(meant), ...computed, ...PLACE, "salt"]);
  const strange = Object.keys(said).find((name) => !known.has(name));
  if (strange) throw new Fail(`the line says more than you chose: ${strange}`);
  if (Object.keys(body).some((name) => name !== "salt" && name in line)) throw new Fail("the line says a thing twice");
  if (line.v !== 2n || line.by !== identity.fingerprint || (line.certificate ?? identity.chain) !== identity.chain) {
    throw new Fail("the line is not in your name");
  }
  const late = BigInt(Date.now()) * 1_000_000n - line.utc_ns;
  if (late > 15n * 60n * 1_000_000_000n || late < -15n * 60n * 1_000_000_000n) throw new Fail("the line is dated wrongly; is this machine's clock right?");
  return said;
}

/** What of a line is not its place: equal for two drafts of one act that stand behind each other. */
function meaning(said) {
  const { n, prev, utc_ns, aside, body, salt, certificate, ...rest } = said;
  return encode(rest);
}

/** The line continues what this browser has read: a desk that goes back, or that shows another
 * history, gets no signature. */
async function requireAhead(said) {
  const { followed, head } = await ledger.follow();
  if (!followed) return;
  const held = said.hold === undefined ? null : ledger.state.holds[String(said.hold)];
  if (held === undefined || (held && held.recording !== said.recording)) {
    throw new Fail(`hold ${said.hold} is not one of ${said.recording}`);
  }
  const place = Number(said.n) - Number(said.aside ?? 0n) - 1;
  if (place < ledger.state.n || (place === ledger.state.n && said.prev !== ledger.state.digest)) {
    throw new Fail(`the line does not continue line ${head}, which this browser has read`);
  }
}


async function ask(identity, act, given, signed = "", body = "") {
  const { letterDigest, ...sent } = given;
  return send("acts", { act, arguments: sent, certificate: identity.fingerprint, signed, body });
}

/** A draft in words to be confirmed: `said` are the fields that would be signed. */
export async function draft(identity, act, given) {
  const { status, said: drafted } = await ask(identity, act, given);
  if (status !== 202) throw new Fail("the desk says that it wrote something that you did not sign");
  const said = readDraft(drafted, act, given, identity);
  await requireAhead(said);
  return { identity, act, given, drafted, said };
}

/** Signs what was confirmed. Where the ledger grew meanwhile, the same again in its new place. */
export async function sign(confirmed) {
  const { identity, act, given } = confirmed;
  let { drafted } = confirmed;
  const meant = meaning(confirmed.said);
  for (let n = 0; n < TRIES; n++) {
    const signed = await signedText(identity.signing, drafted.line);
    const { status, said } = await ask(identity, act, given, signed, drafted.body);
    if (status !== 202) {
      return said.line;
    }
    const again = readDraft(said, act, given, identity);
    if (meaning(again) !== meant) throw new Changed("Something has changed meanwhile: look at it again.");
    await requireAhead(again);
    drafted = said;
  }
  throw new Refused(409, "Others write too much at once. Try again.");
}

export class Changed extends Error {}
