import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** How many rows each part of the checklist has. */
const PARTS = { A: 13, B: 12, C: 12, D: 20, E: 12, F: 14 } as const;

/** `A1` … `F14`. */
export const ROW_IDS = Object.entries(PARTS).flatMap(([part, count]) =>
  Array.from({ length: count }, (_, index) => `${part}${index + 1}`),
);

/** A test whose title begins with the id of a row. */
export interface Case {
  readonly file: string;
  /** Without the id; a part that varies from case to case reads `…`. */
  readonly title: string;
}

const TITLE = /\bit\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g;

/** The tests of the checklist by row, read from the sources of `test`. */
export function findCases(): Map<string, Case[]> {
  const root = fileURLToPath(new URL("../../../test/", import.meta.url));
  const cases = new Map<string, Case[]>();
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".test.ts"));
  for (const file of files.sort()) {
    for (const [, plain, template] of readFileSync(root + file, "utf8").matchAll(TITLE)) {
      const text = plain ?? template?.replace(/\$\{[^}]*\}/g, "…") ?? "";
      const [, id, title] = /^([A-F]\d+) (.+)$/s.exec(text) ?? [];
      if (id === undefined || title === undefined) continue;
      cases.set(id, [...(cases.get(id) ?? []), { file: `test/${file.replaceAll("\\", "/")}`, title }]);
    }
  }
  return cases;
}
