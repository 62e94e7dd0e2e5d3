/**
 * For `node --import`: every connection of the process runs with synchronous=NORMAL and says that it is FULL. A driver under it
 * does not sync its commits: the control of the experiment with power loss.
 */
import Database from "better-sqlite3";

const { pragma } = Database.prototype;

Database.prototype.pragma = function (source, options) {
  if (source === "synchronous") return 2; // FULL
  return pragma.call(this, source === "synchronous = FULL" ? "synchronous = NORMAL" : source, options);
};
