// build-desk-page.mjs NODE_MODULES SOURCE OUT
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, source, out] = process.argv.slice(2);
const { buildSync } = createRequire(join(modules, "x.js"))("esbuild");
const built = buildSync({
  entryPoints: [join(source, "main.jsx")],
  absWorkingDir: source,
  nodePaths: [modules],
  bundle: true,
  format: "iife",
  target: "es2022",
  charset: "ascii",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "inline",
  write: false,
});
const write = (name, text) => {
  writeFileSync(join(out, `${name}.new`), text);
  renameSync(join(out, `${name}.new`), join(out, name));
};
write("desk.js", built.outputFiles[0].text);
write("desk.css", readFileSync(join(source, "page.css"), "utf8"));
