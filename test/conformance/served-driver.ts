import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type DriverClient } from "../../src/client/client.js";
import { fixturePath } from "../support/fixtures.js";
import { type RunningProgram, startProgram } from "../support/program.js";

/** How clients reach a driver: by its unix socket, or by TCP with a token, without TLS or with it. */
export const TRANSPORTS = ["unix", "tcp", "tls"] as const;
export type Transport = (typeof TRANSPORTS)[number];

interface Setup {
  /** What the driver is told beside its socket, which it always listens on. */
  readonly args: readonly string[];
  /** What the address that clients are given begins with. */
  readonly host: "unix" | "localhost";
  /** What clients are given beside the address. */
  readonly environment: Readonly<Record<string, string>>;
}

const TOKEN = { CODE_ANALYSIS_DRIVER_TOKEN: "a token for tests, which protects nothing" };
const LISTEN = ["--listen", "localhost:0"];

const SETUPS: Readonly<Record<Transport, Setup>> = {
  unix: { args: [], host: "unix", environment: {} },
  tcp: { args: LISTEN, host: "localhost", environment: TOKEN },
  tls: {
    args: [...LISTEN, "--tls-cert", fixturePath("tls", "signed.crt"), "--tls-key", fixturePath("tls", "signed.key")],
    host: "localhost",
    environment: { ...TOKEN, CODE_ANALYSIS_DRIVER_TLS_CA: fixturePath("tls", "authority.crt") },
  },
};

/** A driver with a database and a source folder of its own. */
export class ServedDriver {
  readonly #folder: string;
  readonly #program: RunningProgram;
  /** The environment in which the programs under `examples/` find the driver. */
  readonly environment: Readonly<Record<string, string>>;
  /** The folder whose files the scenario indexes. */
  readonly source: string;
  readonly client: DriverClient;

  private constructor(folder: string, program: RunningProgram, socket: string, environment: Record<string, string>) {
    this.#folder = folder;
    this.#program = program;
    this.environment = environment;
    this.source = join(folder, "source");
    this.client = createClient({ address: socket });
  }

  static async start(transport: Transport): Promise<ServedDriver> {
    const { args, host, environment } = SETUPS[transport];
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "cad-")));
    mkdirSync(join(folder, "source"));
    cpSync(fixturePath("conformance"), join(folder, "source"), { recursive: true });
    const socket = `unix:${join(folder, "a.sock")}`;
    const program = startProgram(
      "src/bin/code-analysis-driver.js",
      ["serve", "--db", join(folder, "a.db"), "--listen", socket, ...args],
      { environment: TOKEN },
    );
    const [, address = ""] = await program.waitFor("stdout", new RegExp(`^listening (${host}:.+)\\n`, "m"));
    return new ServedDriver(folder, program, socket, { CODE_ANALYSIS_DRIVER_ADDRESS: address, ...environment });
  }

  async stop(): Promise<void> {
    this.client.close();
    this.#program.child.kill("SIGTERM");
    await this.#program.ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
