// Signing in, and the keys of this browser: made here, certified by the roles CA's holder, never exported.

import { useState } from "preact/hooks";
import { api } from "./agency.js";
import { get, post } from "./api.js";
import { agencyFingerprint, begin, forget, pending, signInByKey, take } from "./enrolment.js";
import { register, signIn } from "./passkeys.js";
import { Asked, Complaint, Facts, Field, useAsked } from "./parts.jsx";

const DAY_MS = 86_400_000;
const FORGOTTEN = "The key is gone for ever then: you make new ones and have them certified. Forget it?";

/** To the provider of the agency's accounts, and back. */
const Accounts = ({ about }) => about?.accounts && <p><a class="button" href={`${api}/api/sign-in/open-id`}>Sign in with the agency's account</a></p>;

export function SignIn({ about, keys, changed }) {
  const [failed, fail] = useState(null);
  const enter = async () => {
    try {
      fail(null);
      await signIn();
      changed();
    } catch (error) {
      fail(error);
    }
  };
  return (
    <>
      <h1>Sign in</h1>
      <section class="card">
        {failed && <Complaint error={failed} />}
        <p><button type="button" class="main" onClick={enter}>Sign in with a passkey</button></p>
        <Accounts about={about} />
        <p class="soft">Signing in shows you what the agency keeps. To watch and to decide you also need the keys of this browser, which the server does not have.</p>
      </section>
      <Keys keys={keys} changed={changed} signedIn={null} />
    </>
  );
}

export function ThisBrowser({ keys, changed, signedIn }) {
  const asked = useAsked(() => get("sessions"));
  return (
    <>
      <h1>This browser</h1>
      <Keys keys={keys} changed={changed} signedIn={signedIn} />
      <section class="card">
        <h2>Where you are signed in</h2>
        <Asked asked={asked}>
          {(it) => <ul class="list">{it.sessions.map((one) => (
            <li key={one.id}>{one.browser || "a browser"}, since {new Date(one.began_s * 1000).toLocaleString("en-GB")}{" "}
              {one.this ? <span class="soft">(this one)</span> : <button type="button" onClick={async () => { await post("sessions/end", { id: one.id }); asked.again(); }}>End it</button>}</li>
          ))}</ul>}
        </Asked>
      </section>
    </>
  );
}

export function Keys({ about, keys, changed, signedIn }) {
  const [failed, fail] = useState(null), [note, tell] = useState("");
  const waiting = useAsked(pending);
  const does = (act) => async (event) => {
    event?.preventDefault?.();
    try {
      fail(null);
      await act(event);
      waiting.again();
      changed();
    } catch (error) {
      fail(error);
    }
  };
  const make = does(async () => {
    const { kept } = await begin();
    tell(kept ? "The browser promises to keep the keys." : "This browser may throw the keys away when its disk is full. Allow it to keep data, or enrol again when that happens.");
  });
  const accept = does(async (event) => {
    const file = event.currentTarget.elements.certificates.files[0];
    const identity = await take(await file.text());
    await signInByKey(identity);
  });
  return (
    <section class="card">
      <h2>Your keys in this browser</h2>
      {failed && <Complaint error={failed} />}
      {note && <p role="status">{note}</p>}
      <ul class="list">
        {keys.map((one) => (
          <li key={one.fingerprint}>
            <b>{one.name}</b> may act as {one.role}, until {new Date(one.until).toISOString().slice(0, 10)}
            {one.until - Date.now() < 30 * DAY_MS && <span class="bad"> – it ends soon: enrol anew</span>}{" "}
            {!signedIn && <button type="button" onClick={does(() => signInByKey(one))}>Sign in with this key</button>}{" "}
            <button type="button" onClick={does(() => confirm(FORGOTTEN) && forget(one.fingerprint))}>Forget this key</button>
          </li>
        ))}
      </ul>
      {!keys.length && <p class="soft">None yet. Without them you can look things up, and neither watch nor decide.</p>}
      {signedIn && !signedIn.full && <><Passkey does={does} /><Accounts about={about} /></>}
      <Asked asked={waiting}>
        {(rows) => rows.map((one) => (
          <div class="card inner" key={one.id}>
            <p>A request waits for its certificates. Its fingerprint: <b class="print">{one.fingerprint}</b></p>
            <p><a class="button" download="enrolment-request.txt" href={`data:text/plain;charset=us-ascii,${encodeURIComponent(one.text)}`}>Save the request</a></p>
            <p class="soft">Bring the file to whoever holds the roles CA, and read the fingerprint to them. They give back a file of certificates.</p>
          </div>
        ))}
      </Asked>
      <form class="fields" onSubmit={accept}>
        <Field label="Certificates that you were given"><input type="file" name="certificates" required /></Field>
        <button>Take the certificates in</button>
      </form>
      <p><button type="button" onClick={make}>Make new keys</button></p>
      <Facts rows={[["This page is of the agency with the root", <span class="print" key="root">{agencyFingerprint().replace(/(.{4})(?=.)/g, "$1 ")}</span>]]} />
    </section>
  );
}

function Passkey({ does }) {
  return (
    <form class="fields" onSubmit={does((event) => register(new FormData(event.currentTarget).get("label")))}>
      <p>Register a passkey now: with it you sign in from now on.</p>
      <Field label="Its name, for you"><input name="label" required defaultValue="passkey" maxLength={64} /></Field>
      <button class="main">Register a passkey</button>
    </form>
  );
}
