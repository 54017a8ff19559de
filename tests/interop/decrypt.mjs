// node decrypt.mjs IDENTITY SEALED OUT: opens a sealed file with the npm package age-encryption.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [identity, sealed, out] = process.argv.slice(2);
const tools = createRequire(process.env.BWV_TOOLS + "/");
const { Decrypter } = await import(pathToFileURL(tools.resolve("age-encryption")));
const decrypter = new Decrypter();
const line = readFileSync(identity, "utf8").split("\n").find((l) => l.startsWith("AGE-SECRET-KEY"));
decrypter.addIdentity(line.trim());
writeFileSync(out, await decrypter.decrypt(readFileSync(sealed)));
