// What is covered in a copy: boxes from one second to another, proposed by the worker or drawn here,
// accepted or rejected by a person; and spans of sound that are silenced.

import { useRef, useState } from "preact/hooks";

export const EMPTY = { method: "pixelate", boxes: [], mute: [] };
const SMALLEST = 8;

/** A box that is proposed is covered unless a person rejects it: what is missed does harm. */
export const proposed = (redaction) => ({ ...redaction, boxes: redaction.boxes.map((box) => ({ ...box, kept: true })) });

/** As it goes into an order: what was rejected is left out. */
export function finished({ method, boxes, mute }) {
  const kept = boxes.filter((box) => box.kept !== false);
  return { method, mute, boxes: kept.map(({ from_s, to_s, x, y, width, height }) => ({ from_s, to_s, x, y, width, height })) };
}

const at = (box, time) => box.kept !== false && box.from_s <= time && time < box.to_s;

/** The boxes over the film. `draw` hears of one that was drawn with a pointer; none without it. */
export function Overlay({ video, redaction, time, draw }) {
  const [drawn, set] = useState(null), place = useRef(null);
  const width = video.current?.videoWidth || 1, height = video.current?.videoHeight || 1;
  const part = (value, whole) => `${(100 * value) / whole}%`;
  const point = (event) => {
    const box = place.current.getBoundingClientRect();
    const fit = (value, whole) => Math.round(Math.min(1, Math.max(0, value)) * whole);
    return [fit((event.clientX - box.left) / box.width, width), fit((event.clientY - box.top) / box.height, height)];
  };
  const between = ([x1, y1], [x2, y2]) => ({ x: Math.min(x1, x2), y: Math.min(y1, y2), width: Math.abs(x2 - x1), height: Math.abs(y2 - y1) });
  const style = (box) => ({ left: part(box.x, width), top: part(box.y, height), width: part(box.width, width), height: part(box.height, height) });
  const end = () => {
    if (drawn) {
      const box = between(drawn.from, drawn.to);
      if (box.width >= SMALLEST && box.height >= SMALLEST) draw(box);
    }
    set(null);
  };
  return (
    <div ref={place} class={draw ? "overlay drawing" : "overlay"}
      onPointerDown={draw && ((event) => { place.current.setPointerCapture(event.pointerId); set({ from: point(event), to: point(event) }); })}
      onPointerMove={draw && ((event) => drawn && set({ ...drawn, to: point(event) }))} onPointerUp={draw && end}>
      {redaction.boxes.filter((box) => at(box, time)).map((box, n) => <span key={n} class="cover" style={style(box)} />)}
      {drawn && <span class="cover new" style={style(between(drawn.from, drawn.to))} />}
    </div>
  );
}

/** All boxes and spans, each with what a person may do to it. Every drag has fields beside it. */
export function Editor({ redaction, change, video, time, length, go, clip }) {
  const size = () => [video.current?.videoWidth || 640, video.current?.videoHeight || 360];
  const set = (n, part) => change({ ...redaction, boxes: redaction.boxes.map((box, m) => (m === n ? { ...box, ...part } : box)) });
  const add = () => {
    const [width, height] = size();
    const box = { x: Math.round(width / 4), y: Math.round(height / 4), width: Math.round(width / 4), height: Math.round(height / 4) };
    change({ ...redaction, boxes: [...redaction.boxes, { ...box, from_s: time, to_s: Math.min(length, time + 5), kept: true }] });
  };
  const mute = () => change({ ...redaction, mute: [...redaction.mute, [clip.from ?? time, clip.to ?? Math.min(length, time + 5)]] });
  const kept = redaction.boxes.filter((box) => box.kept !== false).length;
  const number = (n, name, label) => {
    const seconds = name.endsWith("_s"), value = seconds ? redaction.boxes[n][name].toFixed(1) : redaction.boxes[n][name];
    const changed = (event) => set(n, { [name]: seconds ? Number(event.currentTarget.value) : Math.round(Number(event.currentTarget.value)) });
    return <label class="inline small">{label} <input key={value} type="number" step={seconds ? "0.1" : "1"} min="0" defaultValue={value} onChange={changed} /></label>;
  };
  return (
    <div>
      <p role="status">{kept} parts of the picture and {redaction.mute.length} spans of sound are covered{kept < redaction.boxes.length ? `; ${redaction.boxes.length - kept} are rejected` : ""}.</p>
      <div class="row">
        <button type="button" onClick={add}>Add a box here</button>
        <button type="button" onClick={mute}>Silence {clip.from === null ? "five seconds from here" : "the clip"}</button>
        <label class="inline">How <select value={redaction.method} onChange={(event) => change({ ...redaction, method: event.currentTarget.value })}><option>pixelate</option><option>blur</option></select></label>
      </div>
      <Coverage redaction={redaction} length={length} go={go} />
      <ol class="boxes">
        {redaction.boxes.map((box, n) => (
          <li key={n} class={at(box, time) ? "now-here" : ""}>
            <label class="inline"><input type="checkbox" checked={box.kept !== false} onChange={(event) => set(n, { kept: event.currentTarget.checked })} /> cover</label>{" "}
            <button type="button" onClick={() => go(box.from_s)}>{box.from_s.toFixed(1)} to {box.to_s.toFixed(1)} s</button>
            <details>
              <summary>Change box {n + 1}</summary>
              <div class="row">{number(n, "from_s", "from")}{number(n, "to_s", "to")}{number(n, "x", "x")}{number(n, "y", "y")}{number(n, "width", "width")}{number(n, "height", "height")}</div>
              <div class="row">
                <button type="button" onClick={() => set(n, { from_s: Math.min(time, box.to_s - 0.1) })}>From here</button>
                <button type="button" onClick={() => set(n, { to_s: Math.max(time, box.from_s + 0.1) })}>To here</button>
                <button type="button" onClick={() => change({ ...redaction, boxes: redaction.boxes.filter((_, m) => m !== n) })}>Remove</button>
              </div>
            </details>
          </li>
        ))}
        {redaction.mute.map(([from, to], n) => (
          <li key={`mute ${n}`}>silence from {from.toFixed(1)} to {to.toFixed(1)} s{" "}
            <button type="button" onClick={() => change({ ...redaction, mute: redaction.mute.filter((_, m) => m !== n) })}>Remove</button></li>
        ))}
      </ol>
    </div>
  );
}

/** Which seconds show nothing that is covered: somebody must look at those. */
function Coverage({ redaction, length, go }) {
  const bare = [];
  let since = null;
  for (let second = 0; second < length; second++) {
    const covered = redaction.boxes.some((box) => box.kept !== false && box.from_s < second + 1 && second < box.to_s);
    if (!covered && since === null) since = second;
    if (covered && since !== null) {
      bare.push([since, second]);
      since = null;
    }
  }
  if (since !== null) bare.push([since, Math.ceil(length)]);
  if (!bare.length) return <p class="soft">Every second has something that is covered.</p>;
  return <p class="soft">Nothing is covered in {bare.slice(0, 12).map(([from, to]) => <button type="button" key={from} onClick={() => go(from)}>{from} to {to} s</button>)}{bare.length > 12 ? ` and ${bare.length - 12} more spans` : ""}: look at them.</p>;
}
