// Forms of what is signed (docs/format.md, 3.5, 6.3, 7). A question mark: it may be absent.

const UNSEEN = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const LARGEST = (1n << 63n) - 1n;

const whole = (first, last) => (value) => typeof value === "bigint" && value >= first && value <= last;
const like = (pattern, orNone = false) => (value) =>
  typeof value === "string" && (pattern.test(value) || (orNone && value === ""));
const oneOf = (...words) => (value) => words.includes(value);
const words = (most, { least = 0, name = false, ascii = false } = {}) => (value) => {
  if (typeof value !== "string") return false;
  const length = Array.from(value).length;
  if (length < least || length > most || (name && UNSEEN.test(value))) return false;
  return !ascii || /^[\x00-\x7f]*$/.test(value);
};
const many = (fits, most) => (value) => Array.isArray(value) && value.length <= most && value.every((item) => fits(item));
const table = (fields, exact = false) => (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && misfit(fields, value, exact) === "";

const SEGMENT = /^[0-9]{8}-[0-9]{4}-[0-9]{4}\.(mp4|jpg)\.age$/;
const RECORDING = /^[0-9]{8}-[0-9]{4}$/;
const FORMS = {
  count: whole(0n, LARGEST), positive: whole(1n, LARGEST), signed: whole(-LARGEST - 1n, LARGEST),
  moment: whole(0n, (1n << 62n) - 1n), percent: whole(0n, 100n), boot: whole(1n, 99_999_999n), two: whole(2n, 2n),
  digest: like(/^[0-9a-f]{64}$/), nonce: like(/^[0-9a-f]{32}$/), nonce0: like(/^[0-9a-f]{32}$/, true),
  signature: like(/^[0-9a-f]{128}$/), point: like(/^[0-9a-f]{130}$/),
  device: like(/^(?!\.)[A-Za-z0-9._-]{1,64}$/),
  segment: like(SEGMENT), segment0: like(SEGMENT, true), recording: like(RECORDING), recording0: like(RECORDING, true),
  name: words(64, { name: true }), word: words(200, { least: 1, name: true }), text: words(4096),
  short: words(64), path: words(200), yes: (value) => typeof value === "boolean",
  pem: words(16384, { ascii: true }), said: words(65536, { ascii: true }), file: words(15, { ascii: true }),
  clock: oneOf("none", "rtc", "ntp", "store"), track: oneOf("video", "audio"),
  cause: oneOf("start", "power cut", "ledger fault", "segment fault", "numbers used up", "fork"),
  mark: oneOf("informed", "moment", "remote"), outcome: oneOf("done", "refused", "failed"),
  time: table("utc_ns:moment error_ns:count source:clock"),
  torn: many(table("file:file length:count sha256:digest"), 4096),
  ends: many(table("boot:boot number:positive digest:digest"), 4096),
  video: table("width:positive height:positive fps:positive bitrate_bps:positive encoder:word"),
  audio: table("sample_rate_hz:positive bitrate_bps:positive"),
  before: table("requested_ms:count achieved_ms:count shortfall:text audio:word"),
  texts: many(words(4096), 64), object: table("statement:said certificate:pem"),
  film: oneOf("whole", "excerpt", "redacted"), address: words(512), quorum: whole(0n, 16n),
  films: many(table("name:word sha256:digest kind:film", true), 256),
  sealed: many(table("segment:segment sha256:digest", true), 20_000),
  witnesses: many(table("key:text url:address", true), 16),
  revoked: many(table("certificate:digest utc_ns:moment reason:text", true), 10_000),
};
FORMS.digests = many(FORMS.digest, 16);

export const KINDS = {
  boot: "format:two device:device boot:boot boot_key:point certificate:pem cause:cause device_signature:signature " +
    "torn?torn branches?ends config_sha256?short software?word time?time",
  open: "segment:segment recording:recording header:said nonce:nonce first_pts_ns:moment index?count time?time " +
    "trigger?word officer?name pressed_ns?moment video?video audio?audio pre_event?before follows?recording0 " +
    "parameter_sets?digest",
  sync: "segment:segment length:count sha256:digest chunks?count video_until_ns?moment",
  seal: "segment:segment length:count sha256:digest plaintext_sha256:digest chunks?count plaintext_length?count " +
    "video_units?count audio_units?count first_pts_ns?moment end_pts_ns?moment",
  still: "segment:segment recording:recording length:count sha256:digest pts_ns:moment header?said nonce?nonce",
  recovered: "segment:segment recording:recording0 length:count sha256:digest attested_length:count cause?word",
  dock: "docked:yes nonce?nonce0",
  custodian: "certificate:pem",
  receipt: "segment:segment statement:said",
  wipe: "segment:segment",
  checkpoint: "offset:count recording:recording0 stills:count commands?count assignment?object officer?object",
  recovery: "segments:count commands?count",
  state: "from:word to:word event:word reason?text",
  close: "recording:recording reason:text segments?count duration_ms?count",
  cue: "light?word sound?word status?word vibration?word failed?word reason?text reminders?count",
  marker: "marker:mark recording:recording at_ns:moment",
  flag: "recording:recording by?word",
  mute: "on:yes reason:text",
  covert: "on:yes reason:text",
  "public-informed": "notice:word",
  refused: "event:word conditions:texts",
  gap: "track:track from_ns:signed to_ns:signed units:count reason:text recording?recording0",
  fault: "part?word reason?text segment?path count?count",
  capture: "part:word opened:texts missing:texts",
  update: "release:word step:word reason:text",
  power: "percent:percent band:word undervoltage:yes",
  storage: "room:word minutes_left:count",
  time: "time:time stepped_ns:signed",
  greeting: "statement:said",
  assignment: "statement:said certificate:pem",
  command: "statement:said certificate:pem",
  officer: "statement:said certificate:pem",
  answer: "counter:count command:word outcome:outcome reasons:texts",
  delivery: "outcome:word delivered:count kept:count waiting:count",
  refusal: "segment:segment0 statement:said",
  stop: "",
};
export const PACKAGE = "store:nonce device:device recording:recording utc_ns:moment films:films sealed:sealed " +
  "sums:digest purpose:short by:digest";
export const TRUST = "version:positive store:nonce utc_ns:moment log:text witnesses:witnesses quorum:quorum " +
  "outage_s:moment roles_cas:digests revoked:revoked purpose:short by:digest";

/** The first field that has not its form; `exact`: nothing else may be there. */
export function misfit(fields, value, exact = false) {
  const specs = fields.split(" ").filter(Boolean).map((field) => /^(\w+)([:?])(\w+)$/.exec(field).slice(1));
  for (const [name, mark, kind] of specs) {
    if (!Object.hasOwn(value, name)) {
      if (mark === ":") return `${name} is missing`;
    } else if (!FORMS[kind](value[name])) return `${name} has a wrong form`;
  }
  const known = new Set(specs.map(([name]) => name));
  const odd = exact ? Object.keys(value).find((name) => !known.has(name)) : undefined;
  return odd === undefined ? "" : `${odd} must not be there`;
}
