// The page: who is signed in, and which screen is shown.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, post } from "./api.js";
import { setZone, zoneName } from "./dates.js";
import { identities } from "./enrolment.js";
import { Complaint, link } from "./parts.jsx";
import { Recording } from "./recording.jsx";
import { Audit, Cameras, Cases, Inbox, Request, Requests, Scrutiny, Search } from "./screens.jsx";
import { SideBySide } from "./side_by_side.jsx";
import { Keys, SignIn, ThisBrowser } from "./this_browser.jsx";

const SCREENS = [["inbox", "Inbox"], ["search", "Search"], ["cases", "Cases"], ["requests", "Requests"], ["cameras", "Cameras"], ["scrutiny", "Scrutiny"], ["audit", "Who looked"], ["browser", "This browser"]];

function here() {
  const [screen = "inbox", ...rest] = location.hash.replace(/^#\//, "").split("/");
  return { screen: screen || "inbox", name: decodeURIComponent(rest.join("/")) };
}

function Page() {
  const [place, go] = useState(here()), [it, set] = useState({ asked: false, about: null, signedIn: null, keys: [], forms: null, failed: null });
  const [chosen, choose] = useState("");
  const main = useRef(null);
  const refresh = async () => {
    try {
      const [about, keys] = [await get("about"), await identities()];
      setZone(about.zone);
      const said = await get("session"), signedIn = said.person ? said : null;
      const forms = signedIn?.full ? await get("forms") : null;
      set({ asked: true, about, signedIn, keys, forms, failed: null });
    } catch (failed) {
      set((before) => ({ ...before, asked: true, failed }));
    }
  };
  useEffect(() => {
    refresh();
    const moved = () => {
      go(here());
      main.current?.focus();
    };
    window.addEventListener("hashchange", moved);
    go(here()); // it may have moved before anybody listened
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  if (!it.asked) return <main class="narrow"><p role="status">Loading…</p></main>;
  if (it.failed) return <main class="narrow"><Complaint error={it.failed} again={refresh} /></main>;
  if (!it.signedIn?.full) {
    return <main class="narrow">{it.signedIn ? <ThisBrowserAlone it={it} changed={refresh} /> : <SignIn about={it.about} keys={it.keys} changed={refresh} />}</main>;
  }
  const mine = it.keys.filter((one) => it.signedIn.certificates.some((known) => known.fingerprint === one.fingerprint));
  const identity = mine.find((one) => one.fingerprint === chosen) ?? mine[0] ?? null;
  const given = { name: place.name, identity, forms: it.forms };
  const leave = async () => {
    await post("sign-out", {});
    location.hash = "";
    refresh();
  };
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current.focus(); }}>To the content</a>
      <header>
        <b>{it.about.agency}</b>
        <nav aria-label="Screens">{SCREENS.map(([screen, title]) => (
          <a key={screen} href={link(screen)} aria-current={place.screen === screen ? "page" : undefined}>{title}</a>
        ))}</nav>
        <div class="row">
          {mine.length > 1 ? (
            <label class="inline">You act as <select value={identity?.fingerprint} onChange={(event) => choose(event.currentTarget.value)}>{mine.map((one) => <option key={one.fingerprint} value={one.fingerprint}>{one.name}, {one.role}</option>)}</select></label>
          ) : <span>{identity ? `${identity.name}, ${identity.role}` : `${it.signedIn.person}: this browser has no certified key`}</span>}
          <button type="button" onClick={leave}>Sign out</button>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Screen screen={place.screen} given={given} it={it} refresh={refresh} />
        <p class="soft">Times in {zoneName()}; UTC beside them where it is another.</p>
      </main>
    </>
  );
}

function ThisBrowserAlone({ it, changed }) {
  return <><h1>Register a passkey</h1><Keys about={it.about} keys={it.keys} changed={changed} signedIn={it.signedIn} /></>;
}

function Screen({ screen, given, it, refresh }) {
  if (screen === "search") return <Search {...given} />;
  if (screen === "recording") return <Recording {...given} />;
  if (screen === "side-by-side") return <SideBySide {...given} />;
  if (screen === "cases") return <Cases {...given} />;
  if (screen === "requests") return <Requests {...given} />;
  if (screen === "request") return <Request {...given} />;
  if (screen === "cameras") return <Cameras {...given} />;
  if (screen === "scrutiny") return <Scrutiny {...given} />;
  if (screen === "audit") return <Audit {...given} />;
  if (screen === "browser") return <ThisBrowser keys={it.keys} changed={refresh} signedIn={it.signedIn} />;
  return <Inbox {...given} />;
}

render(<Page />, document.getElementById("page"));
