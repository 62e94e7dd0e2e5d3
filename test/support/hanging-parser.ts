/**
 * Loaded into a driver's processes before anything else (`node --import`): to parse a text that contains HANG_ON (environment) does
 * not come to an end, as with a grammar that loops and does not look at the clock; nor does it to list a directory in whose path it
 * stands, as on a file system that is gone. With HANG_UNTIL it ends when there is a file of that path, which is taken away.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { Parser } from "web-tree-sitter";

const { HANG_ON: hangOn, HANG_UNTIL: hangUntil } = process.env;
const { parse } = Parser.prototype;
const { readdirSync, unlinkSync } = fs;

function hang(on: unknown): void {
  while (hangOn !== undefined && typeof on === "string" && on.includes(hangOn)) {
    if (hangUntil === undefined) continue;
    try {
      unlinkSync(hangUntil);
      return;
    } catch {
      // Not there yet.
    }
  }
}

Parser.prototype.parse = function (this: Parser, ...[text, ...rest]: Parameters<typeof parse>) {
  hang(text);
  return parse.call(this, text, ...rest);
};

fs.readdirSync = ((...parameters: Parameters<typeof readdirSync>) => {
  hang(parameters[0]);
  return readdirSync(...parameters);
}) as typeof readdirSync;
syncBuiltinESMExports();
