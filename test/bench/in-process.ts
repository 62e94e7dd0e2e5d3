/** SQLite without a driver, for comparison: prints the rate of durable commits, or of rows read. */
import Database from "better-sqlite3";
import { BENCH_TABLE } from "./requests.js";

const COMMITS = 500;
const [what, path = "", sql = ""] = process.argv.slice(2);
const database = new Database(path);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");

function commitsPerSecond(): number {
  database.exec(BENCH_TABLE);
  const insert = database.prepare("INSERT INTO bench_rows (name, score) VALUES (?, ?)");
  const started = performance.now();
  for (let i = 0; i < COMMITS; i++) insert.run("a name", 1.5);
  return (COMMITS / (performance.now() - started)) * 1_000;
}

function rowsPerSecond(): number {
  const statement = database.prepare(sql).raw(true);
  const started = performance.now();
  let rows = 0;
  for (const _row of statement.iterate()) rows++;
  return (rows / (performance.now() - started)) * 1_000;
}

process.stdout.write(String(what === "commits" ? commitsPerSecond() : rowsPerSecond()));
database.close();
