import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { amount, SEED } from "../reliability/experiment.js";
import { Random } from "./random.js";

/** The instant before a step of the program itself, or before a system call on a file of the database; `at` counts from 1. */
export interface KillPoint {
  readonly what: string;
  readonly at: number;
}

/** Everything by which SQLite changes a file. strace counts each system call for itself, so each has points of its own. */
const SYSTEM_CALLS = ["pwrite64", "fsync", "fdatasync", "ftruncate", "unlink"];
const SUFFIXES = ["", "-wal", "-shm", "-journal"];

/** The long form kills at every point, the short one at a sample. */
const IS_COMPLETE = amount(false, true);
const random = new Random(SEED);
let kills = 0;
let found = 0;

/** A program that works on a copy of a database and is killed at one point after the other. */
export class KilledProgram {
  readonly #template: string;
  readonly #path: string;
  readonly #command: readonly string[];

  /**
   * @param template the database to begin with, closed.
   * @param path where its copy goes.
   * @param script a child process that calls `killSwitch()`; it is started with `args`.
   */
  constructor(template: string, path: string, script: URL, args: readonly string[]) {
    this.#template = template;
    this.#path = path;
    this.#command = [process.execPath, fileURLToPath(script), ...args];
  }

  /**
   * Kills the program at `sample` of its points chosen at random, or at all of them, and calls `check` after each. Without
   * strace only its own steps are points.
   */
  killAtEach(sample: number, check: (at: string) => void): void {
    const points = this.#countPoints();
    assert.ok(points.length > 4, `only ${points.length} points`);
    found += points.length;
    const chosen = IS_COMPLETE ? points : random.sample(points, sample);
    for (const point of chosen) {
      this.#restore();
      this.#kill(point);
      kills++;
      check(`killed before ${point.what} ${point.at} (SEED=${SEED})`);
    }
  }

  #restore(): void {
    for (const suffix of SUFFIXES) rmSync(this.#path + suffix, { force: true });
    copyFileSync(this.#template, this.#path);
  }

  #countPoints(): KillPoint[] {
    this.#restore();
    const log = `${this.#path}.strace`;
    const child = this.#run(HAS_STRACE ? this.#strace(SYSTEM_CALLS, log, []) : [], 0);
    const steps = Number(/^steps (\d+)$/m.exec(child.stderr)?.[1]);
    assert.ok(child.status === 0 && steps > 0, child.stderr);
    const lines = HAS_STRACE ? readFileSync(log, "utf8").split("\n") : [];
    const counts = SYSTEM_CALLS.map(
      (call) => [call, lines.filter((line) => line.includes(` ${call}(`)).length] as const,
    );
    return [["step", steps] as const, ...counts].flatMap(([what, count]) =>
      Array.from({ length: count }, (_, index) => ({ what, at: index + 1 })),
    );
  }

  #kill({ what, at }: KillPoint): void {
    const inject = ["-e", `inject=${what}:signal=SIGKILL:when=${at}`];
    const child = what === "step" ? this.#run([], at) : this.#run(this.#strace([what], "/dev/null", inject), 0);
    assert.ok(child.signal === "SIGKILL" || child.status === 137, `${what} ${at}: ${child.stderr}`);
  }

  #strace(calls: readonly string[], log: string, inject: readonly string[]): string[] {
    const files = [...SUFFIXES.map((suffix) => this.#path + suffix), dirname(this.#path)];
    const filter = files.flatMap((file) => ["-P", file]);
    return ["strace", "-f", "-qq", "-o", log, ...filter, "-e", `trace=${calls.join()}`, ...inject];
  }

  #run(wrapper: readonly string[], killAtStep: number) {
    const [program = "", ...args] = [...wrapper, ...this.#command];
    return spawnSync(program, args, { encoding: "utf8", env: { ...process.env, KILL_AT_STEP: String(killAtStep) } });
  }
}

const HAS_STRACE = spawnSync("strace", ["-V"]).status === 0;

after(() => {
  if (kills === 0) return;
  const calls = HAS_STRACE ? "steps and system calls" : "steps; strace is missing, so at no system call";
  const how = IS_COMPLETE ? "" : `; seed ${SEED}; npm run reliability -- kill-points for all of them`;
  process.stdout.write(`  killed at ${kills} of ${found} ${calls}${how}\n`);
});
