// What the badge says: red for what is false, amber for what was not looked at or is missing openly,
// green only when everything was held against what the camera signed and witnesses have seen.


import { readCheckpoint, readTrust } from "../../../verification/page/source/custody_log.js";
import { roots } from "./agency.js";
import { get } from "./api.js";
import { ledger } from "./ledger.js";

export const GENUINE = "genuine", OPEN = "open", FALSE = "false";

/** What others have seen of custody's log, and whether it is what this browser has read. */
export async function witnessed() {
  const { followed, head } = await ledger.follow();
  const beside = followed ? "" : ` This browser does not read all ${head} lines: what the desk shows of decisions is its word.`;
  const { trust: written, checkpoint } = await get("checkpoint");
  if (!written) return { state: OPEN, why: "This agency has no witnesses: nobody outside has seen its history.", size: 0n };
  const trust = await readTrust(written, roots);
  const quorum = Number(trust.said.quorum);
  if (!quorum) return { state: OPEN, why: "This agency has no witnesses: nobody outside has seen its history.", size: 0n };
  if (!checkpoint) return { state: FALSE, why: "No witness has seen this agency's history.", size: 0n };
  const seen = await readCheckpoint(checkpoint, trust);
  if (seen.witnesses.size < quorum) {
    return { state: FALSE, why: `Only ${seen.witnesses.size} of ${quorum} witnesses have seen the newest history.`, size: seen.size };
  }
  const newest = [...seen.witnesses.values()].sort((a, b) => Number(b - a))[quorum - 1];
  if (BigInt(Math.floor(Date.now() / 1000)) - newest > trust.said.outage_s) {
    return { state: FALSE, why: "Witnesses have not seen this agency's history for too long.", size: seen.size };
  }
  if (followed && seen.size > BigInt(ledger.state.n)) await ledger.follow(); // written meanwhile
  if (followed && seen.size > BigInt(ledger.state.n)) {
    return { state: FALSE, why: "The desk hides lines that witnesses have seen.", size: seen.size };
  }
  if (ledger.agrees(seen) === false) {
    return { state: FALSE, why: "The desk shows this browser another history than witnesses have seen.", size: seen.size };
  }
  const names = [...seen.witnesses.keys()];
  const why = `Seen by ${names.join(" and ")}: lines 1 to ${seen.size}.${beside}`;
  return { state: followed ? GENUINE : OPEN, why, size: seen.size };
}

/** The answer and its reasons. `lines`: custody's lines about the recording. */
export function verdictOf({ footage, camera, history, it, failed }) {
  const wrong = history ? ledger.compare(it) : [], open = [], { lines } = it;
  if (failed) wrong.push(failed);
  for (const { segment, state, why } of footage?.segments ?? []) {
    if (state === "false") wrong.push(`${segment}: ${why}.`);
    if (state === "missing") wrong.push(`${segment} is missing from the store.`);
  }
  for (const sentence of [...(camera?.holes() ?? []), ...(camera?.leftOut() ?? [])]) wrong.push(`${sentence}.`);
  for (const sentence of camera?.unfinished() ?? []) open.push(`${sentence}.`);
  const newest = Math.max(0, ...lines.filter(({ kind }) => kind === "intake" || kind === "docking").map(({ n }) => n));
  if (history?.state === FALSE) wrong.push(history.why);
  else if (history?.state === OPEN) open.push(history.why);
  else if (history && BigInt(newest) > history.size) wrong.push(`No witness has seen line ${newest}, which says that this came in.`);
  const unchecked = (footage?.segments ?? []).filter(({ state }) => state === "waiting").length;
  if (unchecked) open.push(`${unchecked} of ${footage.segments.length} segments are not checked yet.`);
  const seen = history?.state === GENUINE ? history.why : "";
  if (wrong.length) return { state: FALSE, title: "Not genuine, or not whole", reasons: [...wrong, ...open] };
  if (open.length) return { state: OPEN, title: unchecked ? "Being checked" : "Genuine, with remarks", reasons: [...open, seen] };
  return { state: GENUINE, title: "Genuine", reasons: ["Every segment is what the camera signed.", history?.why ?? ""] };
}

