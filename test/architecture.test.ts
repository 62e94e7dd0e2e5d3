import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  findCycles,
  type ModuleImport,
  parseModule,
  reachableAtRunTime,
  readModules,
  type SourceModule,
} from "./support/module-graph.js";

/** What a part of the source tree may import beside itself, `errors.ts` and `observability/`. */
interface Rule {
  /** The parts whose modules it may import. */
  readonly imports: readonly string[];
  /** The parts of which it may import types only. */
  readonly types?: readonly string[];
}

/**
 * The import table of `src/README.md`. A part is a folder of `src`, a file directly in it, or `gen` beside it; the most
 * specific entry that matches a path is the path's part.
 */
const RULES: Readonly<Record<string, Rule>> = {
  "errors.ts": { imports: [] },
  observability: { imports: [] },
  config: { imports: [] },
  sqlite: { imports: [] },
  security: { imports: [] },
  "source-tree": { imports: [] },
  gen: { imports: [] },
  schema: { imports: ["sqlite"] },
  indexer: { imports: ["sqlite"] },
  workers: { imports: ["sqlite", "schema", "indexer", "security", "source-tree", "gen"] },
  engine: { imports: ["workers", "gen"], types: ["schema", "indexer"] },
  rpc: { imports: ["engine", "security", "gen"] },
  client: { imports: ["gen"] },
  cli: { imports: ["config"] },
  "cli/code-analysis-driver": { imports: ["cli", "client", "config", "source-tree"] },
  "cli/config-cli": { imports: ["cli", "schema", "sqlite", "config"] },
};

/** Wires everything, so it may import everything. */
const WIRING = "bin";
/** A worker process has no program in `bin`; this file ends it. */
const WORKER_HOST = "workers/host.ts";
const FOR_ALL = ["errors.ts", "observability"];

/** `sqlite` for everything in `sqlite/`, `errors.ts` for that file; a path that is in no part is its own. */
function partOf(path: string): string {
  const fromGen = path.replace(/^\.\.\/gen\//, "gen/");
  const parts = [...Object.keys(RULES), WIRING].filter((part) => fromGen === part || fromGen.startsWith(`${part}/`));
  return parts.sort((a, b) => b.length - a.length)[0] ?? fromGen;
}

function isAllowed(from: string, { target, isTypeOnly }: ModuleImport): boolean {
  const part = partOf(from);
  const wanted = partOf(target);
  if (part === WIRING || part === wanted || FOR_ALL.includes(wanted)) return true;
  const rule = RULES[part];
  return rule !== undefined && (rule.imports.includes(wanted) || (isTypeOnly && rule.types?.includes(wanted) === true));
}

/** Every breach of the rules, one sentence each. */
function findViolations(modules: readonly SourceModule[]): string[] {
  const violations: string[] = [];
  for (const module of modules) {
    const part = partOf(module.path);
    if (part !== WIRING && RULES[part] === undefined) violations.push(`${module.path} is in no known part of src`);
    for (const imported of module.imports) {
      if (!imported.isPackage && !isAllowed(module.path, imported)) {
        violations.push(`${module.path} imports ${imported.target}`);
      }
      if (imported.target === "better-sqlite3" && part !== "sqlite") {
        violations.push(`${module.path} imports better-sqlite3; only src/sqlite does`);
      }
    }
    if (module.usesProcessExit && part !== WIRING && module.path !== WORKER_HOST) {
      violations.push(`${module.path} uses process.exit; only src/bin does`);
    }
  }
  for (const cycle of findCycles(modules)) violations.push(`import cycle: ${cycle.join(", ")}`);
  for (const entry of ["bin/code-analysis-driver.ts", "indexer/parse.ts"]) {
    violations.push(...findLoaded(modules, entry, importsSqlite));
  }
  violations.push(
    ...findLoaded(modules, "bin/config-cli.ts", ({ path }) =>
      ["engine", "workers", "rpc", "client", "gen"].includes(partOf(path)),
    ),
  );
  return violations;
}

function importsSqlite(module: SourceModule): boolean {
  return module.imports.some(({ target, isTypeOnly }) => target === "better-sqlite3" && !isTypeOnly);
}

/** The modules for which `isForbidden` holds and which are loaded when the file `entry` runs. */
function findLoaded(
  modules: readonly SourceModule[],
  entry: string,
  isForbidden: (module: SourceModule) => boolean,
): string[] {
  const loaded = reachableAtRunTime(modules, entry);
  return modules
    .filter((module) => loaded.has(module.path) && isForbidden(module))
    .map(({ path }) => `${entry} loads ${path}`);
}

describe("the architecture of src", () => {
  const source = fileURLToPath(new URL("../../src", import.meta.url));

  it("has imports that only point down, no cycle, and SQLite and process.exit where they belong", () => {
    const modules = readModules(source);
    assert.ok(modules.length > 0);
    assert.deepEqual(findViolations(modules), []);
  });

  const breaches: readonly { title: string; files: Record<string, string>; expected: string[] }[] = [
    {
      title: "an import that points up",
      files: { "sqlite/connection.ts": 'export { plan } from "../schema/plan.js";', "schema/plan.ts": "" },
      expected: ["sqlite/connection.ts imports schema/plan.ts"],
    },
    {
      title: "an import of a value where only types are allowed",
      files: {
        "engine/engine.ts":
          'import type { Report } from "../schema/report.js"; import { a } from "../schema/recovery.js";',
        "schema/report.ts": "",
        "schema/recovery.ts": "",
      },
      expected: ["engine/engine.ts imports schema/recovery.ts"],
    },
    {
      title: "a dynamic import and an import type",
      files: {
        "rpc/server.ts": 'await import("../sqlite/connection.js"); type T = import("../schema/plan.js").Plan;',
        "sqlite/connection.ts": "",
        "schema/plan.ts": "",
      },
      expected: ["rpc/server.ts imports sqlite/connection.ts", "rpc/server.ts imports schema/plan.ts"],
    },
    {
      title: "SQLite in the parsing half of the indexer",
      files: {
        "indexer/parse.ts": 'import type { Rows } from "./store.js"; import "./entities.js";',
        "indexer/store.ts": 'import { openConnection } from "../sqlite/connection.js";',
        "indexer/entities.ts": 'export * from "../sqlite/connection.js";',
        "sqlite/connection.ts": 'import Database from "better-sqlite3";',
      },
      expected: ["indexer/parse.ts loads sqlite/connection.ts"],
    },
    {
      title: "one program's commands in the other's",
      files: {
        "cli/config-cli/schema.ts": 'import { connect } from "../../client/client.js";',
        "client/client.ts": "",
      },
      expected: ["cli/config-cli/schema.ts imports client/client.ts"],
    },
    {
      title: "a folder that the table does not know",
      files: { "utils/strings.ts": "" },
      expected: ["utils/strings.ts is in no known part of src"],
    },
    {
      title: "a cycle",
      files: {
        "schema/a.ts": 'import "./b.js";',
        "schema/b.ts": 'import type { C } from "./c.js";',
        "schema/c.ts": 'import "./a.js";',
        "schema/d.ts": 'import "./a.js";',
      },
      expected: ["import cycle: schema/a.ts, schema/b.ts, schema/c.ts"],
    },
    {
      title: "a second importer of better-sqlite3",
      files: { "schema/plan.ts": 'import type Database from "better-sqlite3";' },
      expected: ["schema/plan.ts imports better-sqlite3; only src/sqlite does"],
    },
    {
      title: "process.exit outside of bin",
      files: {
        "cli/exit-code.ts": "export const stop = () => process.exit(1);",
        "engine/lifecycle.ts": 'import { exit as leave } from "node:process"; leave();',
        "bin/config-cli.ts": "process.exit(0);",
      },
      expected: ["cli/exit-code.ts", "engine/lifecycle.ts"].map(
        (path) => `${path} uses process.exit; only src/bin does`,
      ),
    },
    {
      title: "SQLite on the driver's main thread",
      files: {
        "bin/code-analysis-driver.ts": 'import { pool } from "../workers/pool.js";',
        "workers/pool.ts":
          'import { openConnection } from "../sqlite/connection.js"; new URL("./writer-entry.js", import.meta.url);',
        "workers/writer-entry.ts": "",
        "sqlite/connection.ts": 'import Database from "better-sqlite3";',
      },
      expected: ["bin/code-analysis-driver.ts loads sqlite/connection.ts"],
    },
    {
      title: "the engine in config_cli",
      files: { "bin/config-cli.ts": 'import "../engine/engine.js";', "engine/engine.ts": "" },
      expected: ["bin/config-cli.ts loads engine/engine.ts"],
    },
  ];

  for (const { title, files, expected } of breaches) {
    it(`would be reported for ${title}`, () => {
      const modules = Object.entries(files).map(([path, text]) => parseModule(path, text));
      assert.deepEqual(findViolations(modules), expected);
    });
  }
});
