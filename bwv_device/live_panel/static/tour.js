// Six steps for a newcomer: what to press, and what to look at. A step is ticked off by what the
// camera does, not by a click.
const STEPS = [
  {
    title: "1 of 6: before anybody presses",
    text: "The camera sees, and keeps the last half minute in memory only. Nothing is stored yet. "
      + "Watch the pre-event buffer fill.",
    look: "fact-pre-event",
    done: ({ status }) => status.state === "ready" && status.pre_event_s > 2,
  },
  {
    title: "2 of 6: press Record twice",
    text: "Click the red button twice, as quickly as a double click (or press R twice). One press "
      + "alone does nothing.",
    look: "record",
    done: ({ status }) => status.state === "recording",
  },
  {
    title: "3 of 6: what the light promises",
    text: "The red light flashes only while footage reaches the card. There it is encrypted, and a "
      + "signed line of the ledger confirms it: a power cut can't take it any more.",
    look: "fact-durable",
    done: ({ status }) => status.durable_bytes > 0,
  },
  {
    title: "4 of 6: mark a moment",
    text: "Press Marker once (or M). Within the first minute it says that those present were told; "
      + "later it marks a moment. Look for the line in the ledger.",
    look: "marker",
    done: ({ lines }) => lines.has("marker"),
  },
  {
    title: "5 of 6: hold Record to stop",
    text: "Hold the red button (or R) for three seconds, until the recording stops. A short press "
      + "does not stop it.",
    look: "record",
    done: ({ lines, status }) => lines.has("close") && status.state !== "recording",
  },
  {
    title: "6 of 6: look at it",
    text: "Play the film, and press “Verify now”: it needs public keys only. Then test it: record "
      + "again, cut the power, boot, and verify.",
    look: "verify",
    done: ({ verified }) => verified,
  },
];

export class Tour {
  constructor(facts) {
    this.facts = facts;
    this.box = document.getElementById("tour");
    document.getElementById("tour-start")?.addEventListener("click", () => this.start());
    document.getElementById("tour-next").addEventListener("click", () => this.go(this.at + 1));
    document.getElementById("tour-end").addEventListener("click", () => this.end());
    this.box.addEventListener("keydown", (event) => event.key === "Escape" && this.end());
  }

  start() {
    this.facts.lines.clear();
    this.facts.verified = false;
    this.box.hidden = false;
    this.go(0);
  }

  go(at) {
    this.point(null);
    if (at >= STEPS.length) return this.end();
    this.at = at;
    this.ticked = false;
    const step = STEPS[at];
    document.getElementById("tour-title").textContent = step.title;
    document.getElementById("tour-text").textContent = step.text;
    document.getElementById("tour-done").textContent = "";
    document.getElementById("tour-next").textContent =
      at === STEPS.length - 1 ? "Finish" : "Next";
    this.point(step.look);
    if (at === 0) document.getElementById("tour-title").focus({ preventScroll: true });
    this.look();
  }

  look() { // after each message of the camera
    if (this.box.hidden || this.ticked || !this.facts.status) return;
    if (!STEPS[this.at].done(this.facts)) return;
    this.ticked = true;
    document.getElementById("tour-done").textContent = "✓ Done. Go on when you like.";
  }

  point(id) {
    document.querySelector(".toured")?.classList.remove("toured");
    const target = id && document.getElementById(id);
    target?.classList.add("toured");
    target?.scrollIntoView({ block: "nearest" });
  }

  end() {
    this.point(null);
    this.box.hidden = true;
    document.getElementById("tour-start")?.focus();
  }
}
