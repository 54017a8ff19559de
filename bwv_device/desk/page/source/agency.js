// Which agency this page is of: its root and where its data come from, as the code was published with.

import { base64 } from "../../../verification/page/source/bytes.js";
import { Certificate } from "../../../verification/page/source/certificates.js";

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export const api = meta("bwv-api");
export const root = new Certificate(base64(meta("bwv-root")));
export const roots = [root];
