// Up to four recordings on one clock: each plays what it saw at the same moment.

import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "./api.js";
import { dayAndTime, length } from "./dates.js";
import { Footage, readCamera } from "./footage.js";
import { look } from "./grant.js";
import { Complaint, Field, link, valuesOf } from "./parts.jsx";
import { Player } from "./player.js";

const MOST = 4, DRIFT_S = 0.08;

export function SideBySide({ name, identity, forms }) {
  const names = name.split(" ").filter(Boolean).slice(0, MOST);
  const [films, set] = useState(null), [failed, fail] = useState(null), [now, move] = useState(0), [playing, play] = useState(false);
  const videos = useRef([]);
  const open = async (event) => {
    event.preventDefault();
    const { reason } = valuesOf(event.currentTarget);
    try {
      fail(null);
      if (!identity) throw new Error("This browser has no certified key. Enrol it under “This browser”.");
      const opened = [];
      for (const id of names) {
        const it = await get("recording", { id }), camera = await readCamera(id), footage = new Footage(id, camera, it.files);
        const segments = footage.segments.filter(({ state }) => state !== "missing").map(({ segment }) => segment);
        footage.keys = (await look({ identity, store: forms.store, recording: id, segments, reason, caseName: "" })).keys;
        opened.push({ id, footage, start: it.start_ns / 1e9, error: it.error_ns / 1e9, player: null });
      }
      const first = Math.min(...opened.map(({ start }) => start));
      for (const film of opened) film.offset = film.start - first;
      set({ first, films: opened });
    } catch (error) {
      fail(error);
    }
  };
  useEffect(() => {
    if (!films) return;
    for (const [n, film] of films.films.entries()) {
      film.player = new Player(videos.current[n], film.footage, () => {});
      film.player.start();
    }
    return () => films.films.forEach(({ player }) => player?.end());
  }, [films]);
  const all = films ? Math.max(...films.films.map(({ offset, footage }) => offset + footage.length)) : 0;
  const seek = (to) => {
    move(to);
    for (const { offset, footage, player } of films?.films ?? []) player.seek(Math.min(footage.length, Math.max(0, to - offset)));
  };
  // One clock moves; each film follows it, and is set right where it drifts.
  useEffect(() => {
    if (!playing || !films) return;
    let last = performance.now(), at = now, frame;
    const tick = (moment) => {
      at = Math.min(all, at + (moment - last) / 1000);
      last = moment;
      move(at);
      for (const [n, { offset, footage, player }] of films.films.entries()) {
        const mine = at - offset, video = videos.current[n];
        const within = mine >= 0 && mine < footage.length;
        if (!within && !video.paused) video.pause();
        if (within && video.paused) video.play().catch(() => {});
        if (within && Math.abs(video.currentTime - mine) > DRIFT_S && !video.seeking) player.seek(mine);
      }
      if (at >= all) play(false);
      else frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => {
      cancelAnimationFrame(frame);
      videos.current.forEach((video) => video?.pause());
    };
  }, [playing, films]);
  return (
    <>
      <h1>Side by side</h1>
      <p>{names.map((id) => <a key={id} href={link("recording", id)}>{id} </a>)}</p>
      {failed && <Complaint error={failed} />}
      {!films && (
        <form class="card fields" onSubmit={open}>
          <Field label="Why do you look?" hint="it stands in the history, once for each recording"><input name="reason" required autocomplete="off" /></Field>
          <button class="main">Watch</button>
        </form>
      )}
      {films && (
        <section class="card">
          <div class="several">
            {films.films.map(({ id, error }, n) => (
              <figure key={id}>
                <div class="film"><video ref={(one) => { videos.current[n] = one; }} muted={n > 0} playsInline aria-label={`Film of ${id}`} />
                  <span class="mark" aria-hidden="true">{identity?.name}</span></div>
                <figcaption>{id}{error > 1 && ` (its clock: ± ${Math.round(error)} s)`}</figcaption>
              </figure>
            ))}
          </div>
          <div class="row controls">
            <button type="button" onClick={() => seek(Math.max(0, now - 5))}>« 5 s</button>
            <button type="button" class="main" onClick={() => play(!playing)}>{playing ? "Pause" : "Play"}</button>
            <button type="button" onClick={() => seek(Math.min(all, now + 5))}>5 s »</button>
          </div>
          <label class="lane"><span>position</span><input type="range" min="0" max={all} step="0.04" value={now} aria-valuetext={`${now.toFixed(1)} seconds`}
            onInput={(event) => { play(false); seek(Number(event.currentTarget.value)); }} /></label>
          <p class="clock">{now.toFixed(2)} s of {length(all)} · {dayAndTime(BigInt(Math.round((films.first + now) * 1000)) * 1_000_000n)}</p>
        </section>
      )}
    </>
  );
}
