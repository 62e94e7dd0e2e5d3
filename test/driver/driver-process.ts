import { join } from "node:path";
import { createClient, type DriverClient } from "../../src/client/client.js";
import { type SqlValue, toValue } from "../../src/client/values.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { type ProgramResult, type RunningProgram, startProgram } from "../support/program.js";

export const PROGRAM = "src/bin/code-analysis-driver.js";

/** Database of every driver here, in its folder. */
export const DATABASE = "a.db";

/** A driver process that serves, and a client of it. */
export class DriverProcess {
  readonly folder: string;
  readonly program: RunningProgram;
  readonly address: string;
  readonly client: DriverClient;

  private constructor(folder: string, program: RunningProgram, address: string, token: string | undefined) {
    this.folder = folder;
    this.program = program;
    this.address = address;
    this.client = createClient({ address, token });
  }

  /**
   * @param token for the client; whether the driver asks for one is up to `args`.
   * @param wrapper see `startProgram`.
   */
  static async start(
    folder: string,
    {
      args = [],
      token,
      wrapper = [],
    }: { readonly args?: readonly string[]; readonly token?: string; readonly wrapper?: readonly string[] } = {},
  ): Promise<DriverProcess> {
    const program = startProgram(PROGRAM, ["serve", "--db", DATABASE, ...args], { cwd: folder, wrapper });
    running.add(program);
    const [, address = ""] = await program.waitFor("stdout", /^listening (\S+)\n/m);
    return new DriverProcess(folder, program, address, token);
  }

  get databasePath(): string {
    return join(this.folder, DATABASE);
  }

  /** Registers `root` as the project `p`. */
  async register(root: string): Promise<void> {
    await this.client.registerProject({ rootPath: root, id: "p" });
  }

  indexFile(filePath: string, force = false) {
    return this.client.indexFile({ projectId: "p", filePath, force });
  }

  async execute(sql: string, ...parameters: SqlValue[]) {
    return await this.client.execute({ sql, parameters: parameters.map(toValue) });
  }

  /** First column of every row. */
  async values(sql: string): Promise<unknown[]> {
    const { rows } = await this.execute(sql);
    return rows.map(({ values }) => values[0]?.kind.value);
  }

  /** Resolves with a line of the log whose message begins so and that contains `text`, as an object. */
  async logged(message: string, text = ""): Promise<Record<string, unknown>> {
    const literal = (value: string) => value.replace(/[[\](){}.*+?^$|\\]/g, "\\$&");
    const pattern = `^\\{(?=.*${literal(text)}).*"msg":"${literal(JSON.stringify(message).slice(1, -1))}.*\\}$`;
    const [line] = await this.program.waitFor("stderr", new RegExp(pattern, "m"));
    return JSON.parse(line);
  }

  /** Ends it with SIGTERM and resolves with how it ended. */
  async stop(): Promise<ProgramResult> {
    this.client.close();
    this.program.child.kill("SIGTERM");
    return await this.program.ended;
  }

  async kill(): Promise<void> {
    this.client.close();
    this.program.child.kill("SIGKILL");
    await this.program.ended;
  }
}

const running = new Set<RunningProgram>();

/** Ends what a test left running; for `afterEach`, before its folder is removed. */
export async function killDrivers(): Promise<void> {
  for (const program of running) {
    program.child.kill("SIGKILL");
    await program.ended;
  }
  running.clear();
}

/** Runs `body` on the database beside a driver, as another program would: with the defaults of better-sqlite3. */
export function beside<T>(databasePath: string, body: (connection: Connection) => T): T {
  const connection = openConnection(databasePath, { role: "migration", mustExist: false });
  connection.pragma("foreign_keys = ON");
  try {
    return body(connection);
  } finally {
    connection.close();
  }
}
