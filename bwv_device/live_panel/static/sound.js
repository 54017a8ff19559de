// The beeper, to be heard: only after a click, as browsers and people want it, and never faster
// than real time can be listened to.
const BEEP_HZ = 2700;
const LOUDNESS = 0.12;
const RAMP_S = 0.004;

export class Sound {
  constructor(button) {
    this.button = button;
    this.wanted = true;
    this.fast = false;
    button.addEventListener("click", () => this.toggle());
    addEventListener("pointerdown", () => this.wake(), { once: true });
    addEventListener("keydown", () => this.wake(), { once: true });
  }

  wake() {
    if (this.context || !this.wanted) return;
    this.context = new AudioContext();
    this.gain = new GainNode(this.context, { gain: 0 });
    const tone = new OscillatorNode(this.context, { type: "square", frequency: BEEP_HZ });
    tone.connect(this.gain).connect(this.context.destination);
    tone.start();
    this.show();
  }

  toggle() {
    if (!this.context) { // the first click already woke it
      this.wanted = true;
      this.wake();
    } else {
      this.wanted = !this.wanted;
    }
    this.show();
    this.beep(false);
  }

  beep(on) {
    if (!this.context) return;
    const loud = on && this.wanted && !this.fast;
    this.gain.gain.setTargetAtTime(loud ? LOUDNESS : 0, this.context.currentTime, RAMP_S);
  }

  show() {
    const on = Boolean(this.context) && this.wanted;
    this.button.setAttribute("aria-pressed", on);
    this.button.textContent = on ? "Sound is on" : "Turn sound on";
  }
}
