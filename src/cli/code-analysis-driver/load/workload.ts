import { rmSync } from "node:fs";
import { join } from "node:path";
import type { DriverClient } from "../../../client/client.js";
import { toValue } from "../../../client/values.js";
import { DriverError } from "../../../errors.js";
import { writeSourceFiles } from "./source-files.js";

/** What the operations of a load are, as they are reported and in that order. */
export const OPERATION_KINDS = ["index_file", "read", "transaction"] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** One thing that the load does; an interactive transaction is several calls and counts as one. */
export interface Operation {
  readonly kind: OperationKind;
  /** @throws DriverError what the driver answered. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** In a mixed load, one transaction for so many files: it has the writer to itself for several round trips. */
const FILES_PER_TRANSACTION = 4;

/** A project of generated files and what is done with it; takes everything out of the database again. */
export class Workload {
  readonly #client: DriverClient;
  readonly #root: string;
  readonly #paths: readonly string[];
  readonly #projectId: string;

  private constructor(client: DriverClient, root: string, paths: readonly string[], projectId: string) {
    this.#client = client;
    this.#root = root;
    this.#paths = paths;
    this.#projectId = projectId;
  }

  /** Writes `fileCount` source files below `root`, an empty folder that the driver can read, and makes it a project. */
  static async prepare(client: DriverClient, root: string, fileCount: number): Promise<Workload> {
    const paths = writeSourceFiles(root, fileCount);
    const { project } = await client.registerProject({ rootPath: root });
    if (project === undefined) throw new DriverError("INTERNAL", "The driver made a project without saying which.");
    return new Workload(client, root, paths, project.id);
  }

  /** Every file once, in order; in a mixed load with a read after each and a transaction after some. `client` makes the calls. */
  operations(client: DriverClient, isMixed: boolean): Operation[] {
    return this.#paths.flatMap((path, index) => [
      this.#indexFile(client, path),
      ...(isMixed ? [this.#read(client, path)] : []),
      ...(isMixed && index % FILES_PER_TRANSACTION === 0 ? [this.#transaction(client, index)] : []),
    ]);
  }

  /** Removes the files, the rows of the project and those of the transactions. */
  async remove(): Promise<void> {
    const client = this.#client;
    for (const folder of new Set(this.#paths.map((path) => path.slice(0, path.indexOf("/"))))) {
      rmSync(join(this.#root, folder), { recursive: true });
    }
    // A project whose files are gone loses their rows in the order that the full-text index needs.
    for await (const _progress of client.indexProject({ projectId: this.#projectId }));
    await client.executeBatch({
      statements: [
        { sql: "DELETE FROM db_settings WHERE key GLOB ?", parameters: [toValue(`${this.#settingPrefix}*`)] },
        { sql: "DELETE FROM projects WHERE id = ?", parameters: [toValue(this.#projectId)] },
      ],
    });
  }

  get #settingPrefix(): string {
    return `load/${this.#projectId}/`;
  }

  #indexFile(client: DriverClient, filePath: string): Operation {
    return {
      kind: "index_file",
      run: async (signal) => {
        await client.indexFile({ projectId: this.#projectId, filePath }, { signal });
      },
    };
  }

  #read(client: DriverClient, path: string): Operation {
    return {
      kind: "read",
      run: async (signal) => {
        const sql = `SELECT c.name, count(m.id) FROM files f JOIN classes c ON c.file_id = f.id
          JOIN methods m ON m.class_id = c.id WHERE f.project_id = ? AND f.path = ? GROUP BY c.id`;
        const parameters = [this.#projectId, join(this.#root, path)].map(toValue);
        await client.execute({ sql, parameters }, { signal });
      },
    };
  }

  #transaction(client: DriverClient, index: number): Operation {
    return {
      kind: "transaction",
      run: async (signal) => {
        const { transactionId } = await client.beginTransaction({}, { signal });
        try {
          const sql = "INSERT INTO db_settings (key, value) VALUES (?, ?)";
          const parameters = [`${this.#settingPrefix}${index}`, "written by a load test"].map(toValue);
          await client.execute({ sql, parameters, transactionId }, { signal });
          await client.commitTransaction({ transactionId }, { signal });
        } catch (error) {
          // It holds up every other writer until its lease ends; what matters is why it failed.
          await client.rollbackTransaction({ transactionId }).catch(() => undefined);
          throw error;
        }
      },
    };
  }
}
