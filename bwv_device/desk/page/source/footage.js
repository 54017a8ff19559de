// A recording's sealed segments: fetched, opened, and held against what the camera signed. A segment
// is remembered as long as it is near what is watched, so that four hours need no more than two
// minutes of memory.

import { Fail, join } from "../../../verification/page/source/bytes.js";
import { CameraLines } from "../../../verification/page/source/camera_lines.js";
import { digestOfBytes } from "../../../verification/page/source/digests.js";
import { bytes, stream } from "./api.js";
import { roots } from "./agency.js";
import { SegmentReader } from "./fragments.js";
import { opened } from "./sealed_stream.js";

const KEPT = 2;

/** The camera's lines, read and verified, as segments on one clock. */
export async function readCamera(recording) {
  const data = await bytes("camera-lines", { id: recording });
  const [device, name] = recording.split("/");
  const camera = await CameraLines.read(data, name, roots);
  if (camera.device !== device) throw new Fail("the camera's lines are of another camera");
  return camera;
}

export class Footage {
  constructor(recording, camera, files) {
    [this.device] = recording.split("/");
    this.camera = camera;
    this.there = new Set(files.filter((file) => file.status === "received").map((file) => file.segment));
    const named = camera.segments().filter(([, file]) => file.began !== null);
    const first = named.length ? named.reduce((least, [, file]) => (file.began < least ? file.began : least), named[0][1].began) : 0n;
    this.segments = named.map(([segment, file], nth) => ({
      segment, file, nth, offsetNs: file.began - first,
      from: Number(file.began - first) / 1e9,
      to: file.until === null ? null : Number(file.until - first) / 1e9,
      state: this.there.has(segment) ? "waiting" : "missing", why: "",
      fragments: [], beginning: null, loading: null, whole: false,
    }));
    this.stills = [...camera.files].filter(([name, file]) => name.includes(".jpg.") && file.end === "still" && this.there.has(name))
      .map(([name, file]) => ({ name, file, at: Number(file.until - first) / 1e9 }));
    this.keys = new Map();
    this.early = new Map();
    this.heard = () => {};
    this.recent = [];
  }

  get length() {
    return Math.max(0, ...this.segments.map(({ to, fragments, from }) => to ?? fragments.at(-1)?.to ?? from));
  }

  at(time) {
    return this.segments.findLast((segment) => segment.from <= time + 1e-6) ?? this.segments[0];
  }

  /** Opens a segment once; `heard` is called whenever a fragment came, or it is judged. */
  load(segment) {
    if (segment.state === "missing" || segment.state === "false") return Promise.resolve();
    if (segment.loading) return segment.loading;
    segment.loading = this.read(segment).catch((error) => {
      if (error instanceof Fail) {
        segment.state = "false";
        segment.why = error.message;
      } else {
        segment.loading = null;
        segment.why = error.message;
        segment.state = "waiting";
        this.heard(segment, error);
        return;
      }
      segment.fragments = [];
      this.heard(segment);
    });
    this.recent = [...this.recent.filter((one) => one !== segment), segment];
    while (this.recent.length > KEPT) this.forget(this.recent.shift());
    return segment.loading;
  }

  /** Its bytes go; what was found of it stays. */
  forget(segment) {
    if (!segment.whole) return;
    segment.fragments = [];
    segment.loading = null;
    segment.whole = false;
  }

  sealed(segment) {
    return stream(`sealed/${this.device}/${segment.segment}`);
  }

  /** The first segment's sealed bytes are on their way while the key is asked for. */
  begin() {
    const first = this.segments.find(({ state }) => state === "waiting");
    if (!first || this.early.has(first)) return;
    const coming = this.sealed(first);
    coming.catch(() => {}); // it is asked for again, and told then
    this.early.set(first, coming);
  }

  async read(segment) {
    const { file } = segment, key = this.keys.get(segment.segment);
    if (!key) throw new Fail("no key was granted for it");
    const sealed = [], plain = [];
    const source = await (this.early.get(segment) ?? this.sealed(segment));
    this.early.delete(segment);
    const reader = new SegmentReader(segment.offsetNs);
    segment.fragments = [];
    const judged = segment.state === "genuine";
    for await (const part of opened(source, file.head, key, (block) => judged || sealed.push(block))) {
      if (!judged) plain.push(part);
      for (const fragment of reader.push(part)) {
        segment.beginning = reader.beginning;
        segment.fragments.push(fragment);
      }
      this.heard(segment);
    }
    if (!judged) await this.judge(segment, sealed, plain);
    segment.whole = true;
    this.heard(segment);
  }

  /** What the camera signed: the sealed file's digest, and that of what is inside. */
  async judge(segment, sealed, plain) {
    const { file } = segment;
    if (!file.end) throw new Fail("the camera never finished it");
    const digest = await digestOfBytes(join(...sealed));
    if (digest !== file.sha256) throw new Fail("it is not the file that the camera signed");
    if (file.plaintext && (await digestOfBytes(join(...plain))) !== file.plaintext) {
      throw new Fail("what is inside is not what the camera signed");
    }
    segment.state = "genuine";
  }

  /** A picture that was taken, opened and held against what the camera signed: a blob. */
  async still({ name, file }) {
    const key = this.keys.get(name), sealed = [], plain = [];
    if (!key) throw new Fail("no key was granted for it");
    for await (const part of opened(await stream(`sealed/${this.device}/${name}`), file.head, key, (block) => sealed.push(block))) plain.push(part);
    if ((await digestOfBytes(join(...sealed))) !== file.sha256) throw new Fail("it is not the file that the camera signed");
    return new Blob([join(...plain)], { type: "image/jpeg" });
  }

  /** Judges what was not watched yet, one after another. */
  async checkAll() {
    for (const segment of this.segments) {
      if (segment.state === "waiting") {
        await this.load(segment);
        this.forget(segment);
      }
    }
  }
}

