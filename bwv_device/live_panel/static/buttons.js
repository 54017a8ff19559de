// Real presses: down and up are what the finger, the mouse or the key does.
// Whatever takes the finger away (another window, a lost pointer) lets the button go.
const KEYS = { r: "record", m: "marker" };
const NEEDED = { record: "stop_hold_ms", marker: "flag_hold_ms" };

export class Buttons {
  constructor(send, words, limits) {
    Object.assign(this, { send, words, limits });
    this.hint = words.textContent;
    this.down = new Map(); // name -> when it went down
    this.latch = document.getElementById("latch");
    for (const name of ["record", "marker"]) this.listen(name);
    addEventListener("keydown", (event) => this.key(event, true));
    addEventListener("keyup", (event) => this.key(event, false));
    addEventListener("blur", () => this.letGo());
    document.addEventListener("visibilitychange", () => document.hidden && this.letGo());
  }

  listen(name) {
    const button = document.getElementById(name);
    if (!button || button.disabled) return;
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      button.setPointerCapture(event.pointerId);
      this.press(name);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      button.addEventListener(end, () => this.release(name));
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("keydown", (event) => {
      if (![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      if (!event.repeat) this.press(name);
    });
    button.addEventListener("keyup", (event) => {
      if ([" ", "Enter"].includes(event.key)) this.release(name);
    });
  }

  key(event, pressed) {
    const name = KEYS[event.key.toLowerCase()];
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (!name || event.repeat || (pressed && (typing || event.ctrlKey || event.metaKey))) return;
    if (document.getElementById(name)?.disabled) return;
    pressed ? this.press(name) : this.release(name);
  }

  press(name) {
    if (this.down.has(name)) {
      if (this.latch?.checked) this.up(name);
      return;
    }
    this.down.set(name, performance.now());
    this.show(name, true);
    this.send({ act: "button", button: name, pressed: true });
    this.count();
  }

  release(name) {
    if (!this.latch?.checked) this.up(name);
  }

  up(name) {
    if (!this.down.delete(name)) return;
    this.show(name, false);
    this.send({ act: "button", button: name, pressed: false });
  }

  letGo() {
    for (const name of [...this.down.keys()]) this.up(name);
  }

  forget() { // the camera's process lets go of what a lost browser held
    for (const name of this.down.keys()) this.show(name, false);
    this.down.clear();
  }

  show(name, down) {
    document.getElementById(name).dataset.down = down;
  }

  count() { // how long it has been held, while it is
    if (!this.down.size) {
      this.words.textContent = this.hint;
      return;
    }
    this.words.textContent = [...this.down]
      .map(([name, since]) => {
        const held = ((performance.now() - since) / 1000).toFixed(1);
        const needed = this.limits[NEEDED[name]] / 1000;
        return name === "record" ? `Record is held for ${held} s (a recording stops at ${needed} s)`
          : `Marker is held for ${held} s (flags the recording at ${needed} s)`;
      }).join("; ");
    requestAnimationFrame(() => this.count());
  }
}
