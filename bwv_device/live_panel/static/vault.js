// The camera's storage: the verdict in words, films to play, files with their verdicts.
const by = (id) => document.getElementById(id);
const STATUS = { "unattested tail": "open: its end is not signed yet", bad: "damaged or changed",
  "of a branch": "from another branch of the ledger" };
const size = new Intl.NumberFormat("en");

export class Vault {
  constructor(facts) {
    this.facts = facts;
    this.films = new Map(); // by what the message says of one
  }

  show(message) {
    const verdict = by("verdict");
    verdict.dataset.conclusion = message.conclusion;
    verdict.textContent = this.words(message);
    if (this.facts.asked && message.conclusion) this.facts.verified = true;
    by("problems").replaceChildren(
      ...(message.problems ?? []).map((text) => item("li", text, "problem")),
      ...(this.runs() ? [] : message.remarks ?? []).map((text) => item("li", text)));
    by("files").replaceChildren(...message.files.map((file) => {
      const row = document.createElement("tr");
      row.append(item("td", file.name), item("td", STATUS[file.status] ?? file.status),
        item("td", size.format(file.bytes), "n"), item("td", file.detail));
      return row;
    }));
    this.showFilms(message.films);
  }

  showFilms(films) {
    const shown = new Map(films.map((told) => [JSON.stringify(told), told]));
    for (const [key, place] of this.films) {
      if (shown.has(key)) continue;
      place.remove();
      this.films.delete(key);
    }
    for (const [key, told] of shown) {
      if (this.films.has(key)) continue; // a film that plays is not put anew
      if (!this.films.size) by("films").replaceChildren();
      const place = film(told);
      this.films.set(key, place);
      const older = [...by("films").children].find((c) => c.dataset.recording < told.recording);
      by("films").insertBefore(place, older ?? null);
    }
  }

  runs() {
    return this.facts.status && this.facts.status.state !== "off";
  }

  words({ conclusion, sentence }) {
    if (!conclusion) return "The storage is empty.";
    if (conclusion === "not_closed" && this.runs())
      return "Nothing was changed, removed or added. The camera is on: its ledger is still open.";
    return sentence;
  }
}

function item(tag, text, name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = name;
  return element;
}

function film({ recording, files, duration_ms: ms, pictures, stills, statuses }) {
  const place = item("li", "");
  place.dataset.recording = recording;
  for (const file of files) {
    const video = document.createElement("video");
    Object.assign(video, { controls: true, preload: "metadata", src: `films/${file}` });
    video.setAttribute("aria-label", `Recording ${recording}`);
    place.append(video);
  }
  place.append(item("p", `${recording}: ${(ms / 1000).toFixed(1)} s, ${pictures} pictures, `
    + statuses.join(" and ")));
  const row = item("div", "", "stills");
  for (const still of stills) {
    const picture = new Image();
    Object.assign(picture, { src: `films/${still}`, alt: `Snapshot of ${recording}` });
    row.append(picture);
  }
  place.append(row);
  return place;
}
