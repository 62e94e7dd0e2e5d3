import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { IndexProjectResponse } from "../../gen/code_analysis/driver/v1/index_pb.js";
import { createClient, type DriverClient } from "../../src/client/client.js";
import { ServerProcess } from "./child.js";
import { type Contender, compare, type Ratio } from "./rounds.js";

const ROUNDS = 3;
/** As many as the driver has parsers by default. */
const WORKERS = Math.max(1, availableParallelism() - 1);

/** IndexProject over the Python standard library, cold, unchanged and with some files touched, against parsing alone. */
export async function benchIndexProject(folder: string): Promise<Ratio[]> {
  const project = join(folder, "project");
  copyStandardLibrary(project);
  const files = sourceFiles(project);
  const floor: Contender = {
    name: `parse and captures alone, ${WORKERS} processes`,
    run: () => perSecond(files.length, () => parseFloor(files)),
  };
  let run = 0;
  const cold: Contender = {
    name: `IndexProject of ${files.length} files, cold, ${WORKERS} parsers`,
    run: () =>
      withDriver(
        join(folder, `cold-${run++}.db`),
        (client, id) => perSecond(files.length, () => index(client, id)),
        project,
      ),
  };
  const ratios = [await compare(cold, floor, ROUNDS)];
  ratios.push(
    ...(await withDriver(
      join(folder, "warm.db"),
      async (client, id) => {
        const coldMs = await milliseconds(() => index(client, id));
        const whole: Contender = { name: "cold", run: async () => 1_000 / coldMs };
        const unchanged: Contender = {
          name: "IndexProject, nothing changed",
          run: async () => 1_000 / (await milliseconds(() => index(client, id))),
        };
        const touched: Contender = {
          name: "IndexProject, 1 % of the files changed",
          run: async () => {
            for (const file of files.filter((_, i) => i % 100 === 0)) appendFileSync(file, "# touched\n");
            return 1_000 / (await milliseconds(() => index(client, id)));
          },
        };
        return [await compare(unchanged, whole, ROUNDS), await compare(touched, whole, ROUNDS)];
      },
      project,
    )),
  );
  return ratios;
}

async function withDriver<T>(
  databasePath: string,
  body: (client: DriverClient, projectId: string) => Promise<T>,
  root: string,
): Promise<T> {
  const driver = await ServerProcess.start(
    new URL("../../src/bin/code-analysis-driver.js", import.meta.url),
    ...["serve", "--db", databasePath, "--log-level", "warn"],
  );
  const client = createClient({ address: driver.address });
  try {
    const { project } = await client.registerProject({ rootPath: root });
    return await body(client, project?.id ?? "");
  } finally {
    client.close();
    await driver.stop();
  }
}

async function index(client: DriverClient, projectId: string): Promise<void> {
  let last: IndexProjectResponse | undefined;
  for await (const message of client.indexProject({ projectId })) last = message;
  if (last?.summary === undefined) throw new Error("IndexProject ended without a summary");
}

async function parseFloor(files: readonly string[]): Promise<void> {
  const script = new URL("./parse-floor.js", import.meta.url).pathname;
  await Promise.all(
    Array.from({ length: WORKERS }, async (_, worker) => {
      const child = spawn(process.execPath, [script], { stdio: ["pipe", "ignore", "inherit"] });
      child.stdin.end(files.filter((__, i) => i % WORKERS === worker).join("\n"));
      const [code] = await once(child, "exit");
      if (code !== 0) throw new Error(`parse-floor.js ended with ${code}`);
    }),
  );
}

async function perSecond(count: number, work: () => Promise<void>): Promise<number> {
  return (count / (await milliseconds(work))) * 1_000;
}

async function milliseconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function copyStandardLibrary(target: string): void {
  const { stdout } = spawnSync("python3", ["-c", "import sysconfig; print(sysconfig.get_paths()['stdlib'])"], {
    encoding: "utf8",
  });
  const skipped = /\/(site-packages|test|tests|idle_test|__pycache__)$/;
  cpSync(stdout.trim(), target, { recursive: true, filter: (path) => !skipped.test(path) });
}

function sourceFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".py"))
    .sort()
    .map((path) => join(root, path));
}
