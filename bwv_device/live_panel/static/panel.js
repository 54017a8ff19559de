// The live panel: puts what the camera says where a person looks.
import { Buttons } from "./buttons.js";
import { Connection } from "./connection.js";
import { Lights } from "./lights.js";
import { Picture } from "./picture.js";
import { Sound } from "./sound.js";
import { Tour } from "./tour.js";
import { Vault } from "./vault.js";

const LISTED = 200;
const ANSWERED_MS = 1500;
const by = (id) => document.getElementById(id);
const say = (id, text) => {
  const place = by(id);
  if (place && place.textContent !== text) place.textContent = text;
};

const sound = new Sound(by("sound"));
const lights = new Lights(sound);
const picture = new Picture(by("picture"), by("still"), by("no-picture"));
const facts = { status: null, lines: new Set(), verified: false };
const tour = new Tour(facts);
const vault = new Vault(facts);
let buttons = null;
let boot = "";

const takes = {
  about({ buttons: limits, touchable }) {
    if (!buttons && touchable) buttons = new Buttons((act) => connection.send(act), by("held"), limits);
  },
  level: (message) => lights.take(message),
  status: show,
  line: addLine,
  event({ text, at_ms: at }) {
    prepend("events", at === undefined ? text : `${clock(at)}  ${text}`);
  },
  vault: (message) => vault.show(message),
  report({ ready, text }) {
    say("report-words", text);
    by("report-link").hidden = !ready;
  },
  ended() {
    say("connection", "The camera's program has ended.");
  },
};

const connection = new Connection({
  message(message) {
    takes[message.kind]?.(message);
    tour.look();
  },
  picture: (data) => picture.take(data),
  state(state, reason) {
    by("connection").dataset.state = state;
    if (state === "live") {
      for (const id of ["ledger", "events"]) by(id).replaceChildren();
      say("connection", "Connected.");
    } else {
      buttons?.forget();
      sound.beep(false);
      picture.say("Connection lost");
      say("connection", `Connection lost${reason ? ` (${reason})` : ""}. This page tries again by itself.`);
    }
  },
});

function show(status) {
  facts.status = status;
  picture.rate = sound.rate = status.rate ?? 1;
  sound.fast = picture.rate > 2;
  say("state", status.state);
  const off = status.state === "off";
  say("recording", status.recording ? `${status.recording}, ${seconds(status.recording_s)}` : "");
  by("would-refuse").hidden = !status.unmet?.length;
  say("would-refuse", status.unmet?.length
    ? `The camera can't record now: ${status.unmet.join("; ")}.` : "");
  by("pre-event").value = status.pre_event_s ?? 0;
  say("pre-event-words", off ? "off" : status.recording ? "is in the recording" : `${(status.pre_event_s ?? 0).toFixed(0)} s in memory`);
  say("durable", status.durable_bytes == null ? "–"
    : `${bytes(status.durable_bytes)}${status.stored ? "" : ", nothing new reaches storage"}`);
  say("battery", battery(status));
  say("storage", status.storage_minutes == null ? "–"
    : `${status.storage_minutes} min of recording (${status.room})`);
  say("clock", wallClock(status));
  say("dock-words", status.docked ? `in the dock${status.delivery ? `: ${status.delivery}` : ""}`
    : off && status.in_dock ? "in the dock" : "not in the dock");
  say("officer", status.officer || "nobody assigned");
  say("world-time", clock(status.time_ms ?? 0));
  say("pace", status.paused ? "paused" : pace(status));
  by("pause")?.setAttribute("aria-pressed", Boolean(status.paused));
  if (by("rate") && document.activeElement !== by("rate")) by("rate").value = status.rate;
  for (const box of document.querySelectorAll("[data-toggle]")) {
    const on = status.on.includes(box.dataset.toggle);
    // A status that was under way when the box was clicked does not turn it back.
    if (on === box.checked) box.clicked = 0;
    else if (performance.now() - (box.clicked ?? 0) > ANSWERED_MS || !box.clicked) box.checked = on;
  }
  for (const button of document.querySelectorAll("[data-fault]"))
    button.setAttribute("aria-pressed", status.on.includes(`fault ${button.dataset.fault}`));
  enable(status, off);
  if (off) picture.say("The camera is off");
  else if (performance.now() - picture.newest > 2000 && !status.paused) picture.say("No pictures");
  if (status.findings) say("connection", status.findings.length
    ? `The shift is over. Broken promises: ${status.findings.join("; ")}`
    : "The shift is over, and every promise was kept.");
}

function enable(status, off) {
  const able = { boot: off, "switch-off": !off, "power-cut": !off, kill: !off,
    dock: !(status.docked || status.in_dock), undock: status.docked || status.in_dock };
  for (const [id, on] of Object.entries(able)) {
    const button = by(id);
    if (button && button.disabled === on && document.activeElement !== button) button.disabled = !on;
    if (button) button.setAttribute("aria-disabled", !on);
  }
}

function addLine({ n, line, text }) {
  const list = by("ledger");
  while (list.firstChild && list.firstChild.value >= n) list.firstChild.remove();
  const item = document.createElement("li");
  Object.assign(item, { value: n, textContent: text });
  item.dataset.line = line;
  list.prepend(item);
  while (list.children.length > LISTED) list.lastChild.remove();
  facts.lines.add(line);
  if (line === "refused") say("refused", text);
  if (line === "state") say("refused", "");
  if (line === "boot" && boot !== text) {
    boot = text;
    picture.forget();
  }
}

function prepend(id, text) {
  const item = document.createElement("li");
  item.textContent = text;
  by(id).prepend(item);
  while (by(id).children.length > LISTED) by(id).lastChild.remove();
}

// --- what a person does ---------------------------------------------------------------------

addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button || button.getAttribute("aria-disabled") === "true") return;
  const { choice, sentence, fault } = button.dataset;
  if (choice) act(sentence.replace("{}", by(choice).value));
  else if (sentence) act(sentence);
  else if (fault) act(button.getAttribute("aria-pressed") === "true"
    ? `fault ${fault} is over` : `fault ${fault}`);
});
addEventListener("change", ({ target }) => {
  if (target.dataset.toggle) {
    target.clicked = performance.now();
    act(target.checked ? target.dataset.on : target.dataset.off);
  }
});
const act = (text) => connection.send({ act: "sentence", text });
const ask = (content) => connection.send(content);
by("pause")?.addEventListener("click", () =>
  ask({ act: "rate", rate: facts.status?.paused ? facts.status.rate : 0 }));
by("step")?.addEventListener("click", () => ask({ act: "step", ms: 100 }));
by("rate")?.addEventListener("change", ({ target }) => ask({ act: "rate", rate: Number(target.value) }));
by("verify")?.addEventListener("click", () => {
  facts.asked = true;
  say("verdict", "The verifier reads everything …");
  ask({ act: "verify" });
});
by("report")?.addEventListener("click", () => ask({ act: "report" }));
by("all-lines").addEventListener("change", ({ target }) =>
  by("ledger").classList.toggle("all", target.checked));

// --- words ----------------------------------------------------------------------------------

function clock(ms) {
  const s = Math.floor(ms / 1000);
  const two = (n) => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}
function pace({ reached, rate }) {
  return reached > 0.9 * rate ? `speed ${rate} ×`
    : `speed ${rate} × is chosen; this computer reaches ${reached} ×`;
}
function seconds(s) {
  return s < 60 ? `${s.toFixed(1)} s` : `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
}
export function bytes(count) {
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}
function battery({ battery_percent: percent, battery_minutes: minutes, charging }) {
  if (percent == null) return "–";
  return `${percent} %${charging ? ", charging" : minutes == null ? "" : `, ${minutes} min left`}`;
}
function wallClock({ clock_utc_ms: at, clock_error_s: error, clock_source: source }) {
  if (source === undefined) return "–";
  if (at == null) return "nobody has set it";
  const time = new Date(at).toISOString().replace("T", " ").slice(0, 19);
  return `${time} UTC ± ${error < 10 ? error.toFixed(2) : Math.round(error)} s (${source})`;
}
