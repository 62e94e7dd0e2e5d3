import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { IndexProgress, IndexSummary } from "../../gen/code_analysis/driver/v1/index_pb.js";
import { createClient, type DriverClient } from "../../src/client/client.js";
import { languageOf } from "../../src/indexer/languages/registry.js";
import { ServerProcess } from "./child.js";

/** A driver with one project, for as long as `body` runs. */
export async function withDriver<T>(
  databasePath: string,
  rootPath: string,
  body: (driver: IndexingDriver) => Promise<T>,
): Promise<T> {
  const process = await ServerProcess.start(
    new URL("../../src/bin/code-analysis-driver.js", import.meta.url),
    ...["serve", "--db", databasePath, "--log-level", "warn"],
  );
  const client = createClient({ address: process.address });
  try {
    const { project } = await client.registerProject({ rootPath });
    return await body(new IndexingDriver(process.pid, client, project?.id ?? ""));
  } finally {
    client.close();
    await process.stop();
  }
}

export class IndexingDriver {
  readonly pid: number;
  readonly client: DriverClient;
  readonly projectId: string;

  constructor(pid: number, client: DriverClient, projectId: string) {
    this.pid = pid;
    this.client = client;
    this.projectId = projectId;
  }

  /** Indexes the whole project. */
  async index(onProgress: (progress: IndexProgress) => void = () => undefined): Promise<IndexSummary> {
    let summary: IndexSummary | undefined;
    for await (const message of this.client.indexProject({ projectId: this.projectId })) {
      if (message.progress !== undefined) onProgress(message.progress);
      summary = message.summary;
    }
    if (summary === undefined) throw new Error("IndexProject ended without a summary");
    return summary;
  }
}

/** The files below `root` that the driver parses. */
export function parsedFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => languageOf(path, () => readFileSync(path, "latin1")) !== null)
    .sort();
}

export async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
