import { readFileSync } from "node:fs";
import * as v from "valibot";

/** The version in package.json, which stands beside `dist`. */
export const { version: VERSION } = v.parse(
  v.object({ version: v.string() }),
  JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")),
);
