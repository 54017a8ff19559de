// A provider of accounts (npm oidc-provider), on loopback: node open_id_provider.mjs MODULES PORT REDIRECT.
// Whoever signs in is who they say: the name is the account.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, port, redirect] = process.argv.slice(2);
const entry = createRequire(join(modules, "x.js")).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(entry).href);
const issuer = `http://localhost:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: "desk", client_secret: "a secret of the test", redirect_uris: [redirect], grant_types: ["authorization_code"], response_types: ["code"] }],
  cookies: { keys: ["a key of the test"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log(`provider on ${issuer}`));
