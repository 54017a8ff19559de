// Plays a recording whose segments come one by one, on one timeline, by Media Source Extensions.

const AHEAD_S = 20, BEHIND_S = 30, STEP_TRIES = 40;
const inside = (ranges, time) => {
  for (let n = 0; n < ranges.length; n++) if (ranges.start(n) <= time + 1e-3 && time < ranges.end(n) - 1e-3) return true;
  return false;
};

/** One track of the film. What is appended goes in order, one at a time. */
class Track {
  constructor(source, kind) {
    this.kind = kind;
    this.buffer = source.addSourceBuffer(kind);
    this.waiting = [];
    this.init = null;
    this.busy = false;
    this.failed = null;
    this.buffer.addEventListener("updateend", () => this.next());
    this.buffer.addEventListener("error", () => { this.failed = "the browser can't decode it"; });
  }

  add(task) {
    this.waiting.push(task);
    if (!this.busy) this.next();
  }

  next() {
    this.busy = false;
    const task = this.waiting.shift();
    if (!task) return;
    this.busy = true;
    try {
      if (task.data) this.buffer.appendBuffer(task.data);
      else if (this.buffer.buffered.length) this.buffer.remove(task.from, task.to);
      else this.next();
    } catch (error) {
      if (error.name !== "QuotaExceededError") this.failed = error.message;
      this.next();
    }
  }
}

export class Player {
  /** `shown` hears the time of each picture that is shown. */
  constructor(video, footage, shown) {
    this.video = video;
    this.footage = footage;
    this.source = new MediaSource();
    this.tracks = null;
    this.appended = new Set();
    this.init = null;
    this.ended = false;
    this.address = URL.createObjectURL(this.source);
    video.src = this.address;
    this.ready = new Promise((resolve) => this.source.addEventListener("sourceopen", resolve, { once: true }));
    footage.heard = (segment, error) => this.heard(segment, error);
    this.complain = () => {};
    this.changed = () => {};
    video.addEventListener("timeupdate", () => this.feed());
    video.addEventListener("seeking", () => this.feed());
    video.addEventListener("waiting", () => this.feed());
    const each = (now, data) => {
      shown(data.mediaTime);
      if (!this.ended) video.requestVideoFrameCallback(each);
    };
    video.requestVideoFrameCallback(each);
  }

  async start() {
    await this.ready;
    URL.revokeObjectURL(this.address);
    this.source.duration = Math.max(0.1, this.footage.length);
    await this.feed();
  }

  heard(segment, error) {
    if (error) this.complain(error);
    this.append();
    this.changed(segment);
  }

  /** Loads what is watched now and next, and gives the browser what it needs of it. */
  async feed() {
    if (this.ended || !this.footage.segments.length) return;
    const now = this.video.currentTime, here = this.footage.at(now);
    this.append();
    await this.footage.load(here);
    const next = this.footage.segments[here.nth + 1];
    const left = (here.to ?? now) - now;
    if (next && left < AHEAD_S) this.footage.load(next);
    this.append();
    this.trim(now);
  }

  append() {
    if (this.ended || this.source.readyState === "closed") return;
    const now = this.video.currentTime;
    for (const segment of this.footage.segments) {
      if (segment.state === "false") continue;
      for (const fragment of segment.fragments) {
        if (fragment.from === null || fragment.to < now - 2 || fragment.from > now + AHEAD_S) continue;
        const name = `${segment.segment} ${fragment.from}`;
        if (this.appended.has(name)) continue;
        this.open(segment);
        this.appended.add(name);
        this.tracks.video.add({ data: fragment.video() });
        if (fragment.audio && this.tracks.audio) this.tracks.audio.add({ data: fragment.audio() });
      }
    }
  }

  open(segment) {
    const { beginning } = segment;
    if (!this.tracks) {
      this.tracks = { video: new Track(this.source, `video/mp4; codecs="${beginning.video.codec}"`), audio: null };
      if (beginning.audio) this.tracks.audio = new Track(this.source, `audio/mp4; codecs="${beginning.audio.codec}"`);
    }
    if (this.init === segment.segment) return;
    this.init = segment.segment;
    this.tracks.video.add({ data: beginning.init(beginning.video) });
    if (beginning.audio && this.tracks.audio) this.tracks.audio.add({ data: beginning.init(beginning.audio) });
  }

  /** What lies far from here goes, so that memory does not grow with the film. */
  trim(now) {
    for (const name of this.appended) {
      const from = Number(name.split(" ")[1]);
      if (from < now - BEHIND_S || from > now + AHEAD_S + BEHIND_S) this.appended.delete(name);
    }
    for (const track of this.tracks ? [this.tracks.video, this.tracks.audio] : []) {
      if (!track) continue;
      const ranges = track.buffer.buffered;
      if (!ranges.length) continue;
      if (ranges.start(0) < now - BEHIND_S - 5) track.add({ from: 0, to: now - BEHIND_S });
      if (ranges.end(ranges.length - 1) > now + AHEAD_S + BEHIND_S + 5) track.add({ from: now + AHEAD_S + BEHIND_S, to: Infinity });
    }
  }

  /** The picture that is shown at a time. */
  picture(time) {
    const { fragments } = this.footage.at(time);
    for (const { from, to, pictures } of fragments) {
      if (from === null || time < from - 1e-6 || time >= to - 1e-6) continue;
      const nth = pictures.findLastIndex((one) => one.from <= time + 1e-6);
      if (nth >= 0) return pictures[nth];
    }
    return null;
  }

  async seek(time) {
    const to = Math.min(Math.max(0, time), Math.max(0, this.footage.length - 1e-3));
    this.video.currentTime = to;
    await this.feed();
  }

  /** One picture on, or back, exactly. */
  async step(by) {
    this.video.pause();
    const now = this.video.currentTime, here = this.picture(now);
    if (!here) return;
    // The middle of the next picture, as far away as it may be.
    let target = by > 0 ? here.to + 1e-4 : here.from - 1e-4;
    for (let n = 0; n < STEP_TRIES; n++) {
      const segment = this.footage.at(target);
      await this.footage.load(segment);
      const there = this.picture(target);
      if (there) {
        await this.seek((there.from + there.to) / 2);
        return;
      }
      target += by * 0.05;
      if (target < 0 || target > this.footage.length) return;
    }
  }

  canPlay(time) {
    return inside(this.video.buffered, time);
  }

  end() {
    this.ended = true;
    this.footage.heard = () => {};
    this.video.removeAttribute("src");
    this.video.load();
  }
}
