// node dump_vectors.mjs FOLDER: the C2SP test vectors of the npm package cctv-age, a file each.
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const tools = createRequire(process.env.BWV_TOOLS + "/");
const vectors = await import(pathToFileURL(tools.resolve("cctv-age")));
mkdirSync(folder, { recursive: true });
for (const [name, bytes] of Object.entries(vectors)) {
  if (bytes instanceof Uint8Array) writeFileSync(join(folder, name), bytes);
}
