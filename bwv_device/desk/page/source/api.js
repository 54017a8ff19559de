// Asks the desk. What it answers is data, never proof: see verdict.js, acts.js and ledger.js.

import { encode } from "../../../verification/page/source/canonical_json.js";
import { api } from "./agency.js";

/** A sentence from the desk, and its status. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

const address = (path, parameters = {}) => {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `${api}/api/${path}${query ? `?${query}` : ""}`;
};

async function ask(url, options) {
  try {
    return await fetch(url, { credentials: "include", cache: "no-store", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The desk does not answer. Look at the network, and try again.");
  }
}

async function refused(answer) {
  const sentence = (await answer.text().catch(() => "")).trim();
  return new Refused(answer.status, sentence || `The desk answered ${answer.status}.`);
}

export async function get(path, parameters) {
  const answer = await ask(address(path, parameters));
  if (!answer.ok) throw await refused(answer);
  return answer.json();
}

/** Whatever comes back: a draft has the status 202. */
export async function send(path, body) {
  const answer = await ask(address(path), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: encode(body), // JavaScript's own numbers would lose nanoseconds
  });
  if (!answer.ok) throw await refused(answer);
  return { status: answer.status, said: await answer.json() };
}

export const post = async (path, body) => (await send(path, body)).said;

/** Bytes as they come. */
export async function stream(path, parameters, signal) {
  const answer = await ask(address(path, parameters), { signal });
  if (!answer.ok) throw await refused(answer);
  return answer.body.getReader();
}

export async function bytes(path, parameters) {
  const answer = await ask(address(path, parameters));
  if (!answer.ok) throw await refused(answer);
  return new Uint8Array(await answer.arrayBuffer());
}
