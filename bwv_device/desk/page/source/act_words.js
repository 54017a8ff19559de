// A custody line in words, from its own fields. What is signed is shown in these words first.

import { dayAndTime } from "./dates.js";

const OUTCOMES = {
  disclosed: "the footage was given", "partly-disclosed": "a part of the footage was given", refused: "refused",
  "not-found": "nothing was found", withdrawn: "withdrawn",
};
const list = (values) => (values.length ? values.join(", ") : "none");

const WORDS = {
  hold: (s) => [`Hold ${s.recording}`, s.request ? [["For request", s.request]] : [["Reason", s.reason], ["Case", s.case || "none"]],
    "It is not erased while this hold is in force. Two people can lift it."],
  "release-proposed": (s) => [`Propose to lift hold ${s.hold} on ${s.recording}`, [["Reason", s.reason]], "Somebody else must approve it."],
  "release-approved": (s) => [`Lift hold ${s.hold} on ${s.recording}`, [],
    "You are the second person. Without another hold the recording is erased when its time is over."],
  category: (s) => [`${s.recording} is of category “${s.category}”`, [], "The category says how long it is kept."],
  review: (s) => [`You have seen ${s.recording}`, [["It shows", s.words]], ""],
  "case-member": (s) => [s.member ? `Put ${s.person} on case ${s.case}` : `Take ${s.person} off case ${s.case}`, [], ""],
  request: (s) => [`Open request ${s.request}`, [["Kind", s.type], ["Received", s.received], ["Answer due", s.due],
    ["In time for a hold", s.in_time ? "yes" : "no"], ["About", `${dayAndTime(s.from_ns)} to ${dayAndTime(s.to_ns)}`], ["Place", s.place],
    ["What happened", s.description], ["Cameras", list(s.devices)], ["Officers", list(s.officers)], ["Letter", s.letter_name]], ""],
  "request-step": (s) => [`Request ${s.request}: ${s.about} ${s.step}`, [["On", s.day], ["Reason", s.reason], ["Answer due from now on", s.due || "the clock stands still"]], ""],
  search: (s) => [`Certify the search for request ${s.request}`, [["Found", list(s.found)], ["Cameras searched", list(s.searched)],
    ["Not docked since", list(s.not_docked)], ["Erased before", String(s.erased)], ["Recorded, not delivered", list(s.not_delivered)]], ""],
  "request-closed": (s) => [`Close request ${s.request}`, [["Answer", OUTCOMES[s.outcome] ?? s.outcome], ["Reason", s.reason || "none"]], "Its holds stay until two people lift them."],
  "quarantine-owner": (s) => [`Quarantine ${s.quarantine} is looked at by ${s.owner}`, [], ""],
  "quarantine-again": (s) => [`Take quarantine ${s.quarantine} in again`, [["Reason", s.reason]], ""],
  "discard-proposed": (s) => [`Propose to discard quarantine ${s.quarantine}`, [["Reason", s.reason]], "Somebody else must approve it."],
  "discard-approved": (s) => [`Discard quarantine ${s.quarantine}`, [], "You are the second person. It is erased for ever."],
  "audit-read": (s) => ["You read the history", [["Of the recording", s.recording || "all"], ["Of the person", s.person || "all"]], "That you read it stands in it, too."],
};

/** Title, rows of label and value, and what follows from it. */
export function inWords(said) {
  const [title, rows, consequence] = WORDS[said.kind](said);
  return { title, rows, consequence };
}

const TOLD = {
  docking: "the camera docked", intake: "it was taken in", quarantine: "it was not accepted", hold: "held", "release-proposed": "somebody proposes to lift a hold",
  "release-approved": "a hold was lifted", category: "category", review: "somebody has seen it", hiding: "it is being hidden", hidden: "hidden",
  restored: "shown again", erasing: "it is being erased", erased: "erased", request: "a request", "request-step": "a step of a request",
  "request-closed": "a request was answered", search: "a search", disclosed: "given to somebody", viewed: "somebody looked", exported: "opened with the agency's own key",
  "audit-read": "somebody read the history", "case-member": "who is on a case", moved: "the store was moved here", reminder: "a reminder",
};

/** A line of the past, short. */
export function told(line) {
  const detail = [line.reason, line.category, line.words, line.case && `case ${line.case}`, line.person, /^[0-9]{4}-[0-9]{5}$/.test(line.request ?? "") && line.kind !== "hold" && `request ${line.request}`]
    .filter((text) => typeof text === "string" && text && text.length < 300);
  return [TOLD[line.kind] ?? line.kind, [...new Set(detail)].join(" · ")];
}
