// What the page runs, and what anybody else may call: a package's files and a root in, an answer out.

import { rootOf } from "./certificates.js";
import { Package } from "./package.js";

export { EXCEPTION, FALSE, GENUINE } from "./package.js";
export { Package, rootOf };
