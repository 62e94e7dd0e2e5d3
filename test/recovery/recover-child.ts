/**
 * Runs recovery or the doctor on a database in a process of its own, which the tests kill.
 *
 *   node recover-child.js PATH ROLE recover|fix
 *
 * Every statement is a step of its kill switch. It prints one line `begin` before it takes the write lock and one line of
 * JSON, the messages of what it did.
 */
import { managedTables, wantedModel } from "../../src/schema/built-in-schema.js";
import { fix } from "../../src/schema/doctor.js";
import { recover } from "../../src/schema/recovery.js";
import { type ConnectionRole, openConnection } from "../../src/sqlite/connection.js";
import { killSwitch } from "../support/kill-switch.js";

const [path = "", roleName, task] = process.argv.slice(2);
const role: ConnectionRole = roleName === "writer" ? "writer" : "migration";
const connection = openConnection(path, { role });

const execute = connection.exec.bind(connection);
connection.exec = (sql) => {
  killSwitch();
  if (sql.startsWith("BEGIN")) process.stdout.write("begin\n");
  return execute(sql);
};

const messages: string[] = [];
if (task === "fix") messages.push(...fix(connection, wantedModel()).fixed);
else recover(connection, managedTables(wantedModel()), { log: (line) => messages.push(line) });
process.stdout.write(`${JSON.stringify(messages)}\n`);
connection.close();
