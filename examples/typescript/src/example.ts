/** Indexes a directory and asks about it: `node build/example.js DIR`. */
import { resolve } from "node:path";
import { type DriverClient, DriverError, fromValue, IndexPhase, toValue } from "code-analysis-driver";
import { connect } from "./connect.js";

const [directory, ...others] = process.argv.slice(2);
if (directory === undefined || others.length > 0) {
  console.error("usage: example.js DIR");
  process.exit(1);
}
const driver = connect();
try {
  const { project } = await driver.registerProject({ rootPath: resolve(directory) });
  const projectId = project?.id ?? "";
  await index(driver, projectId);
  await listLargestClasses(driver);
  await takeNotes(driver);
  await askForWhatIsNotThere(driver, projectId);
  await search(driver, projectId);
} finally {
  driver.close();
}

/** Indexes the project and shows how far it is. */
async function index(driver: DriverClient, projectId: string): Promise<void> {
  for await (const { progress } of driver.indexProject({ projectId })) {
    if (progress === undefined) continue;
    process.stdout.write(`\r${progress.filesDone}/${progress.filesTotal} files`);
    const { filesIndexed, filesUnchanged, filesFailed, phase } = progress;
    if (phase === IndexPhase.DONE)
      console.log(`, ${filesIndexed} indexed, ${filesUnchanged} unchanged, ${filesFailed} failed`);
  }
}

/** Streams the rows of a query, however many there are. */
async function listLargestClasses(driver: DriverClient): Promise<void> {
  const sql =
    "SELECT c.name, count(*) FROM classes c JOIN methods m ON m.class_id = c.id GROUP BY c.id ORDER BY 2 DESC, 1 LIMIT ?";
  for await (const { rows } of driver.query({ sql, parameters: [toValue(3)] })) {
    for (const { values } of rows) {
      const [name, methods] = values.map(fromValue);
      console.log(`class ${name}: ${methods} methods`);
    }
  }
}

/** Makes a table and a row in one transaction: both or none, because it is rolled back when the function throws. */
async function takeNotes(driver: DriverClient): Promise<void> {
  await driver.transaction(async (tx) => {
    await tx.execute({ sql: "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)" });
    await tx.execute({
      sql: "INSERT INTO notes (text) VALUES (?)",
      parameters: [toValue("written from TypeScript")],
    });
  });
  console.log("committed a note");
}

/** Handles one error by its reason. */
async function askForWhatIsNotThere(driver: DriverClient, projectId: string): Promise<void> {
  try {
    await driver.indexFile({ projectId, filePath: "no/such/file.py" });
  } catch (error) {
    if (!(error instanceof DriverError) || error.reason !== "FILE_NOT_FOUND") throw error;
    console.log(`${error.status} ${error.reason}: ${error.message}`);
  }
}

/** Searches names and text. */
async function search(driver: DriverClient, projectId: string): Promise<void> {
  const { hits } = await driver.searchCode({ query: "read*", projectId, pageSize: 3 });
  for (const { filePath, line, entityName } of hits) console.log(`${filePath}:${line} ${entityName}`);
}
