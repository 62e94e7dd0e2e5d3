/**
 * Runs recovery or the doctor on a database in a process of its own, which the tests kill.
 *
 *   node recover-child.js PATH ROLE recover|fix [KILL_AT]
 *
 * Kills itself with SIGKILL before the statement number KILL_AT (from 1) that it would execute; otherwise prints one line
 * `begin` before it takes the write lock and one line of JSON, the messages of what it did.
 */
import { managedTables, wantedModel } from "../../src/schema/built-in-schema.js";
import { fix } from "../../src/schema/doctor.js";
import { recover } from "../../src/schema/recovery.js";
import { type ConnectionRole, openConnection } from "../../src/sqlite/connection.js";

const [path = "", roleName, task, killAt = "0"] = process.argv.slice(2);
const role: ConnectionRole = roleName === "writer" ? "writer" : "migration";
const connection = openConnection(path, { role });

let count = 0;
const execute = connection.exec.bind(connection);
connection.exec = (sql) => {
  if (++count === Number(killAt)) process.kill(process.pid, "SIGKILL");
  if (sql.startsWith("BEGIN")) process.stdout.write("begin\n");
  return execute(sql);
};

const messages: string[] = [];
if (task === "fix") messages.push(...fix(connection, wantedModel()).fixed);
else recover(connection, managedTables(wantedModel()), { log: (line) => messages.push(line) });
process.stdout.write(`${JSON.stringify(messages)}\n`);
connection.close();
