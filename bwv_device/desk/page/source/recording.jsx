// One recording: the film, one timeline of everything that happened, and what people decide about it.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { eventsOf } from "../../../verification/page/source/events.js";
import { Fail } from "../../../verification/page/source/bytes.js";
import { get } from "./api.js";
import { told } from "./act_words.js";
import { dayAndTime, length, local } from "./dates.js";
import { Disclose, Orders, coveredBy, give } from "./disclosure.jsx";
import { Footage, readCamera } from "./footage.js";
import { look } from "./grant.js";
import { Asked, Complaint, Facts, Field, State, began, link, useAct, useAsked, valuesOf } from "./parts.jsx";
import { Player } from "./player.js";
import { EMPTY, Editor, Overlay, finished } from "./redaction.jsx";
import { verdictOf, witnessed } from "./verdict.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
// So much is checked by itself; of more, what is watched, and the rest when somebody asks for it.
const BY_ITSELF = 256 << 20;

export function Recording({ name, identity, forms }) {
  const asked = useAsked(() => get("recording", { id: name }), name);
  return (
    <>
      <h1>{name}</h1>
      <Asked asked={asked}>{(it) => <One key={name} it={it} again={asked.again} identity={identity} forms={forms} />}</Asked>
    </>
  );
}

function One({ it, again, identity, forms }) {
  const [film, set] = useState({ camera: null, history: null, footage: null, failed: "" });
  useEffect(() => {
    let current = true;
    const held = (part) => (value) => current && set((before) => ({ ...before, [part]: value }));
    readCamera(it.id).then(held("camera"), (error) => held("failed")(`The camera's own lines: ${error.message}.`));
    witnessed().then(held("history"), (error) => held("failed")(`Custody's history: ${error.message}.`));
    return () => { current = false; };
  }, [it.id]);
  const [round, redraw] = useState(0);
  const footage = useMemo(() => film.camera && new Footage(it.id, film.camera, it.files), [film.camera]);
  const verdict = verdictOf({ ...film, footage, it });
  return (
    <>
      <p>
        {began(it)} · {length((it.end_ns - it.start_ns) / 1e9)} · {it.officer || "no officer"} · {it.category} · <State state={it.state} />{" "}
        {it.before && <a href={link("recording", it.before)}>← before</a>} {it.after && <a href={link("recording", it.after)}>after →</a>}
      </p>
      <Badge verdict={verdict} />
      <div class="wide">
        <Film it={it} film={film} footage={footage} identity={identity} forms={forms} redraw={() => redraw((n) => n + 1)} round={round} />
        <Decisions it={it} identity={identity} forms={forms} again={again} />
      </div>
      <History it={it} />
    </>
  );
}

function Badge({ verdict }) {
  return (
    <section class="badge" data-state={verdict.state} aria-label="Verdict" role="status">
      <b>{verdict.title}</b>
      <ul>{verdict.reasons.filter(Boolean).slice(0, 6).map((reason) => <li key={reason}>{reason}</li>)}
        {verdict.reasons.length > 6 && <li>{verdict.reasons.length - 6} more of the kind.</li>}</ul>
    </section>
  );
}

// --- the film ---

function Film({ it, film, footage, identity, forms, redraw, round }) {
  const video = useRef(null), player = useRef(null);
  const [state, set] = useState({ looking: false, open: false, note: "", failed: null });
  const [time, move] = useState(0), [clip, mark] = useState({ from: null, to: null }), [speed, hurry] = useState(1);
  useEffect(() => () => player.current?.end(), []);
  const watch = async (event) => {
    event.preventDefault();
    const { reason, caseName } = valuesOf(event.currentTarget);
    if (!identity) return set({ ...state, failed: new Error("This browser has no certified key. Enrol it under “This browser”.") });
    set({ looking: true, open: false, note: "Asking the key desk…", failed: null });
    performance.mark("click");
    try {
      const segments = footage.segments.filter(({ state: s }) => s !== "missing").map(({ segment }) => segment);
      if (!segments.length) throw new Fail("nothing of it is in the store");
      footage.begin();
      const named = [...segments, ...footage.stills.map(({ name }) => name)];
      const { keys, lines } = await look({ identity, store: forms.store, recording: it.id, segments: named, reason, caseName },
        (line) => set((before) => ({ ...before, note: `Line ${line} says that you look. Waiting until witnesses have seen it…` })));
      footage.keys = keys;
      set({ looking: true, open: true, note: `That you look is line ${lines.join(", ")}.`, failed: null });
    } catch (error) {
      set({ looking: false, open: false, note: "", failed: error });
    }
  };
  useEffect(() => {
    if (!state.open || player.current) return;
    const one = new Player(video.current, footage, (shown) => {
      if (!performance.getEntriesByName("first picture").length) performance.mark("first picture");
      video.current.dataset.shown = shown;
      move(shown);
    });
    one.changed = redraw;
    one.complain = (error) => set((before) => ({ ...before, failed: error }));
    player.current = one;
    for (const event of ["seeking", "timeupdate"]) video.current.addEventListener(event, () => be(video.current?.currentTime ?? 0));
    one.start();
    const total = it.files.reduce((sum, file) => sum + file.length, 0);
    if (total <= BY_ITSELF) setTimeout(() => one.footage.checkAll().then(redraw), 1500);
  }, [state.open]);
  const [place, be] = useState(0);
  const [redaction, cover] = useState(EMPTY), [drawing, draw] = useState(false), [sheet, keep] = useState(null), [ordered, order] = useState(0);
  const [others, theirs] = useState(null);
  useEffect(() => { coveredBy(it.id).then(theirs, () => theirs(null)); }, [it.id]);
  const covers = redaction.boxes.length + redaction.mute.length > 0;
  const add = (box) => cover({ ...redaction, boxes: [...redaction.boxes, { ...box, from_s: time, to_s: Math.min(footage.length, time + 5), kept: true }] });
  const propose = async () => {
    try {
      await give(identity, "propose", { store: forms.store, recording: it.id, plan: {}, reason: "what to cover" });
      order((n) => n + 1);
    } catch (error) {
      set((before) => ({ ...before, failed: error }));
    }
  };
  const bad = footage?.at(place)?.state === "false";
  useEffect(() => {
    if (bad) video.current?.pause();
  }, [bad]);
  const go = (to) => player.current?.seek(to);
  const rate = (value) => {
    hurry(value);
    if (video.current) video.current.playbackRate = value;
  };
  const keys = (event) => {
    if (!player.current || event.target.closest("input, textarea, select, dialog") || event.ctrlKey || event.altKey || event.metaKey) return;
    const v = video.current, now = v.currentTime;
    const does = {
      j: () => go(now - 5), k: () => (v.paused ? v.play() : v.pause()), l: () => (v.paused ? v.play() : rate(Math.min(8, speed * 2))), " ": () => (v.paused ? v.play() : v.pause()),
      arrowleft: () => player.current.step(-1), arrowright: () => player.current.step(1), ",": () => go(now - 1), ".": () => go(now + 1),
      i: () => mark({ ...clip, from: now }), o: () => mark({ ...clip, to: now }), home: () => go(0), end: () => go(footage.length),
    }[event.key.toLowerCase()];
    if (!does || (event.key === " " && event.target.closest("button, a"))) return;
    event.preventDefault();
    does();
  };
  useEffect(() => {
    document.addEventListener("keydown", keys);
    return () => document.removeEventListener("keydown", keys);
  });
  if (film.failed) return <section class="card"><Complaint error={new Error(film.failed)} /></section>;
  if (!footage) return <section class="card"><p class="soft" role="status">Reading what the camera signed…</p></section>;
  return (
    <section class="card" aria-label="Film">
      {!state.open && (
        <form class="fields" onSubmit={watch}>
          <Field label="Why do you look?" hint="it stands in the history"><input name="reason" required autocomplete="off" /></Field>
          <Field label="Case"><input name="caseName" autocomplete="off" /></Field>
          <button class="main" disabled={state.looking}>Watch</button>
        </form>
      )}
      {state.note && <p class="soft" role="status">{state.note}</p>}
      {state.failed && <Complaint error={state.failed} />}
      {state.open && (
        <>
          <div class="film">
            <video ref={video} playsInline disablePictureInPicture aria-label={`Film of ${it.id}`} hidden={bad} />
            {(covers || drawing || others) && <Overlay video={video} redaction={covers || drawing ? redaction : others} time={place} draw={drawing ? add : null} />}
            {bad && <p class="stopped" role="alert">This part is not what the camera signed. It is not shown.</p>}
            <span class="mark" aria-hidden="true">{identity?.name} · {local(BigInt(Date.now()) * 1_000_000n)}</span>
          </div>
          <div class="row controls">
            <button type="button" onClick={() => go(video.current.currentTime - 5)} title="J">« 5 s</button>
            <button type="button" onClick={() => player.current.step(-1)} title="←">One picture back</button>
            <button type="button" class="main" onClick={() => (video.current.paused ? video.current.play() : video.current.pause())} title="K">Play or pause</button>
            <button type="button" onClick={() => player.current.step(1)} title="→">One picture on</button>
            <button type="button" onClick={() => go(video.current.currentTime + 5)}>5 s »</button>
            <label class="inline">Speed <select value={speed} onChange={(event) => rate(Number(event.currentTarget.value))}>{SPEEDS.map((one) => <option key={one} value={one}>{one} ×</option>)}</select></label>
            <button type="button" onClick={() => mark({ ...clip, from: video.current.currentTime })} title="I">Clip from here</button>
            <button type="button" onClick={() => mark({ ...clip, to: video.current.currentTime })} title="O">Clip to here</button>
            {it.files.reduce((sum, file) => sum + file.length, 0) > BY_ITSELF && <button type="button" onClick={() => footage.checkAll().then(redraw)}>Check all of it</button>}
          </div>
          <p class="clock"><b>{(bad ? place : time).toFixed(3)} s</b> of {length(footage.length)} · {dayAndTime(BigInt(Math.round(it.start_ns / 1e6)) * 1_000_000n + BigInt(Math.round(time * 1e9)))}
            {(clip.from !== null || clip.to !== null) && <> · clip {clip.from?.toFixed(2) ?? "…"} to {clip.to?.toFixed(2) ?? "…"} s</>}</p>
        </>
      )}
      <Timeline footage={footage} camera={film.camera} time={bad ? place : time} go={state.open ? go : null} clip={clip} round={round} />
      {state.open && footage.stills.length > 0 && <Stills footage={footage} go={go} />}
      {state.open && (
        <details class="card inner" onToggle={(event) => !event.currentTarget.open && draw(false)}>
          <summary>Cover parts of it, and give it to somebody</summary>
          {others && !covers && <p>Another person ordered what is drawn over the film; the inbox asks for your approval.</p>}
          <div class="row">
            <button type="button" onClick={propose}>Propose what to cover</button>
            <button type="button" aria-pressed={drawing} onClick={() => draw(!drawing)}>Draw boxes on the picture</button>
          </div>
          {sheet === "" && <p>No face was found, which is no proof that there is none: look at the film, and draw boxes yourself.</p>}
          {sheet && <img class="sheet" src={sheet} alt="Pictures of the film with what is proposed to be covered" />}
          <Editor redaction={redaction} change={cover} video={video} time={time} length={footage.length} go={go} clip={clip} />
          <Disclose it={it} identity={identity} forms={forms} clip={clip} redaction={covers ? finished(redaction) : null} done={() => order((n) => n + 1)} />
          <Orders key={ordered} it={it} identity={identity} take={(found, picture) => { cover(found); keep(picture ? URL.createObjectURL(picture) : ""); }} />
        </details>
      )}
      <p class="soft">Keys: K play or pause, J back, L faster, ← → one picture, , . one second, I and O mark a clip, Home and End.</p>
    </section>
  );
}

/** Pictures that the officer took. */
function Stills({ footage, go }) {
  const [shown, set] = useState({}), [failed, fail] = useState(null);
  const open = async (still) => {
    try {
      const address = URL.createObjectURL(await footage.still(still));
      set((before) => ({ ...before, [still.name]: address }));
    } catch (error) {
      fail(error);
    }
  };
  return (
    <section class="stills" aria-label="Pictures taken">
      {failed && <Complaint error={failed} />}
      {footage.stills.map((still) => (
        <figure key={still.name}>
          {shown[still.name] ? <img src={shown[still.name]} alt={`Picture taken at ${still.at.toFixed(1)} seconds`} />
            : <button type="button" onClick={() => open(still)}>Show the picture</button>}
          <figcaption>taken at <button type="button" onClick={() => go(still.at)}>{still.at.toFixed(1)} s</button></figcaption>
        </figure>
      ))}
    </section>
  );
}

const KINDS = { before: "soft", gap: "bad", mute: "warn", covert: "warn" };

/** Lanes of what the camera signed, and of what was checked; each event is a button. */
function Timeline({ footage, camera, time, go, clip }) {
  const { lanes, events } = useMemo(() => eventsOf(camera.lines, {}), [camera]);
  const all = Math.max(0.001, footage.length), part = (seconds) => `${(100 * Math.min(all, Math.max(0, seconds))) / all}%`;
  const drag = (event) => {
    if (!go) return;
    const box = event.currentTarget.getBoundingClientRect();
    if (event.buttons & 1) go(((event.clientX - box.left) / box.width) * all);
  };
  return (
    <div class="timeline">
      <div class="lane">
        <span>film</span>
        <div class="track scrub" onPointerDown={drag} onPointerMove={drag}>
          {footage.segments.map(({ segment, from, to, state, why }) => (
            <span key={segment} class="segment" data-state={state} style={{ left: part(from), width: part((to ?? all) - from) }}
              title={`${segment}: ${state === "waiting" ? "not checked yet" : state}${why ? `, ${why}` : ""}`} />
          ))}
          {clip.from !== null && <span class="clip" style={{ left: part(clip.from), width: part((clip.to ?? all) - clip.from) }} />}
          <span class="now" style={{ left: part(time) }} />
        </div>
      </div>
      {go && (
        <label class="lane"><span>position</span>
          <input type="range" min="0" max={all} step="0.04" value={time} aria-valuetext={`${time.toFixed(1)} seconds`} onInput={(event) => go(Number(event.currentTarget.value))} /></label>
      )}
      {Object.entries(lanes).map(([lane, title]) => {
        const mine = events.filter((event) => event.lane === lane);
        if (!mine.length) return null;
        return (
          <div class="lane" key={lane}>
            <span>{title}</span>
            <div class="track">
              {mine.map(({ from, to, words }, n) => (
                <button type="button" key={n} class={KINDS[lane] ?? ""} style={{ left: `min(${part(from)}, calc(100% - 1.5rem))`, width: part(to - from) }} disabled={!go}
                  onClick={() => go(from)} title={`${from.toFixed(1)} s: ${words}`} aria-label={`${from.toFixed(1)} seconds: ${words}`} />
              ))}
            </div>
          </div>
        );
      })}
    </div>
  );
}

// --- decisions ---

function Decisions({ it, identity, forms, again }) {
  const act = useAct(identity, again);
  const submit = (name, given) => (event) => {
    event.preventDefault();
    act.begin(name, given(valuesOf(event.currentTarget)));
  };
  return (
    <section class="card" aria-label="Decisions">
      <h2>Decisions</h2>
      {act.shown}
      <p>{it.holds.some((hold) => hold.state !== "released") ? "It is not erased while it is held." : `Hidden on ${it.due.hidden}, erased on ${it.due.erased} (${it.due.rule}).`}</p>
      <ul class="list">
        {it.holds.map((hold) => (
          <li key={hold.n}>
            Hold {hold.n}: {hold.reason} {hold.case && <a href={link("cases", hold.case)}>{hold.case}</a>} <span class="soft">({hold.state})</span>
            {hold.state === "in force" && <Release hold={hold} act={act} />}
            {hold.state === "release proposed" && (hold.proposer === identity?.person ? <span class="soft"> somebody else must approve it</span>
              : <button type="button" onClick={() => act.begin("approve-release", { hold: hold.n })}>Approve the release…</button>)}
          </li>
        ))}
      </ul>
      <form class="fields" onSubmit={submit("hold", (v) => ({ recording: it.id, reason: v.reason, case: v.case }))}>
        <Field label="Hold it: reason"><input name="reason" required autocomplete="off" /></Field>
        <Field label="Case"><input name="case" autocomplete="off" /></Field>
        <button disabled={act.busy}>Hold…</button>
      </form>
      <form class="fields" onSubmit={submit("category", (v) => ({ recording: it.id, category: v.category }))}>
        <Field label="Category"><select name="category">{forms.categories.map((one) => <option key={one} selected={one === it.category}>{one}</option>)}</select></Field>
        <button disabled={act.busy}>Set the category…</button>
      </form>
      <form class="fields" onSubmit={submit("review", (v) => ({ recording: it.id, words: v.words }))}>
        <Field label="Review: what does it show?"><textarea name="words" required rows={2} /></Field>
        <button disabled={act.busy}>Write it down…</button>
      </form>
    </section>
  );
}

function Release({ hold, act }) {
  return (
    <form class="row" onSubmit={(event) => {
      event.preventDefault();
      act.begin("propose-release", { hold: hold.n, reason: valuesOf(event.currentTarget).reason });
    }}>
      <label class="inline">Reason <input name="reason" required /></label>
      <button>Propose to release…</button>
    </form>
  );
}

function History({ it }) {
  return (
    <section class="card">
      <h2>Its files and its history</h2>
      <Facts rows={it.files.map((file) => [file.segment, `${file.length.toLocaleString("en-GB")} bytes, ${file.status}${file.lost ? `, lost: ${file.lost}` : ""}`])} />
      <ol class="history">
        {it.lines.map((line) => {
          const [what, detail] = told(line);
          return <li key={line.n} value={line.n}><span class="soft">{dayAndTime(line.utc_ns)}</span> <b>{what}</b> {detail} <span class="soft">{line.name} ({line.role})</span></li>;
        })}
      </ol>
    </section>
  );
}
