// Passkeys (WebAuthn): who reads. They sign nothing of custody's.

import { get, post } from "./api.js";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

export async function register(label) {
  const options = await get("passkeys");
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: (options.excludeCredentials ?? []).map((one) => ({ ...one, id: bytes(one.id) })),
    },
  });
  await post("passkeys", {
    label, id: made.id, rawId: base64url(made.rawId), type: made.type,
    response: {
      clientDataJSON: base64url(made.response.clientDataJSON),
      attestationObject: base64url(made.response.attestationObject),
    },
  });
}

export async function signIn() {
  const options = await get("sign-in/passkey");
  const given = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: (options.allowCredentials ?? []).map((one) => ({ ...one, id: bytes(one.id) })),
    },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = given.response;
  await post("sign-in/passkey", {
    id: given.id, rawId: base64url(given.rawId), type: given.type,
    response: {
      clientDataJSON: base64url(clientDataJSON), authenticatorData: base64url(authenticatorData),
      signature: base64url(signature), userHandle: userHandle ? base64url(userHandle) : null,
    },
  });
}
