// From a recording to a package: the order is signed here, the worker renders, and this browser
// signs what it has read.

import { useEffect, useRef, useState } from "preact/hooks";
import { Fail } from "../../../verification/page/source/bytes.js";
import { find, put } from "./key_store.js";
import { answer, approve, order, orders, question, read, result } from "./orders.js";
import { Complaint, Facts, Field, link, useAsked, valuesOf } from "./parts.jsx";
import { proposed } from "./redaction.jsx";

const LOOK_MS = 1000, APPROVALS_MS = 5000;
const STATES = { approval: "waits for a second person", waiting: "waits for a worker", taken: "the worker is at it", done: "done", failed: "not done" };

/** Orders of this recording: how far they are, and what waits to be signed. */
export function Orders({ it, identity, take }) {
  const [rows, set] = useState([]), [failed, fail] = useState(null), [waiting, ask] = useState(null);
  const busy = useRef(""), saved = useRef(new Map());
  const look = async () => {
    try {
      const mine = (await orders()).orders.filter((one) => one.recording === it.id);
      set(mine);
      for (const one of mine) {
        if (!one.question || busy.current === one.question) continue;
        busy.current = one.question;
        await asked(one);
      }
    } catch (error) {
      fail(error);
    }
  };
  const asked = async (one) => {
    try {
      const ordered = await remembered(one.digest);
      if (!ordered) throw new Fail("another browser ordered it: sign there");
      const known = await question(identity, one, ordered);
      if (known.said === null) await answer(identity, one, known);
      else ask({ one, known });
    } catch (error) {
      fail(error);
    }
  };
  useEffect(() => {
    if (!identity) return;
    look();
    const looking = setInterval(look, LOOK_MS);
    return () => clearInterval(looking);
  }, [it.id, identity?.fingerprint]);
  const sign = async () => {
    await answer(identity, waiting.one, waiting.known).catch(fail);
    ask(null);
  };
  const fetched = async (one) => {
    try {
      const made = await result(identity, one.digest);
      if (one.what === "propose") return take(proposed(JSON.parse(await made.files.get("redaction.json").text())), made.files.get("contact-sheet.jpg"));
      saved.current.set(one.digest, URL.createObjectURL(made.blob));
      set([...rows]);
    } catch (error) {
      fail(error);
    }
  };
  if (!rows.length && !failed) return null;
  return (
    <section>
      <h3>Orders</h3>
      {failed && <Complaint error={failed} />}
      {waiting && <Confirm said={waiting.known.said} sign={sign} leave={() => ask(null)} name={identity.name} />}
      <ul class="list">
        {rows.map((one) => (
          <li key={one.digest}>
            {one.what === "propose" ? "What to cover" : "Package"}: <b>{STATES[one.state]}</b> <span class="soft">{one.told}</span>{" "}
            {one.state === "done" && (saved.current.has(one.digest)
              ? <a class="button" download={`${it.id.replace("/", "-")}.zip`} href={saved.current.get(one.digest)}>Save the package</a>
              : <button type="button" onClick={() => fetched(one)}>{one.what === "propose" ? "Use the proposal" : "Open the package"}</button>)}
          </li>
        ))}
      </ul>
    </section>
  );
}

// What this browser ordered: questions are held against it, never against what the desk says.
const remembered = (digest) => find("seen", `order ${digest}`);

export async function give(identity, what, { store, recording, plan, reason }) {
  const digest = await order(identity, { store, recording, what, plan, reason });
  const [device, name] = recording.split("/");
  await put("seen", { id: `order ${digest}`, store, device, recording: name, plan, reason });
  return digest;
}

function Confirm({ said, sign, leave, name }) {
  const dialog = useRef(null);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="disclose-title" onCancel={leave}>
      <p class="soft">This is what you sign, as {name} (disclosure):</p>
      <h2 id="disclose-title">Give {said.recording} to {said.recipient}</h2>
      <Facts rows={[["Reason", said.reason], ["Request", said.request || "none"], ["Covered", said.redacted ? `parts of it; ${said.confirmed_by} looked at it too` : "nothing"],
        ["Package", `${said.count} files, list ${said.sums.slice(0, 16)}…: opened here, each as the line names it`]]} />
      <div class="row"><button type="button" class="main" onClick={sign} autofocus>Sign</button><button type="button" onClick={leave}>Leave it</button></div>
    </dialog>
  );
}

/** The form. `redaction` is what the editor has, null for none. */
export function Disclose({ it, identity, forms, clip, redaction, done }) {
  const [failed, fail] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const v = valuesOf(event.currentTarget), seconds = (text) => (text === "" ? null : Number(text));
    try {
      fail(null);
      const plan = { recipient: v.recipient, request: v.request, from_s: seconds(v.from), to_s: seconds(v.to), with_original: false, redaction };
      done(await give(identity, "disclose", { store: forms.store, recording: it.id, plan, reason: v.reason }));
    } catch (error) {
      fail(error);
    }
  };
  if (identity?.role !== "disclosure") return <p class="soft">Who acts as disclosure orders packages here.</p>;
  return (
    <form class="fields" onSubmit={submit}>
      {failed && <Complaint error={failed} />}
      <Field label="To whom"><input name="recipient" required autocomplete="off" /></Field>
      <Field label="Reason for giving it"><input name="reason" required autocomplete="off" /></Field>
      <Field label="Request (its number)"><input name="request" autocomplete="off" /></Field>
      <Field label="From second" hint="empty: from the beginning"><input key={`from ${clip.from}`} name="from" type="number" step="0.01" min="0" defaultValue={clip.from?.toFixed(2) ?? ""} /></Field>
      <Field label="To second" hint="empty: to the end"><input key={`to ${clip.to}`} name="to" type="number" step="0.01" min="0" defaultValue={clip.to?.toFixed(2) ?? ""} /></Field>
      <button>{redaction ? "Order a covered copy" : "Order the package"}</button>
      {redaction && <p class="soft">A second person looks at what is covered before anything is made.</p>}
    </form>
  );
}

/** Orders of others that a second person must look at. */
export function Approvals({ identity }) {
  const asked = useAsked(async () => (await orders()).approvals), [failed, fail] = useState(null);
  useEffect(() => {
    const looking = setInterval(asked.again, APPROVALS_MS);
    return () => clearInterval(looking);
  }, []);
  const agree = async (one) => {
    try {
      await approve(identity, one.digest);
      asked.again();
    } catch (error) {
      fail(error);
    }
  };
  const rows = asked.said ?? [];
  return (
    <section class="card">
      <h2>Covered copies that wait for a second person <span class="count">{rows.length}</span></h2>
      {failed && <Complaint error={failed} />}
      {rows.length ? <ul class="list">{rows.map((one) => {
        const said = read(one.text), { plan } = said;
        return (
          <li key={one.digest}>
            <a href={link("recording", `${said.device}/${said.recording}`)}>{said.device}/{said.recording}</a> for {plan.recipient}, ordered by {one.name}: {plan.redaction.boxes.length} parts of the picture and {plan.redaction.mute.length} spans of sound are covered.
            Watch it: the parts are drawn over the film.{" "}
            {identity && ["custodian", "reviewer", "disclosure"].includes(identity.role) && said.digest === one.digest
              && <button type="button" onClick={() => agree(one)}>I have looked at it: sign the approval</button>}
          </li>
        );
      })}</ul> : <p class="soft">Nothing waits.</p>}
    </section>
  );
}

/** What others ordered to be covered in this recording, for whoever looks at it. */
export async function coveredBy(recording) {
  const { approvals } = await orders();
  const mine = approvals.map((one) => read(one.text)).find((said) => `${said.device}/${said.recording}` === recording);
  return mine?.plan.redaction ?? null;
}
