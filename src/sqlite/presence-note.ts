import { existsSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Who has a database open: only a name for messages. Whether somebody has it open, the presence lock tells. */
export interface PresenceNote {
  readonly program: "driver" | "config_cli";
  readonly pid: number;
  /** Where a driver listens. */
  readonly addresses: readonly string[];
}

/**
 * A file beside a database: `<database>.<suffix>`. Links are resolved, so that all who open one database by different paths
 * meet at the same file.
 */
export function besideDatabase(databasePath: string, suffix: string): string {
  return `${resolveLinks(databasePath)}.${suffix}`;
}

function resolveLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // The database is created later; whether its folder exists, shows when a file is made there.
    return existsSync(dirname(path)) ? join(realpathSync(dirname(path)), basename(path)) : path;
  }
}

function notePath(databasePath: string): string {
  return besideDatabase(databasePath, "lock.json");
}

/** Leaves the note for whoever finds the presence lock taken. Replaces an earlier one, whose writer may have crashed. */
export function writePresenceNote(databasePath: string, note: PresenceNote): void {
  const path = notePath(databasePath);
  writeFileSync(`${path}.${note.pid}`, `${JSON.stringify(note)}\n`, { mode: 0o644 });
  renameSync(`${path}.${note.pid}`, path);
}

/** Removes the note of this process; another one's stays. */
export function removePresenceNote(databasePath: string, pid: number): void {
  if (readNote(databasePath)?.pid === pid) rmSync(notePath(databasePath), { force: true });
}

/** The note about a process that is still alive; undefined when there is none, as in the moment before it wrote one. */
export function readPresenceNote(databasePath: string): PresenceNote | undefined {
  const note = readNote(databasePath);
  return note !== undefined && isAlive(note.pid) ? note : undefined;
}

function readNote(databasePath: string): PresenceNote | undefined {
  try {
    const note: unknown = JSON.parse(readFileSync(notePath(databasePath), "utf8"));
    return isNote(note) ? note : undefined;
  } catch {
    // Missing, or not ours: then there is no name to tell.
    return undefined;
  }
}

function isNote(value: unknown): value is PresenceNote {
  if (typeof value !== "object" || value === null) return false;
  const { program, pid, addresses } = value as Partial<Record<keyof PresenceNote, unknown>>;
  return (program === "driver" || program === "config_cli") && Number.isInteger(pid) && Array.isArray(addresses);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
