// What the camera's own lines say of a recording, as events in the film's time, in seconds.

const S = (ns) => Number(ns) / 1e9;
const LANES = {
  before: "before the press", light: "red light", sound: "beeps", marker: "markers", still: "pictures taken",
  gap: "missing", mute: "muted", covert: "covert", other: "other", redacted: "covered",
};

/** `lines`: typed lines of the recording; `covered`: boxes and muted spans of a redacted copy. Each
 * event has lane, from, to, words. */
export function eventsOf(lines, covered) {
  const opens = lines.filter((line) => line.kind === "open");
  const first = opens[0]?.first_pts_ns;
  const boot = lines.find((line) => line.kind === "boot");
  if (first === undefined) return { lanes: LANES, events: [], length: 0 };
  // A later boot has a clock of its own.
  const later = lines.findIndex((line) => line.kind === "boot" && line !== boot);
  const own = later < 0 ? lines : lines.slice(0, later);
  const at = (ns) => S(ns - first);
  const seals = own.filter((line) => line.kind === "seal" && line.end_pts_ns !== undefined);
  const length = Math.max(0, ...seals.map((line) => at(line.end_pts_ns)), ...own.map((line) => at(line.t)));
  const events = [];
  const add = (lane, from, to, words) => {
    const begin = Math.max(0, from), end = Math.min(length, Math.max(begin, to));
    if (begin <= length) events.push({ lane, from: begin, to: end, words });
  };
  const before = opens[0].pre_event?.achieved_ms;
  if (before) add("before", 0, Number(before) / 1000, "from the pre-event buffer: no sound was kept then, on purpose");
  spans(own, at, length, "mute", (line) => add("mute", ...line));
  spans(own, at, length, "covert", (line) => add("covert", ...line));
  lights(own, at, length, add);
  for (const line of own) {
    const t = at(line.t);
    if (line.kind === "cue" && line.sound) add("sound", t, t, `beep: ${line.sound}`);
    if (line.kind === "cue" && line.failed) add("gap", t, t, `failed: ${line.failed}`);
    if (line.kind === "marker") add("marker", at(line.at_ns), at(line.at_ns), `marked: ${line.marker}`);
    if (line.kind === "still") add("still", at(line.pts_ns), at(line.pts_ns), "a picture was taken");
    if (line.kind === "public-informed") add("sound", t, t, `spoken notice: ${line.notice}`);
    if (line.kind === "gap") {
      const what = line.track === "video" ? "pictures" : "sound";
      add("gap", at(line.from_ns), at(line.to_ns), `${line.units} units of ${what} missing: ${line.reason}`);
    }
  }
  for (const box of covered.boxes ?? []) add("redacted", box.from_s, box.to_s, "a part of the picture was covered");
  for (const [from, to] of covered.mute ?? []) add("redacted", from, to, "sound was silenced");
  return { lanes: LANES, events: events.sort((a, b) => a.from - b.from), length };
}

function spans(lines, at, length, kind, add) {
  let since = null;
  for (const line of lines) {
    if (line.kind !== kind) continue;
    if (line.on && since === null) since = [at(line.t), line.reason];
    if (!line.on && since !== null) {
      add([since[0], at(line.t), `${kind === "mute" ? "the microphone was off" : "lights and sounds were off"}: ${since[1]}`]);
      since = null;
    }
  }
  if (since !== null) add([since[0], length, `until the end: ${since[1]}`]);
}

function lights(lines, at, length, add) {
  let since = null;
  for (const line of lines) {
    if (line.kind !== "cue" || !line.light) continue;
    if (since !== null) add("light", since[0], at(line.t), `light: ${since[1]}`);
    since = line.light === "dark" ? null : [at(line.t), line.light];
  }
  if (since !== null) add("light", since[0], length, `light: ${since[1]}`);
}
