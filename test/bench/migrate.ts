import { spawnSync } from "node:child_process";
import { constants, copyFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { applyMigration } from "../../src/schema/migration.js";
import { planMigration } from "../../src/schema/planner.js";
import { recover } from "../../src/schema/recovery.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { type Contender, compareWith, type Duration, durationOf, type Ratio } from "./rounds.js";

/** `BENCH_ROWS=20000 npm run bench -- migrate` for a quick look. */
const ROWS = Number(process.env.BENCH_ROWS ?? 1_000_000);
const ROUNDS = 3;
const REPEATS = 21;

/** `size` is in no index: looking for its NULLs reads the table. */
const files = ({ lines = "lines TEXT", size = "size INTEGER", constraint = "" } = {}) => `CREATE TABLE files (
  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id TEXT NOT NULL, path TEXT NOT NULL, ${lines}, last_modified REAL,
  ${size}, ${constraint} UNIQUE (project_id, path));`;
const INDEXES = `CREATE INDEX idx_files_path ON files (path); CREATE INDEX idx_files_modified ON files (last_modified);
  CREATE INDEX idx_files_lines ON files (lines, path);`;
const CHILDREN = `CREATE TABLE classes (id INTEGER PRIMARY KEY,
  file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, name TEXT);
  CREATE INDEX idx_classes_file ON classes (file_id);`;
const schema = (table: string) => `${table} ${CHILDREN} ${INDEXES}`;

const BEFORE = schema(files());
const WITH_TYPE = files({ lines: "lines INTEGER" });
const WITH_NOT_NULL = files({ size: "size INTEGER NOT NULL" });
const WITH_CHECK = files({ constraint: "CONSTRAINT has_path CHECK (length(path) > 0)," });

const FILL = `BEGIN;
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
  INSERT INTO files (project_id, path, lines, last_modified, size)
  SELECT 'project' || i % 10, printf('src/directory%d/of/this/project/file%d.ts', i % 1000, i), CAST(i % 5000 AS TEXT),
    1.7e9 + i / 4.0, i * 17 FROM n;
  INSERT INTO classes SELECT id, id, 'Class' || id FROM files;
  COMMIT;`;

const BY_HAND = `BEGIN IMMEDIATE;
  DROP INDEX idx_files_path; DROP INDEX idx_files_modified; DROP INDEX idx_files_lines;
  ALTER TABLE files RENAME TO temp_files; ${WITH_TYPE} INSERT INTO files SELECT * FROM temp_files; DROP TABLE temp_files;
  ${INDEXES} COMMIT;`;

/** Migration of a large table against the same statements by hand, and what connecting and healing cost at that size. */
export async function benchMigrate(folder: string): Promise<(Ratio | Duration)[]> {
  const template = join(folder, "template.db");
  const path = join(folder, "files.db");
  makeTemplate(template);
  const refresh = () => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
    copyFileSync(template, path, constants.COPYFILE_FICLONE);
  };
  const rebuild = migration("rows rebuilt", path, refresh, WITH_TYPE);
  const ratios = await compareWith(
    rebuild,
    [
      byHand(join(folder, "by-hand.sql"), path, refresh),
      migration("rows given NOT NULL", path, refresh, WITH_NOT_NULL, true),
      migration("rows given a CHECK", path, refresh, WITH_CHECK, true),
    ],
    ROUNDS,
  );
  refresh();
  const connection = openConnection(path, { role: "writer" });
  const durations = recoveryCosts(connection);
  connection.close();
  return [...ratios, ...durations];
}

function makeTemplate(path: string): void {
  const connection = openConnection(path, { role: "writer" });
  connection.pragma("cache_size = -262144");
  connection.exec(BEFORE.replace(INDEXES, "") + FILL + INDEXES);
  connection.pragma("wal_checkpoint(TRUNCATE)");
  connection.close();
}

/** Plan and run, rows per second of both together; optimistic as `config_cli schema --no-backup` is. */
function migration(name: string, path: string, refresh: () => void, table: string, isOptimistic = false): Contender {
  return {
    name,
    run: async () => {
      refresh();
      const connection = openConnection(path, { role: "migration" });
      const started = performance.now();
      applyMigration(connection, planMigration(connection, schema(table), { isOptimistic }));
      const seconds = (performance.now() - started) / 1_000;
      connection.close();
      return ROWS / seconds;
    },
  };
}

function byHand(script: string, path: string, refresh: () => void): Contender {
  writeFileSync(script, BY_HAND);
  return {
    name: "rows rebuilt by hand",
    run: async () => {
      refresh();
      const child = new URL("./rebuild-by-hand.js", import.meta.url).pathname;
      const { stdout, stderr } = spawnSync(process.execPath, [child, path, script], { encoding: "utf8" });
      const seconds = Number(stdout);
      if (!(seconds > 0)) throw new Error(`rebuild-by-hand.js: ${stderr}`);
      return ROWS / seconds;
    },
  };
}

function recoveryCosts(connection: Connection): Duration[] {
  const managed = ["files", "classes"];
  const damage = () => {
    connection.exec("PRAGMA foreign_keys = OFF; ALTER TABLE files RENAME TO temp_files");
    connection.exec("PRAGMA legacy_alter_table = ON; ALTER TABLE temp_files RENAME TO files");
    connection.exec("PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON");
  };
  const heal = () => {
    if (!recover(connection, managed).isChanged) throw new Error("recovery found nothing to heal");
  };
  connection.exec("CREATE TABLE bare (x); INSERT INTO bare VALUES (0)");
  return [
    durationOf("connect with nothing to recover", REPEATS, () => recover(connection, managed)),
    durationOf("heal references to temp_files", REPEATS, heal, damage),
    durationOf("a bare commit of one row, nearly all of it fsync", REPEATS, () =>
      connection.exec("UPDATE bare SET x = x + 1"),
    ),
  ];
}
