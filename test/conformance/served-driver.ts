import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type DriverClient } from "../../src/client/client.js";
import { fixturePath } from "../support/fixtures.js";
import { type RunningProgram, startProgram } from "../support/program.js";

/** How clients reach a driver: by its unix socket, or by TCP with TLS and a token. */
export type Transport = "unix" | "tls";

const TOKEN = "a token for tests, which protects nothing";

/** A driver with a database and a source folder of its own, listening on both transports. */
export class ServedDriver {
  readonly #folder: string;
  readonly #program: RunningProgram;
  readonly #addresses: readonly string[];
  /** The folder whose files the scenario indexes. */
  readonly source: string;
  readonly client: DriverClient;

  private constructor(folder: string, program: RunningProgram, addresses: readonly string[]) {
    this.#folder = folder;
    this.#program = program;
    this.#addresses = addresses;
    this.source = join(folder, "source");
    this.client = createClient({ address: addresses[0] ?? "" });
  }

  static async start(): Promise<ServedDriver> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "cad-")));
    mkdirSync(join(folder, "source"));
    cpSync(fixturePath("conformance"), join(folder, "source"), { recursive: true });
    const listeners = ["--listen", `unix:${join(folder, "a.sock")}`, "--listen", "localhost:0"];
    const tls = ["--tls-cert", fixturePath("tls", "signed.crt"), "--tls-key", fixturePath("tls", "signed.key")];
    const program = startProgram(
      "src/bin/code-analysis-driver.js",
      ["serve", "--db", join(folder, "a.db"), ...listeners, ...tls],
      { environment: { CODE_ANALYSIS_DRIVER_TOKEN: TOKEN } },
    );
    const [, unix = "", tcp = ""] = await program.waitFor("stdout", /^listening (\S+)\nlistening (\S+)\n/m);
    return new ServedDriver(folder, program, [unix, tcp]);
  }

  /** The environment in which the programs under `examples/` find the driver. */
  environment(transport: Transport): Record<string, string> {
    const [unix = "", tcp = ""] = this.#addresses;
    if (transport === "unix") return { CODE_ANALYSIS_DRIVER_ADDRESS: unix };
    return {
      CODE_ANALYSIS_DRIVER_ADDRESS: tcp,
      CODE_ANALYSIS_DRIVER_TOKEN: TOKEN,
      CODE_ANALYSIS_DRIVER_TLS_CA: fixturePath("tls", "authority.crt"),
    };
  }

  async stop(): Promise<void> {
    this.client.close();
    this.#program.child.kill("SIGTERM");
    await this.#program.ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
