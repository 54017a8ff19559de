// judge_packages.mjs PAGE: what START-HERE.html says of packages. Lines of JSON in, [folder, root];
// lines of JSON out: answer, complaints, exceptions. It runs the script of the page itself.
import { lstatSync, readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import vm from "node:vm";

const script = /<script>([^]*)<\/script>/.exec(readFileSync(process.argv[2], "utf8"))[1];
vm.runInThisContext(`${script};globalThis.bwv = bwv`);

function* filesIn(folder, top = folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name), status = lstatSync(path);
    if (status.isDirectory()) yield* filesIn(path, top);
    else if (status.isFile()) yield [relative(top, path), new Blob([readFileSync(path)])];
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [folder, root] = JSON.parse(line);
  const judged = new bwv.Package(new Map(filesIn(folder)), [bwv.rootOf(new Uint8Array(readFileSync(root)))]);
  const answer = await judged.judge();
  console.log(JSON.stringify({ answer, false: judged.false, exceptions: judged.exceptions }));
}
