// Inbox, search, cases, requests, cameras, and who looked.

import { useEffect, useState } from "preact/hooks";
import { toBase64, utf8 } from "../../../verification/page/source/bytes.js";
import { digestOf } from "../../../verification/page/source/statements.js";
import { bytes, get } from "./api.js";
import { Approvals } from "./disclosure.jsx";
import { dayAndTime, local, parsed } from "./dates.js";
import { Asked, Complaint, Facts, Field, RecordingRows, link, useAct, useAsked, valuesOf } from "./parts.jsx";

const LETTER_LIMIT = 8 << 20;
// How often the inbox looks for what others did.
const LOOK_MS = 20_000;

const due = (left) =>
  left === null ? "the clock stands still" : left < 0 ? `${-left} days late` : left === 0 ? "today" : `in ${left} days`;

// --- inbox ---

export function Inbox({ identity }) {
  const asked = useAsked(() => get("inbox"));
  const act = useAct(identity, asked.again);
  useEffect(() => {
    const looking = setInterval(asked.again, LOOK_MS);
    return () => clearInterval(looking);
  }, []);
  return (
    <>
      <h1>Inbox</h1>
      {act.shown}
      <Asked asked={asked}>
        {(it) => (
          <>
            <Part title="Requests from the public" count={it.requests.length}>
              <ul class="list">{it.requests.map((one) => (
                <li key={one.id}><a href={link("request", one.id)}>{one.id}</a> {one.kind}, {one.place}: <b class={one.days_left !== null && one.days_left < 5 ? "bad" : ""}>{due(one.days_left)}</b></li>
              ))}</ul>
            </Part>
            <Part title="Releases that wait for a second person" count={it.releases.length}>
              <ul class="list">{it.releases.map((one) => (
                <li key={one.hold}>
                  Hold {one.hold} on <a href={link("recording", one.recording)}>{one.recording}</a>, {one.reason || one.case}; proposed by {one.proposed_by}{" "}
                  {one.mine ? <span class="soft">(somebody else must approve it)</span>
                    : <button type="button" disabled={act.busy} onClick={() => act.begin("approve-release", { hold: one.hold })}>Approve the release…</button>}
                </li>
              ))}</ul>
            </Part>
            <Approvals identity={identity} />
            <Part title="Not accepted (quarantine)" count={it.quarantine.length}>
              <ul class="list">{it.quarantine.map((one) => <Quarantine key={one.n} one={one} act={act} identity={identity} />)}</ul>
            </Part>
            <Part title="Recorded, and not delivered" count={it.not_delivered.length}>
              <ul class="list">{it.not_delivered.map((one) => (
                <li key={one.recording}><a href={link("recording", one.recording)}>{one.recording}</a>: {one.files} {one.files === 1 ? "file" : "files"} never came</li>
              ))}</ul>
            </Part>
            <Part title="Cameras that have not docked for a week" count={it.silent.length}>
              <ul class="list">{it.silent.map((one) => (
                <li key={one.device}>{one.device}, issued to {one.officer}: {one.docked_ns ? `last seen ${dayAndTime(one.docked_ns)}` : "never"}</li>
              ))}</ul>
            </Part>
            <Part title="Erased within three days" count={it.going.length}>
              <RecordingRows rows={it.going} more={[["Erased on", (row) => row.due]]} />
            </Part>
          </>
        )}
      </Asked>
    </>
  );
}

function Part({ title, count, children }) {
  return <section class="card"><h2>{title} <span class="count">{count}</span></h2>{count ? children : <p class="soft">Nothing waits.</p>}</section>;
}

function Quarantine({ one, act, identity }) {
  const [reason, set] = useState("");
  return (
    <li>
      {one.device} {one.segment || "docking"}: {one.reason} <span class="soft">({one.state}; {one.owner ? `looked at by ${one.owner}` : "nobody looks at it yet"}; by {dayAndTime(one.review_ns)})</span>
      <div class="row">
        <label class="inline">Reason <input value={reason} onInput={(event) => set(event.currentTarget.value)} /></label>
        <button type="button" onClick={() => act.begin("own-quarantine", { quarantine: one.n, owner: identity?.name ?? "" })}>I look at it…</button>
        {!one.segment && <button type="button" onClick={() => act.begin("take-in-again", { quarantine: one.n, reason })}>Take in again…</button>}
        {one.state === "proposed to discard" && !one.mine
          ? <button type="button" onClick={() => act.begin("approve-discard", { quarantine: one.n })}>Approve discarding…</button>
          : <button type="button" onClick={() => act.begin("propose-discard", { quarantine: one.n, reason })}>Propose to discard…</button>}
      </div>
    </li>
  );
}

// --- search ---

export function Search({ forms }) {
  const [wanted, set] = useState({});
  const asked = useAsked(() => get("search", wanted), JSON.stringify(wanted));
  const submit = (event) => {
    event.preventDefault();
    const { from, to, ...rest } = valuesOf(event.currentTarget);
    set({ ...rest, from_ns: parsed(from)?.toString() ?? "", to_ns: parsed(to)?.toString() ?? "" });
  };
  const options = (values) => [<option value="" key="">any</option>, ...values.map((value) => <option key={value}>{value}</option>)];
  return (
    <>
      <h1>Search</h1>
      <form class="card fields" onSubmit={submit}>
        <Field label="From"><input type="datetime-local" name="from" /></Field>
        <Field label="To"><input type="datetime-local" name="to" /></Field>
        <Field label="Officer"><input name="officer" autocomplete="off" /></Field>
        <Field label="Camera"><select name="device">{options(forms.cameras)}</select></Field>
        <Field label="Category"><select name="category">{options(forms.categories)}</select></Field>
        <Field label="Marker"><select name="marker">{options(forms.markers)}</select></Field>
        <Field label="Held"><select name="held"><option value="">any</option><option value="yes">yes</option><option value="no">no</option></select></Field>
        <Field label="Name, case or reason"><input name="words" autocomplete="off" /></Field>
        <button class="main">Search</button>
      </form>
      <Asked asked={asked}>
        {(it) => (
          <section class="card">
            <p role="status">{it.total > it.recordings.length ? `The newest ${it.recordings.length} of ${it.total} recordings.` : `${it.total} recordings.`}</p>
            <RecordingRows rows={it.recordings} />
          </section>
        )}
      </Asked>
    </>
  );
}

// --- cases ---

export function Cases({ name, identity }) {
  const asked = useAsked(() => get("case", { name }), name);
  const act = useAct(identity, asked.again);
  if (!name) {
    return (
      <>
        <h1>Cases</h1>
        <Asked asked={asked}>
          {(it) => <section class="card">{it.cases.length ? <ul class="list">{it.cases.map((one) => (
            <li key={one.name}><a href={link("cases", one.name)}>{one.name}</a>: {one.recordings} held</li>))}</ul>
            : <p class="soft">Nothing is held for a case. Hold a recording with a case, and it stands here.</p>}</section>}
        </Asked>
      </>
    );
  }
  const change = (event) => {
    event.preventDefault();
    act.begin("case-member", { case: name, person: valuesOf(event.currentTarget).person, member: true });
  };
  return (
    <>
      <h1>Case {name}</h1>
      {act.shown}
      <Asked asked={asked}>
        {(it) => (
          <>
            <section class="card"><h2>What is held for it</h2><RecordingRows rows={it.recordings} />
              {it.recordings.length > 1 && <p><a href={link("side-by-side", it.recordings.slice(0, 4).map((row) => row.id).join(" "))}>Watch side by side, on one clock</a></p>}
            </section>
            <section class="card">
              <h2>Who is on it</h2>
              <ul class="list">{it.members.map((person) => (
                <li key={person}>{person} <button type="button" onClick={() => act.begin("case-member", { case: name, person, member: false })}>Take off…</button></li>
              ))}</ul>
              <form class="row" onSubmit={change}><Field label="Person (their number)"><input name="person" required /></Field><button>Put on the case…</button></form>
            </section>
          </>
        )}
      </Asked>
    </>
  );
}

// --- requests ---

export function Requests({ forms, identity }) {
  const asked = useAsked(() => get("requests"));
  return (
    <>
      <h1>Requests</h1>
      <Asked asked={asked}>
        {(it) => (
          <section class="card">
            {it.requests.length ? (
              <div class="scroll" tabIndex={0} role="region" aria-label="Requests">
                <table>
                  <thead><tr><th scope="col">Request</th><th scope="col">Kind</th><th scope="col">Received</th><th scope="col">Answer due</th><th scope="col">Place</th><th scope="col">State</th></tr></thead>
                  <tbody>{it.requests.map((one) => (
                    <tr key={one.id}>
                      <td><a href={link("request", one.id)}>{one.id}</a></td><td>{one.kind}</td><td>{one.received}</td>
                      <td>{one.due || "–"} {!one.closed && <b class={one.days_left !== null && one.days_left < 5 ? "bad" : ""}>({due(one.days_left)})</b>}</td>
                      <td>{one.place}</td><td>{one.closed ? one.outcome : "open"}</td>
                    </tr>
                  ))}</tbody>
                </table>
              </div>
            ) : <p class="soft">Nobody has asked for anything yet.</p>}
          </section>
        )}
      </Asked>
      <NewRequest forms={forms} identity={identity} done={asked.again} />
    </>
  );
}

function NewRequest({ forms, identity, done }) {
  const [failed, fail] = useState("");
  const act = useAct(identity, done);
  const submit = async (event) => {
    event.preventDefault();
    const it = valuesOf(event.currentTarget), file = it.letter;
    const [incident, from, to] = [it.incident, it.from || it.incident, it.to || it.incident].map(parsed);
    if (file.size > LETTER_LIMIT) return fail("The letter is longer than 8 MiB. Scan it smaller.");
    if (incident === null || from === null || to === null) return fail("Give the times.");
    fail("");
    const letter = new Uint8Array(await file.arrayBuffer());
    act.begin("open-request", {
      type: it.type, letter: toBase64(letter), letterDigest: digestOf(letter), letter_name: file.name, received: it.received,
      place: it.place, description: it.description, devices: it.devices, officers: it.officers,
      incident_ns: incident, from_ns: from, to_ns: to,
    });
  };
  return (
    <section class="card">
      <h2>A new request</h2>
      {failed && <p class="complaint" role="alert">{failed}</p>}
      {act.shown}
      <form class="fields" onSubmit={submit}>
        <Field label="Kind"><select name="type"><option>subject-access</option><option>freedom-of-information</option></select></Field>
        <Field label="Letter (a file)"><input type="file" name="letter" required /></Field>
        <Field label="Received on"><input type="date" name="received" required defaultValue={local(forms.now_ns).slice(0, 10)} /></Field>
        <Field label="When it happened"><input type="datetime-local" name="incident" required /></Field>
        <Field label="Footage from"><input type="datetime-local" name="from" /></Field>
        <Field label="Footage to"><input type="datetime-local" name="to" /></Field>
        <Field label="Place"><input name="place" required /></Field>
        <Field label="What happened"><input name="description" required /></Field>
        <Field label="Cameras" hint="names with spaces between them; none: all"><input name="devices" /></Field>
        <Field label="Officers" hint="with commas between them; none: all"><input name="officers" /></Field>
        <button class="main" disabled={act.busy}>Open the request…</button>
      </form>
    </section>
  );
}

export function Request({ name, identity }) {
  const asked = useAsked(() => get("request", { id: name }), name);
  const act = useAct(identity, asked.again);
  const step = (event) => {
    event.preventDefault();
    const it = valuesOf(event.currentTarget);
    act.begin("request-step", { request: name, step: it.step, about: it.about, day: it.day, reason: it.reason });
  };
  const close = (event) => {
    event.preventDefault();
    const it = valuesOf(event.currentTarget);
    act.begin("close-request", { request: name, outcome: it.outcome, reason: it.reason });
  };
  return (
    <>
      <h1>Request {name}</h1>
      {act.shown}
      <Asked asked={asked}>
        {(it) => (
          <>
            <section class="card">
              <Facts rows={[["Kind", it.kind], ["Received", it.received], ["Answer due", it.closed ? it.due || "–" : `${it.due || "–"} (${due(it.days_left)})`], ["State", it.closed ? it.outcome : "open"],
                ["Place", it.place], ["What happened", it.description], ["Footage", `${dayAndTime(it.from_ns)} to ${dayAndTime(it.to_ns)}`],
                ["Cameras", it.devices.join(", ") || "all"], ["Officers", it.officers.join(", ") || "all"], ["Within 31 days", it.in_time ? "yes: what matches is held" : "no"]]} />
              <Letter it={it} />
              {it.steps.length > 0 && <><h2>Its clock</h2><ul class="list">{it.steps.map((one, n) => <li key={n}>{one.day}: {one.about} {one.step}</li>)}</ul></>}
            </section>
            <section class="card">
              <h2>What may show it</h2>
              <ul class="list">
                {it.held.map((hold) => <li key={hold.n}><a href={link("recording", hold.recording)}>{hold.recording}</a>: held (hold {hold.n})</li>)}
                {it.to_hold.map((recording) => (
                  <li key={recording}><a href={link("recording", recording)}>{recording}</a>: not held yet{" "}
                    <button type="button" onClick={() => act.begin("hold-for-request", { recording, request: name })}>Hold it…</button></li>
                ))}
              </ul>
              {!it.held.length && !it.to_hold.length && <p class="soft">Nothing in the store matches.</p>}
              <p><button type="button" disabled={act.busy} onClick={() => act.begin("search", { request: name })}>Certify the search…</button>{" "}
                <span class="soft">{it.searches.length ? `Searched ${it.searches.length} times, last in line ${it.searches.at(-1).n}.` : "Not searched yet."}</span></p>
            </section>
            {!it.closed && (
              <section class="card">
                <h2>Next</h2>
                <form class="fields" onSubmit={step}>
                  <Field label="What"><select name="step"><option>asked</option><option>answered</option><option>extended</option></select></Field>
                  <Field label="About"><select name="about"><option>identity</option><option>clarification</option><option>fee</option><option>complexity</option><option>public-interest</option></select></Field>
                  <Field label="On"><input type="date" name="day" required /></Field>
                  <Field label="Reason"><input name="reason" required /></Field>
                  <button disabled={act.busy}>Write the step down…</button>
                </form>
                <form class="fields" onSubmit={close}>
                  <Field label="Answer"><select name="outcome"><option>disclosed</option><option>partly-disclosed</option><option>refused</option><option>not-found</option><option>withdrawn</option></select></Field>
                  <Field label="Reason"><input name="reason" /></Field>
                  <button disabled={act.busy}>Close the request…</button>
                </form>
              </section>
            )}
          </>
        )}
      </Asked>
    </>
  );
}

/** What the public wrote, as it lies in the store: its digest stands in the request's line. */
function Letter({ it }) {
  const [saved, set] = useState(""), [failed, fail] = useState(null);
  const open = async () => {
    try {
      const letter = await bytes("letter", { id: it.id });
      if (digestOf(letter) !== it.letter) throw new Error("The letter is not the one that came in.");
      set(URL.createObjectURL(new Blob([letter])));
    } catch (error) {
      fail(error);
    }
  };
  return (
    <p>
      {failed && <Complaint error={failed} />}
      {saved ? <a class="button" download={`letter-${it.id}`} href={saved}>Save the letter</a> : <button type="button" onClick={open}>Open the letter</button>}
    </p>
  );
}

// --- cameras ---

export function Cameras() {
  const asked = useAsked(() => get("cameras"));
  return (
    <>
      <h1>Cameras</h1>
      <Asked asked={asked}>
        {(it) => (
          <section class="card"><div class="scroll" tabIndex={0} role="region" aria-label="Cameras">
            <table>
              <thead><tr><th scope="col">Camera</th><th scope="col">Issued to</th><th scope="col">Last docked</th><th scope="col">Battery</th><th scope="col">Clock</th><th scope="col">Files to come</th><th scope="col">State</th></tr></thead>
              <tbody>{it.cameras.map((one) => (
                <tr key={one.device}><td>{one.device}</td><td>{one.officer || "nobody"}</td><td>{dayAndTime(one.docked_ns)}</td>
                  <td>{one.battery === null ? "–" : `${one.battery} %`}</td><td>{one.clock || "–"}</td><td>{one.waiting}</td>
                  <td>{one.revoked ? <span class="bad">revoked: {one.revoked}</span> : one.forked ? <span class="bad">its ledger forked</span> : "in order"}</td></tr>
              ))}</tbody>
            </table></div>
          </section>
        )}
      </Asked>
    </>
  );
}

// --- scrutiny ---

const WEEK_NS = 7n * 86_400n * 1_000_000_000n;

/** A sample of the last week, drawn by what a witness has signed: nobody can choose what is looked at. */
export function Scrutiny({ forms }) {
  const [wanted, set] = useState(null), [failed, fail] = useState(null);
  const draw = async (event) => {
    event.preventDefault();
    const { count, seed } = valuesOf(event.currentTarget);
    try {
      fail(null);
      const to = BigInt(Math.trunc(forms.now_ns / 1e6)) * 1_000_000n;
      const chosen = seed.trim() || (await get("checkpoint")).checkpoint.split("\n")[2];
      if (!chosen) throw new Error("No witness has signed anything yet: give a seed, from a newspaper say.");
      const said = await get("scrutiny", { from_ns: to - WEEK_NS, to_ns: to, seed: chosen, count });
      const digests = said.recordings.map(({ id }) => digestOf(utf8(`${chosen}\n${id}`)));
      if (digests.some((digest, n) => n && digest < digests[n - 1])) throw new Error("The desk has drawn other recordings than the seed does.");
      set({ ...said, seed: chosen });
    } catch (error) {
      fail(error);
    }
  };
  return (
    <>
      <h1>Scrutiny sample</h1>
      <form class="card fields" onSubmit={draw}>
        <Field label="How many"><input type="number" name="count" min="1" max="200" defaultValue="10" required /></Field>
        <Field label="Seed" hint="empty: the root that witnesses signed last"><input name="seed" autocomplete="off" /></Field>
        <button class="main">Draw a sample of the last seven days</button>
      </form>
      {failed && <Complaint error={failed} />}
      {wanted && (
        <section class="card">
          <p role="status">{wanted.recordings.length} of {wanted.total} recordings, by the seed <span class="print">{wanted.seed}</span>.</p>
          <RecordingRows rows={wanted.recordings} more={[["Reviewed", (row) => (row.reviewed ? "yes" : "not yet")]]} />
        </section>
      )}
    </>
  );
}

// --- who looked ---

/** Reading it is a line, too: it is signed before anything is shown. */
export function Audit({ identity }) {
  const [wanted, set] = useState(null), [chosen, choose] = useState({ recording: "", person: "" });
  const act = useAct(identity, (line) => set({ ...chosen, line }));
  const submit = (event) => {
    event.preventDefault();
    const it = valuesOf(event.currentTarget);
    choose(it);
    act.begin("audit-read", it);
  };
  return (
    <>
      <h1>Who looked at what</h1>
      <form class="card fields" onSubmit={submit}>
        <Field label="Recording" hint="camera/recording; none: all"><input name="recording" /></Field>
        <Field label="Person" hint="their number; none: all"><input name="person" /></Field>
        <button class="main" disabled={act.busy}>Read the history…</button>
      </form>
      {act.shown}
      {wanted && <Looks key={wanted.line} wanted={wanted} />}
    </>
  );
}

function Looks({ wanted }) {
  const asked = useAsked(() => get("looks", { recording: wanted.recording, person: wanted.person }));
  return (
    <Asked asked={asked}>
      {(it) => (
        <section class="card">
          <p role="status">{it.total} looks. That you read this is line {String(wanted.line)}.</p>
          {it.looks.length > 0 && (
            <div class="scroll" tabIndex={0} role="region" aria-label="Looks">
              <table>
                <thead><tr><th scope="col">Line</th><th scope="col">When</th><th scope="col">Who</th><th scope="col">As</th><th scope="col">What</th><th scope="col">Why</th><th scope="col">Remark</th></tr></thead>
                <tbody>{it.looks.map((one) => (
                  <tr key={one.line}><td>{one.line}</td><td>{dayAndTime(one.utc_ns)}</td><td>{one.person}</td><td>{one.role}</td>
                    <td>{one.kind === "viewed" ? "looked at" : one.kind === "exported" ? "opened" : "gave away"} {one.recordings.map((name) => <a key={name} href={link("recording", name)}>{name} </a>)}</td>
                    <td>{one.reason}{one.case && ` (case ${one.case})`}</td>
                    <td>{one.outside && <span class="bad">outside their cases</span>} {one.wrong && <span class="bad">{one.wrong}</span>}</td></tr>
                ))}</tbody>
              </table>
            </div>
          )}
        </section>
      )}
    </Asked>
  );
}

