import { readFileSync } from "node:fs";
import { applyMigration } from "../../src/schema/migration.js";
import { planMigration } from "../../src/schema/planner.js";
import { openConnection } from "../../src/sqlite/connection.js";

/**
 * A process that migrates a database and kills itself before its n-th step: `killed-migration.js DATABASE WANTED.sql N`.
 * It prints how many steps it took when it lives that long.
 */
const [path = "", wantedFile = "", killAt = "0"] = process.argv.slice(2);
const connection = openConnection(path, { role: "migration" });
// Pages reach the file before COMMIT only when they do not fit into the cache.
const options = { allow: ["lossy:files.lines"], chunkRows: 100 };
let steps = 0;
applyMigration(connection, planMigration(connection, readFileSync(wantedFile, "utf8"), options), {
  ...options,
  onStep: () => {
    connection.pragma("cache_size = 10");
    if (++steps === Number(killAt)) process.kill(process.pid, "SIGKILL");
  },
});
process.stdout.write(String(steps));
