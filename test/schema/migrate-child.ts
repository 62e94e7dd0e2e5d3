/**
 * A process that migrates a database and that the tests kill: `migrate-child.js DATABASE WANTED.sql`. Every statement, chunk
 * and proof is a step of its kill switch.
 */
import { readFileSync } from "node:fs";
import { applyMigration } from "../../src/schema/migration.js";
import { planMigration } from "../../src/schema/planner.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { killSwitch } from "../support/kill-switch.js";

const [path = "", wantedFile = ""] = process.argv.slice(2);
const connection = openConnection(path, { role: "migration" });
applyMigration(connection, planMigration(connection, readFileSync(wantedFile, "utf8")), {
  chunkRows: 100,
  onStep: () => {
    // Pages reach the file before COMMIT only when they do not fit into the cache.
    connection.pragma("cache_size = 10");
    killSwitch();
  },
});
connection.close();
