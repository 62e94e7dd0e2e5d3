/**
 * The rebuild that `config_cli schema` does, as a person would tune it for this one table, in better-sqlite3 alone:
 * `rebuild-by-hand.js DATABASE SCRIPT.sql` prints the seconds that the statements of the script took.
 */
import { readFileSync } from "node:fs";
import Database from "better-sqlite3";

const [path = "", script = ""] = process.argv.slice(2);
const statements = readFileSync(script, "utf8");
const database = new Database(path);
// As config_cli has them: the ratio is about the procedure, not about the settings.
database.pragma("foreign_keys = OFF");
database.pragma("legacy_alter_table = ON");
database.pragma("synchronous = FULL");
database.pragma("temp_store = MEMORY");
database.pragma("cache_size = -262144");
const started = performance.now();
database.exec(statements);
process.stdout.write(String((performance.now() - started) / 1_000));
database.close();
