// Live pictures: the camera's own H.264, decoded by the browser (WebCodecs), painted at their times.
// Browsers without WebCodecs get a still a second.
const HEAD_BYTES = 17;
const START_CODE = 1;
const SPS = 7;
const AHEAD_MS = 350; // the camera hands pictures over in batches
const AT_MOST = 60; // pictures that wait: a hidden tab paints none
const LOST_MS = 1500;
const STILL_MS = 1000;

export class Picture {
  constructor(canvas, still, cover) {
    Object.assign(this, { canvas, still, cover });
    this.context = canvas.getContext("2d");
    this.waiting = [];
    this.rate = 1;
    this.painted = 0;
    this.newest = -Infinity;
    if (!("VideoDecoder" in window)) {
      canvas.hidden = true;
      still.hidden = false;
      setInterval(() => this.poll(), STILL_MS);
    }
  }

  take(buffer) {
    this.newest = performance.now();
    if (!("VideoDecoder" in window)) return;
    const view = new DataView(buffer);
    const keyframe = view.getUint8(0) === 1;
    const timestamp = Number(view.getBigInt64(1) / 1000n);
    const duration = Number(view.getBigInt64(9) / 1000n);
    const data = new Uint8Array(buffer, HEAD_BYTES);
    const codec = toAnnexB(data);
    if (keyframe && codec && (!this.decoder || this.decoder.state === "closed" || codec !== this.codec))
      this.configure(codec);
    if (document.hidden) this.broken = true; // from the next keyframe on, when somebody looks
    if (!this.decoder || this.decoder.state !== "configured" || (this.broken && !keyframe)) return;
    this.broken = false;
    try {
      this.decoder.decode(new EncodedVideoChunk(
        { type: keyframe ? "key" : "delta", timestamp, duration, data }));
    } catch {
      this.broken = true;
    }
  }

  configure(codec) {
    this.codec = codec;
    this.decoder = new VideoDecoder({
      output: (frame) => {
        this.waiting.push(frame);
        while (this.waiting.length > AT_MOST) this.waiting.shift().close();
        this.paintSoon();
      },
      error: () => (this.broken = true),
    });
    this.decoder.configure({ codec, optimizeForLatency: true });
  }

  // When a picture is due: at the camera's pace, a little behind it.
  due(frame, now) {
    const at = frame.timestamp / 1000 / this.rate;
    const late = now - at;
    if (this.offset === undefined || Math.abs(this.offset - late) > LOST_MS)
      this.offset = late + AHEAD_MS / this.rate;
    return at + this.offset;
  }

  paintSoon() { // a page without pictures does not wake the computer
    this.asked ??= requestAnimationFrame(() => this.paint());
  }

  paint() {
    this.asked = undefined;
    const now = performance.now();
    let frame;
    while (this.waiting.length && this.due(this.waiting[0], now) <= now) {
      frame?.close();
      frame = this.waiting.shift();
    }
    if (frame) {
      this.canvas.width = frame.displayWidth;
      this.canvas.height = frame.displayHeight;
      this.context.drawImage(frame, 0, 0);
      frame.close();
      this.painted++;
      this.cover.hidden = true;
    }
    if (this.waiting.length) this.paintSoon();
  }

  say(text) { // over the picture; "" shows it again
    this.cover.textContent = text;
    this.cover.hidden = text === "";
  }

  forget() { // another boot counts time anew
    this.offset = undefined;
  }

  poll() {
    if (performance.now() - this.newest > LOST_MS) return;
    this.still.src = `picture.jpg?${Date.now()}`;
    this.cover.hidden = true;
  }
}

// Lengths in four bytes become start codes, in place. Returns the codec's name where there is an SPS.
function toAnnexB(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let codec = "";
  for (let at = 0; at + 4 < data.length;) {
    const length = view.getUint32(at);
    if ((data[at + 4] & 31) === SPS) {
      const hex = [...data.subarray(at + 5, at + 8)].map((b) => b.toString(16).padStart(2, "0"));
      codec = `avc1.${hex.join("")}`;
    }
    view.setUint32(at, START_CODE);
    at += 4 + length;
  }
  return codec;
}
