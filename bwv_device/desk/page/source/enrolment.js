// Makes a person's two keys, asks for their certificates, and takes those in (docs/format.md, 12.1).

import { Fail, ascii, hex, same, utf8 } from "../../../verification/page/source/bytes.js";
import { encode } from "../../../verification/page/source/canonical_json.js";
import { chainOf, pemBytes, roleOf } from "../../../verification/page/source/certificates.js";
import { digestOf } from "../../../verification/page/source/statements.js";
import { api, root, roots } from "./agency.js";
import { get, post } from "./api.js";
import { all, find, keep, put, remove } from "./key_store.js";
import { nowNs, signedText } from "./signing.js";

const P256 = { name: "ECDSA", namedCurve: "P-256" };
const raw = async (key) => new Uint8Array(await crypto.subtle.exportKey("raw", key));

/** A request, its fingerprint, and whether the browser promises to keep the keys. */
export async function begin() {
  const signing = await crypto.subtle.generateKey(P256, false, ["sign", "verify"]);
  const viewing = await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
  const json = encode({
    purpose: "bwv enrolment request v1",
    signing_key: hex(await raw(signing.publicKey)),
    viewing_key: hex(await raw(viewing.publicKey)),
    utc_ns: nowNs(),
  });
  const text = await signedText(signing.privateKey, json);
  const digest = digestOf(ascii(text));
  await put("pending", {
    id: digest, text: `${text}\n`, signing: signing.privateKey, viewing: viewing.privateKey,
    point: await raw(signing.publicKey), public: await raw(viewing.publicKey),
  });
  return { text: `${text}\n`, fingerprint: grouped(digest), kept: await keep() };
}

const grouped = (digest) => digest.slice(0, 20).replace(/(.{4})(?=.)/g, "$1 ");

export async function pending() {
  return (await all("pending")).map(({ id, text }) => ({ id, text, fingerprint: grouped(id) }));
}

/** The certificates that the roles CA's holder gave back; the keys that they are for are here. */
export async function take(pem) {
  const chain = chainOf(utf8(pem.replaceAll("\r\n", "\n"))), [mine, viewing] = [chain.slice(0, 2), chain.slice(2)];
  const role = await roleOf(mine, roots);
  if (chain.length !== 4 || !role) throw new Fail("these are not certificates of this agency's roles CA");
  const request = (await all("pending")).find(({ point }) => same(point, mine[0].key.point));
  const known = await find("keys", mine[0].fingerprint);
  if (!request && !known) throw new Fail("these certificates are for keys that another browser made");
  if (request) {
    const identity = {
      fingerprint: mine[0].fingerprint, name: mine[0].the("name"), role, person: mine[0].the("person") || mine[0].the("name"),
      chain: text(mine), viewingChain: text(viewing), until: mine[0].until,
      signing: request.signing, viewing: request.viewing,
    };
    await put("keys", identity);
    await remove("pending", request.id);
    return identity;
  }
  return known;
}

const text = (chain) => String.fromCharCode(...pemBytes(chain));

export const identities = () => all("keys");

export const forget = (fingerprint) => remove("keys", fingerprint);

/** Signs in with the certified key: enough to register a passkey. */
export async function signInByKey(identity) {
  const { challenge } = await get("sign-in/key");
  if (!/^[0-9a-f]{64}$/.test(challenge)) throw new Fail("the desk gives no challenge");
  const json = encode({ purpose: "bwv sign in v1", by: identity.fingerprint, challenge, origin: location.origin });
  const signed = await signedText(identity.signing, json);
  await post("sign-in/key", { certificates: identity.chain + identity.viewingChain, signed });
}

export const agencyFingerprint = () => root.fingerprint;
export const deskAddress = () => api;
