// Lights, beeper and vibration, as the pins are driven. `data-level` is the level itself.
//
// What is painted may be calmer: flashing faster than three times a second can harm people with
// photosensitive epilepsy (WCAG 2.2, 2.3.1), and some ask for no motion at all. Then a light that
// flashes is painted as a steady, hatched lamp, and its words say that it flashes.
const FLASHES_PER_S = 3;
const CALM_AFTER_MS = 1600;
const LEVELS = { off: "dark", on: "on", red: "red", green: "green", amber: "amber" };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Lights {
  constructor(sound) {
    this.sound = sound;
    this.changes = {}; // output -> times of its newest changes
  }

  take({ output, level, pattern }) {
    const id = output.replace(" ", "-");
    const words = document.getElementById(`${id}-words`);
    if (output === "beeper") {
      document.getElementById("beeper").dataset.level = level;
      words.textContent = level === "on" ? `sounds: ${pattern}` : "silent";
      this.sound.beep(level === "on");
    } else if (output === "vibration") {
      document.getElementById("body").classList.toggle("vibrates", level === "on");
      words.textContent = level === "on" ? `vibrates: ${pattern}` : "still";
    } else {
      this.light(document.getElementById(id), output, level);
      const shown = this.flashes(output) ? "flashes" : LEVELS[level];
      const text = pattern === "dark" ? "dark" : `${shown} (${pattern})`;
      if (words.textContent !== text) words.textContent = text;
    }
  }

  light(lamp, output, level) {
    if (lamp.dataset.level === level && lamp.dataset.shown) return;
    lamp.dataset.level = level;
    const now = performance.now();
    const times = (this.changes[output] ??= []);
    times.push(now);
    while (times.length > 12) times.shift();
    lamp.dataset.shown = this.tooFast(output, now) ? "flashing" : level;
    clearTimeout(lamp.settle);
    lamp.settle = setTimeout(() => (lamp.dataset.shown = lamp.dataset.level), CALM_AFTER_MS);
  }

  flashes(output) {
    const times = this.changes[output] ?? [];
    return times.length > 2 && performance.now() - times.at(-3) < CALM_AFTER_MS;
  }

  tooFast(output, now) {
    const times = this.changes[output];
    if (calm.matches) return this.flashes(output);
    const limit = 2 * FLASHES_PER_S; // a flash is two changes
    return times.length > limit && now - times.at(-1 - limit) < 1000;
  }
}
