// What a person picked or dropped: a folder, files, or one zip, as blobs by their path in the package.

import { BlobReader, BlobWriter, ZipReader, configure } from "@zip.js/zip.js/lib/zip-core.js";
import { Fail } from "./bytes.js";
import { isStray } from "./package.js";

const SUMS = "SHA256SUMS";
const FILES = 20_000, ZIPPED = 64 * 2 ** 30, IN_MEMORY = 256 << 20;

configure({ useWebWorkers: false });

/** Of file inputs; `webkitRelativePath` is set where a folder was picked. */
export async function ofList(list) {
  const files = Array.from(list);
  if (files.length === 1 && /\.zip$/i.test(files[0].name)) return ofZip(files[0]);
  return inPackage(files.map((file) => [file.webkitRelativePath || file.name, file]));
}

export async function ofDrop(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return ofList(transfer.files);
  const found = [];
  for (const entry of entries) await walk(entry, found);
  if (found.length === 1 && /\.zip$/i.test(found[0][0])) return ofZip(found[0][1]);
  return inPackage(found);
}

async function walk(entry, found) {
  if (found.length > FILES) throw new Fail("there are too many files");
  if (entry.isFile) {
    found.push([entry.fullPath.replace(/^\//, ""), await new Promise((done, failed) => entry.file(done, failed))]);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const inner of some) await walk(inner, found);
  }
}

async function ofZip(blob) {
  const reader = new ZipReader(new BlobReader(blob), { checkSignature: false });
  let entries;
  try {
    entries = (await reader.getEntries()).filter((entry) => !entry.directory);
  } catch {
    throw new Fail("that is no zip file that can be read");
  }
  const size = entries.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
  if (entries.length > FILES || size > ZIPPED) throw new Fail("the zip file holds too much");
  if (entries.some((entry) => entry.encrypted)) throw new Fail("the zip file is locked: unpack it first");
  const found = [];
  for (const entry of entries) {
    try {
      found.push([entry.filename, await entry.getData(new BlobWriter())]);
    } catch {
      throw new Fail(`${entry.filename} can't be unpacked`);
    }
    if (found.at(-1)[1].size !== entry.uncompressedSize) throw new Fail(`${entry.filename} can't be unpacked`);
  }
  return inPackage(found);
}

/** By path below the folder that holds the list. Raises `Fail` where there is no list. */
async function inPackage(found) {
  const paths = found.map(([path]) => path.split("/")).filter((parts) => parts.at(-1) === SUMS);
  paths.sort((a, b) => a.length - b.length);
  if (!paths.length) throw new Fail(`there is no ${SUMS} in it: choose the package's folder`);
  const alike = paths.filter((parts) => parts.length === paths[0].length);
  if (alike.length > 1) throw new Fail("there are two packages in it: choose one");
  const top = paths[0].slice(0, -1).join("/") + (paths[0].length > 1 ? "/" : "");
  const files = new Map();
  const flat = found.every(([path]) => !path.slice(top.length).includes("/"));
  const known = flat ? await listedPaths(found.find(([path]) => path === top + SUMS)[1]) : new Map();
  const beside = found.find(([path]) => !path.startsWith(top) && !isStray(path));
  if (beside) throw new Fail(`${beside[0]} lies beside the package: choose the package's folder alone`);
  for (const [path, blob] of found) {
    const name = path.slice(top.length);
    const place = known.get(name) ?? name;
    if (files.has(place)) throw new Fail(`${place} is there twice`);
    files.set(place, await kept(blob));
  }
  return files;
}

/** Files that were picked one by one have no folders: where each belongs is in the list. */
async function listedPaths(blob) {
  const paths = new Map();
  for (const row of (await blob.slice(0, 16 << 20).text()).split("\n")) {
    const path = row.slice(66), name = path.split("/").at(-1);
    if (path.includes("/")) paths.set(name, paths.has(name) ? undefined : path);
  }
  return paths;
}

/** What is checked must be what is played, whatever becomes of the file meanwhile. */
async function kept(blob) {
  return blob.size <= IN_MEMORY ? new Blob([await blob.arrayBuffer()], { type: blob.type }) : blob;
}
