// Small parts of all screens.

import { useEffect, useRef, useState } from "preact/hooks";
import { Refused } from "./api.js";
import { draft, sign } from "./acts.js";
import { inWords } from "./act_words.js";
import { dayAndTime, length } from "./dates.js";

/** What a screen shows, asked for again when `again` is called. */
export function useAsked(ask, ...reasons) {
  const about = reasons.join("\n");
  const [state, set] = useState({ about, said: null, failed: null });
  const [round, again] = useState(0);
  useEffect(() => {
    let current = true;
    ask().then(
      (said) => current && set({ about, said, failed: null }),
      (failed) => current && set({ about, said: null, failed }),
    );
    return () => { current = false; };
  }, [round, about]);
  // What was asked before is no answer to what is asked now.
  const fresh = state.about === about ? state : { said: null, failed: null };
  return { ...fresh, again: () => again((n) => n + 1) };
}

export function Asked({ asked, children }) {
  if (asked.failed) return <Complaint error={asked.failed} again={asked.again} />;
  if (!asked.said) return <p class="soft" role="status">Loading…</p>;
  return children(asked.said);
}

export const sentence = (error) => {
  const said = error instanceof Refused || error?.message ? error.message : String(error);
  const whole = said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
};

export function Complaint({ error, again }) {
  return (
    <p class="complaint" role="alert">
      {sentence(error)} {again && <button type="button" onClick={again}>Try again</button>}
    </p>
  );
}

/** An act: a form's values become a draft, its words are shown, and the person signs, or not. */
export function useAct(identity, done) {
  const [waiting, set] = useState(null), [failed, fail] = useState(null), [busy, work] = useState(false);
  const begin = async (act, given) => {
    fail(null);
    if (!identity) return fail(new Error("This browser has no certified key. Enrol it under “This browser”."));
    work(true);
    try {
      set(await draft(identity, act, given));
    } catch (error) {
      fail(error);
    } finally {
      work(false);
    }
  };
  const confirm = async () => {
    work(true);
    try {
      const line = await sign(waiting);
      set(null);
      done(line);
    } catch (error) {
      set(null);
      fail(error);
    } finally {
      work(false);
    }
  };
  const shown = (
    <>
      {failed && <Complaint error={failed} />}
      {waiting && <Confirm said={waiting.said} name={identity.name} role={identity.role} busy={busy} sign={confirm} leave={() => set(null)} />}
    </>
  );
  return { begin, shown, busy };
}

function Confirm({ said, name, role, busy, sign: signIt, leave }) {
  const { title, rows, consequence } = inWords(said), dialog = useRef(null);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onCancel={leave}>
      <p class="soft">This is what you sign, as {name} ({role}):</p>
      <h2 id="confirm-title">{title}</h2>
      <Facts rows={rows} />
      {consequence && <p>{consequence}</p>}
      <p class="soft">Line {String(said.n)}, {dayAndTime(said.utc_ns)}</p>
      <div class="row">
        <button type="button" class="main" disabled={busy} onClick={signIt} autofocus>Sign</button>
        <button type="button" disabled={busy} onClick={leave}>Leave it</button>
      </div>
    </dialog>
  );
}

export function Facts({ rows }) {
  if (!rows.length) return null;
  return <dl>{rows.map(([label, value]) => <div key={label}><dt>{label}</dt><dd>{value}</dd></div>)}</dl>;
}

export const link = (screen, name = "") => `#/${screen}${name ? `/${encodeURIComponent(name)}` : ""}`;

export function RecordingRows({ rows, more = [] }) {
  if (!rows.length) return <p class="soft">None.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Recordings">
      <table>
        <thead><tr><th scope="col">Recording</th><th scope="col">Began</th><th scope="col">Length</th><th scope="col">Officer</th>
          <th scope="col">Category</th><th scope="col">State</th>{more.map(([title]) => <th scope="col" key={title}>{title}</th>)}</tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <td><a href={link("recording", row.id)}>{row.id}</a></td>
              <td>{began(row)}</td>
              <td>{length((row.end_ns - row.start_ns) / 1e9)}</td>
              <td>{row.officer || "–"}</td><td>{row.category}</td>
              <td><State state={row.state} />{row.flagged ? " · flagged" : ""}{row.late ? " · late" : ""}</td>
              {more.map(([title, value]) => <td key={title}>{value(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** With the clock's error, where it is more than a second. */
export function began(row) {
  if (row.error_ns > 86_400e9) return `before ${dayAndTime(row.end_ns)} (the clock was not set)`;
  const error = row.error_ns / 1e9;
  return dayAndTime(row.start_ns) + (error > 1 ? ` ± ${Math.round(error)} s` : "");
}

export function State({ state }) {
  const bad = ["not whole", "not delivered"].includes(state);
  return <span class={bad ? "bad" : state === "held" ? "good" : ""}>{state}</span>;
}

export function Field({ label, hint, children }) {
  return <label class="field"><span>{label}</span>{children}{hint && <small class="soft">{hint}</small>}</label>;
}

/** The values of a form's fields by their names. */
export const valuesOf = (form) => Object.fromEntries(new FormData(form));
