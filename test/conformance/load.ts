import { readdirSync } from "node:fs";
import { toValue } from "../../src/client/values.js";
import { buildLanguage, missingToolchain } from "./check-language.js";
import { runCommand } from "./command.js";
import { folderOf, type Language } from "./languages.js";
import { ServedDriver } from "./served-driver.js";

/** What a load did, a line for each client, and what was wrong; empty: nothing. */
export interface LoadResult {
  readonly lines: readonly string[];
  readonly problems: readonly string[];
}

/** What a client says that it did. */
interface Work {
  readonly indexed: number;
  readonly written: number;
}

const CLIENTS = 3;
/** Calls that each client has in flight. */
const CALLS_IN_FLIGHT = 16;
const PROJECT = "load";
/** Rows of the index by which one can see that it is whole. */
const INDEX_SQL = `SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM classes), (SELECT count(*) FROM methods),
  (SELECT count(*) FROM functions), (SELECT count(*) FROM imports), (SELECT count(*) FROM usages)`;

/**
 * Lets clients in the first three languages that can be built index the same project and write rows at once, then compares the
 * rows with what the clients say that they wrote, and the index with that of one quiet run.
 */
export async function runLoad(languages: readonly Language[], seconds: number): Promise<LoadResult> {
  const clients: Language[] = [];
  for (const language of languages.filter(({ load }) => load !== undefined)) {
    if (clients.length === CLIENTS || (await missingToolchain(language)) !== undefined) continue;
    const failure = await buildLanguage(language);
    if (failure !== undefined) return { lines: [], problems: [failure] };
    clients.push(language);
  }
  if (clients.length < CLIENTS)
    return { lines: [], problems: [`Only ${clients.length} of ${CLIENTS} toolchains are here.`] };

  const driver = await ServedDriver.start("unix");
  try {
    await driver.client.registerProject({ rootPath: driver.source, id: PROJECT });
    await driver.client.execute({ sql: "CREATE TABLE load_rows (writer TEXT, worker INTEGER, n INTEGER)" });
    for await (const _ of driver.client.indexProject({ projectId: PROJECT }));
    const quiet = await rowOf(driver, INDEX_SQL);
    const results = await Promise.all(clients.map((language) => runClient(language, driver, seconds)));
    const problems = results.flatMap(({ problem }) => problem ?? []);
    const loaded = await rowOf(driver, INDEX_SQL);
    if (loaded.join() !== quiet.join()) problems.push(`The index has ${loaded} rows, after a quiet run ${quiet}.`);
    for (const { name, work } of results) problems.push(...(await checkRows(driver, name, work.written)));
    const lines = results.map(
      ({ name, work }) => `${name}: ${work.indexed} files indexed, ${work.written} rows written`,
    );
    return { lines, problems };
  } finally {
    await driver.stop();
  }
}

async function runClient(
  language: Language,
  driver: ServedDriver,
  seconds: number,
): Promise<{ readonly name: string; readonly work: Work; readonly problem?: string }> {
  const { name, load = ["false"] } = language;
  const files = readdirSync(driver.source);
  const { succeeded, stdout, tail } = await runCommand(
    [...load, String(seconds), PROJECT, name, ...files],
    folderOf(language),
    driver.environment,
  );
  if (!succeeded) return { name, work: { indexed: 0, written: 0 }, problem: `A call of ${name} failed:\n${tail}` };
  return { name, work: JSON.parse(stdout) };
}

/** Each of the client's workers must have written the numbers from 0 on, each once, and all together as many as it says. */
async function checkRows(driver: ServedDriver, writer: string, written: number): Promise<string[]> {
  const found = await rowOf(
    driver,
    `SELECT coalesce(sum(rows), 0), count(*), coalesce(sum(rows = numbers AND rows = last + 1), 0) FROM
       (SELECT count(*) AS rows, count(DISTINCT n) AS numbers, max(n) AS last FROM load_rows WHERE writer = ? GROUP BY worker)`,
    writer,
  );
  const expected = [written, CALLS_IN_FLIGHT, CALLS_IN_FLIGHT];
  return found.join() === expected.join() ? [] : [`The rows of ${writer} are ${found} and not ${expected}.`];
}

/** The values of the only row. */
async function rowOf(driver: ServedDriver, sql: string, ...parameters: string[]): Promise<unknown[]> {
  const { rows } = await driver.client.execute({ sql, parameters: parameters.map(toValue) });
  return rows[0]?.values.map(({ kind }) => kind.value) ?? [];
}
