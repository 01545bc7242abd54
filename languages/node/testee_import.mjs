// A file whose import fails on line 4.

import fs from "node:fs";
import nothing from "sabir_no_such_module";

export function never() {
  return fs.existsSync(nothing);
}
