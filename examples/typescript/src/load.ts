/** Indexes and writes, 16 calls at a time: `node build/load.js SECONDS PROJECT WRITER FILE…`. */
import { toValue } from "code-analysis-driver";
import { connect } from "./connect.js";

const CALLS_IN_FLIGHT = 16;

const [seconds = "", projectId = "", writer = "", ...files] = process.argv.slice(2);
const end = performance.now() + Number(seconds) * 1000;
const driver = connect();
let indexed = 0;
let written = 0;

/** Indexes a file and writes a row, in turn. The client gives each write a request id of its own. */
async function work(worker: number): Promise<void> {
  for (let n = 0; performance.now() < end; n++) {
    await driver.indexFile({ projectId, filePath: files[(worker + n) % files.length] ?? "", force: true });
    indexed++;
    await driver.execute({
      sql: "INSERT INTO load_rows (writer, worker, n) VALUES (?, ?, ?)",
      parameters: [writer, worker, n].map(toValue),
    });
    written++;
  }
}

await Promise.all(Array.from({ length: CALLS_IN_FLIGHT }, (_, worker) => work(worker)));
driver.close();
console.log(JSON.stringify({ indexed, written }));
