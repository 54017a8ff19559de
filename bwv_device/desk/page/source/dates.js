// Times in the agency's zone, with UTC beside them. Nanoseconds come as numbers or as BigInt.

let zone = "UTC";
export const setZone = (name) => {
  zone = name;
};
export const zoneName = () => zone;

const moment = (ns) => new Date(Number(BigInt(Math.trunc(Number(ns))) / 1_000_000n));
const parts = (date, timeZone) =>
  Object.fromEntries(
    new Intl.DateTimeFormat("en-GB", {
      timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    }).formatToParts(date).map(({ type, value }) => [type, value]),
  );

/** 2026-11-22 21:30:05 */
export function local(ns) {
  const p = parts(moment(ns), zone);
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
}

/** In the agency's zone, and in UTC where that is another time. */
export function dayAndTime(ns) {
  if (!ns) return "–";
  const here = local(ns), p = parts(moment(ns), "UTC");
  const utc = `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
  if (here === utc) return `${here} UTC`;
  return `${here} (${utc.slice(0, 10) === here.slice(0, 10) ? utc.slice(11) : utc} UTC)`;
}

export const length = (seconds) => {
  const whole = Math.max(0, Math.round(seconds)), h = Math.floor(whole / 3600);
  const m = String(Math.floor((whole % 3600) / 60)).padStart(h ? 2 : 1, "0"), s = String(whole % 60).padStart(2, "0");
  return h ? `${h}:${m}:${s}` : `${m}:${s}`;
};

/** What a field for date and time says, in the agency's zone, as nanoseconds. */
export function parsed(text) {
  if (!text) return null;
  const guess = Date.parse(`${text.length === 16 ? `${text}:00` : text}Z`);
  if (Number.isNaN(guess)) return null;
  // The zone's offset at about that time; twice, for the hour in which it changes.
  let at = guess;
  for (let n = 0; n < 2; n++) {
    const p = parts(new Date(at), zone);
    at = guess - (Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - at);
  }
  return BigInt(at) * 1_000_000n;
}
