// build-verify-page.mjs NODE_MODULES SOURCE OUT: styles and scripts go into one file, and a policy
// that allows these scripts alone, and no network.
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, source, out] = process.argv.slice(2);
const { buildSync } = createRequire(join(modules, "x.js"))("esbuild");
const built = buildSync({
  entryPoints: [join(source, "page.js")],
  absWorkingDir: source,
  nodePaths: [modules],
  bundle: true,
  format: "iife",
  globalName: "bwv",
  target: "es2022",
  charset: "ascii",
  minify: true,
  legalComments: "inline",
  write: false,
});
const script = built.outputFiles[0].text.replaceAll("</script", "<\\/script");
const style = readFileSync(join(source, "page.css"), "utf8");
const digest = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'", `script-src ${digest(script)}`, "style-src-elem " + digest(style), "style-src-attr 'unsafe-inline'",
  "img-src blob:", "media-src blob:", "base-uri 'none'", "form-action 'none'",
].join("; ");
const page = readFileSync(join(source, "page.html"), "utf8")
  .replace("<!--POLICY-->", () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`)
  .replace("<!--STYLE-->", () => `<style>${style}</style>`)
  .replace("<!--SCRIPT-->", () => `<script>${script}</script>`);
writeFileSync(`${out}.new`, page);
renameSync(`${out}.new`, out);
