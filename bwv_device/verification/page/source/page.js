// The page that a package brings: choose, check, and only then watch what was checked.

import { Fail, hex, text } from "./bytes.js";
import { ofDrop, ofList } from "./chosen_files.js";
import { eventsOf } from "./events.js";
import { digestOf } from "./statements.js";
import { EXCEPTION, FALSE, GENUINE, Package, rootOf } from "./verifier.js";

const OWN = "START-HERE.html", ROOT = "proof/agency-root.pem";
const WORDS = {
  [GENUINE]: ["genuine", "Genuine and complete"],
  [EXCEPTION]: ["exception", "Genuine, with this exception"],
  [FALSE]: ["false", "Not genuine, because"],
};
const KINDS = { whole: "the whole recording", excerpt: "an excerpt", redacted: "a redacted copy" };
const $ = (id) => document.getElementById(id);
let attempt = 0, given = null, links = [], chosen = null;

function element(name, words = "", fields = {}) {
  return Object.assign(document.createElement(name), { textContent: words }, fields);
}

function say(answer, word, about, reasons = []) {
  $("answer").dataset.answer = answer;
  $("word").textContent = word;
  $("about").textContent = about;
  $("reasons").replaceChildren(...reasons.map((reason) => element("li", seen(reason))));
}

// Text that others wrote must not look like something else.
const seen = (words) => String(words).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");

function clear() {
  for (const link of links) URL.revokeObjectURL(link);
  links = [];
  for (const id of ["films", "timeline", "facts", "own-digest"]) $(id).hidden = true;
  for (const id of ["players", "stills", "lanes", "events", "compare"]) $(id).replaceChildren();
}

async function check(choose) {
  const mine = ++attempt;
  clear();
  say("unchecked", "Not checked yet", "Reading …");
  $("progress").hidden = $("stop").hidden = false;
  $("progress").removeAttribute("value");
  try {
    const files = await choose();
    if (mine !== attempt) return;
    chosen = files;
    await judge(files, mine);
  } catch (error) {
    if (mine !== attempt) return;
    clear();
    const told = error instanceof Fail ? `${error.message}.` : `It could not be read (${error.name ?? error}).`;
    say("unchecked", "Not checked", `${told[0].toUpperCase()}${told.slice(1)} Nothing was judged.`);
  } finally {
    if (mine === attempt) $("progress").hidden = $("stop").hidden = true;
  }
}

async function judge(files, mine) {
  const [root, whose] = await theRoot(files);
  const sizes = [...files.values()].reduce((sum, blob) => sum + blob.size, 0);
  let done = 0;
  const progress = async (name) => {
    if (mine !== attempt) throw new DOMException("stopped", "AbortError");
    done += (files.get(name) ?? files.get(`proof/sealed/${name}`))?.size ?? 0;
    $("progress").value = Math.min(1, done / (2.5 * sizes + 1));
    $("about").textContent = seen(`Checking ${name} …`);
    await new Promise((go) => setTimeout(go)); // lets the page be drawn
  };
  const judged = new Package(files, [root], progress);
  const answer = await judged.judge();
  if (mine !== attempt) return;
  const plan = await redactionOf(judged, files);
  const own = files.has(OWN) ? new Uint8Array(await files.get(OWN).arrayBuffer()) : null;
  if (mine !== attempt) return;
  show(judged, answer, root, whose);
  if (answer !== FALSE) play(judged, files, plan);
  if (own) {
    $("own-digest").textContent = `${OWN} of this package has the SHA-256 `;
    $("own-digest").append(element("code", digestOf(own)));
    $("own-digest").hidden = false;
  }
}

/** The root that counts, and how one knows. */
async function theRoot(files) {
  const typed = $("fingerprint").value.replace(/[\s:]/g, "").toLowerCase();
  if (typed && !/^[0-9a-f]{64}$/.test(typed)) throw new Fail("the fingerprint has 64 digits (0-9, a-f)");
  if (given) {
    if (typed && given.fingerprint !== typed) throw new Fail("the root that you chose has another fingerprint than you typed");
    return [given, "the root that you chose"];
  }
  if (!files.has(ROOT)) throw new Fail("the package brings no root: choose the agency's");
  const root = rootOf(new Uint8Array(await files.get(ROOT).arrayBuffer()));
  if (typed && root.fingerprint !== typed) {
    throw new Fail("the root that came with the package is another than the one whose fingerprint you typed");
  }
  return [root, typed ? "the root whose fingerprint you typed" : ""];
}

function show(judged, answer, root, whose) {
  const [name, word] = WORDS[answer];
  const who = judged.said ? `${judged.said.device}, recording ${judged.said.recording}, disclosed by ${judged.signer.the("name")}. ` : "";
  const by = whose
    ? `Checked against ${whose}.`
    : "Checked against the root that came with it: compare its fingerprint below with paper.";
  say(name, word, seen(who + by), [...new Set([...judged.false, ...judged.exceptions])]);
  const rows = [["agency's root, SHA-256", root.fingerprint]];
  if (judged.said) rows.push(["disclosed", new Date(Number(judged.said.utc_ns / 1_000_000n)).toISOString()]);
  if (judged.trust) {
    rows.push(["custody's log", judged.trust.said.log]);
    for (const witness of judged.trust.said.witnesses) rows.push(["witness", witness.key]);
  }
  for (const [witness, time] of judged.checkpoint?.witnesses ?? []) {
    rows.push([`${witness} saw`, `${judged.checkpoint.size} lines, root ${hex(judged.checkpoint.root)}, at ` +
      new Date(Number(time) * 1000).toISOString()]);
  }
  for (const film of judged.said?.films ?? []) rows.push([film.name, `SHA-256 ${film.sha256}`]);
  $("compare").replaceChildren(...rows.flatMap(([term, value]) => [element("dt", seen(term)), element("dd", seen(value))]));
  $("facts").hidden = false;
}

/** The very bytes that were checked. */
function linkTo(blob, type) {
  const link = URL.createObjectURL(blob.slice(0, blob.size, type));
  links.push(link);
  return link;
}

function play(judged, files, plan) {
  const videos = judged.said.films.map(({ name, kind }) => {
    const figure = element("figure"), video = element("video", "", { controls: true, preload: "metadata" });
    video.src = linkTo(files.get(name), "video/mp4");
    video.setAttribute("aria-label", seen(`${KINDS[kind]}, ${name}`));
    figure.append(video, element("figcaption", seen(`${name}: ${KINDS[kind]}`)));
    $("players").append(figure);
    return video;
  });
  for (const name of judged.stills) {
    const figure = element("figure"), src = linkTo(files.get(name), "image/jpeg");
    figure.append(element("img", "", { src, alt: seen(`picture taken: ${name}`) }), element("figcaption", seen(name)));
    $("stills").append(figure);
  }
  $("films").hidden = !videos.length;
  const excerpt = judged.said.films.some((film) => film.kind === "excerpt");
  drawTimeline(judged, plan, videos, excerpt);
}

/** What a redacted copy says that it covers: `boxes` and `mute`; nothing that is no such thing. */
async function redactionOf(judged, files) {
  const copy = judged.said?.films.find((film) => film.kind === "redacted");
  const blob = copy && files.get(copy.name.replace(/\.redacted\.mp4$/, ".redaction.json"));
  try {
    const { boxes, mute } = JSON.parse(text(new Uint8Array(await blob.arrayBuffer())));
    const spans = [...boxes.map((box) => [box.from_s, box.to_s]), ...mute];
    if (spans.every(([from, to]) => Number.isFinite(from) && Number.isFinite(to))) return { boxes, mute };
  } catch {
    // none, or none that can be read: the film itself is judged by its signature
  }
  return { boxes: [], mute: [] };
}

function drawTimeline(judged, covered, videos, excerpt) {
  const { lanes, events, length } = eventsOf(judged.camera.lines, covered);
  if (!events.length || !length) return;
  // An excerpt begins somewhere within: its own clock is another.
  const go = (at) => {
    if (excerpt || !videos[0]) return;
    videos[0].currentTime = Math.min(at, videos[0].duration || at);
    videos[0].scrollIntoView({ block: "nearest" });
  };
  for (const [lane, title] of Object.entries(lanes)) {
    const mine = events.filter((event) => event.lane === lane);
    if (!mine.length) continue;
    const row = element("div", "", { className: "lane" }), track = element("div", "", { className: "track" });
    for (const event of mine) {
      const button = element("button", "", { type: "button", title: words(event) });
      button.className = lane === "gap" ? "bad" : lane === "before" || lane === "redacted" ? "soft" : "";
      button.setAttribute("aria-label", words(event));
      button.style.left = `min(${(100 * event.from) / length}%, 100% - .55rem)`;
      button.style.width = `${(100 * (event.to - event.from)) / length}%`;
      button.addEventListener("click", () => go(event.from));
      track.append(button);
    }
    row.append(element("span", title), track);
    $("lanes").append(row);
  }
  $("events").replaceChildren(...events.map((event) => {
    const item = element("li"), button = element("button", words(event), { type: "button" });
    button.addEventListener("click", () => go(event.from));
    item.append(button);
    return item;
  }));
  if (excerpt) $("lanes").prepend(element("p", "Of the whole recording; the film above is a part of it."));
  $("timeline").hidden = false;
}

const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
const words = (event) => seen(`${clock(event.from)}${event.to > event.from ? ` to ${clock(event.to)}` : ""} ${event.words}`);

function begin() {
  const again = () => chosen && check(async () => chosen);
  $("folder").addEventListener("change", (event) => event.target.files.length && check(() => ofList(event.target.files)));
  $("files").addEventListener("change", (event) => event.target.files.length && check(() => ofList(event.target.files)));
  $("fingerprint").addEventListener("change", again);
  $("root").addEventListener("change", async (event) => {
    try {
      given = rootOf(new Uint8Array(await event.target.files[0].arrayBuffer()));
      await again();
    } catch (error) {
      given = null;
      say("unchecked", "Not checked", error instanceof Fail ? `${error.message}.` : "The root can't be read.");
    }
  });
  $("stop").addEventListener("click", () => {
    attempt += 1;
    $("progress").hidden = $("stop").hidden = true;
    say("unchecked", "Not checked", "Stopped. Nothing was judged.");
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle("over", kind === "dragover");
      if (kind === "drop") check(() => ofDrop(event.dataTransfer));
    });
  }
}

export { Package, rootOf };
if (typeof document !== "undefined") begin();
