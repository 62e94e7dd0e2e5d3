import { existsSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf, DriverError, messageOf } from "../errors.js";

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

/** Leaves the note for whoever finds the presence lock taken; those of others that are still alive stay beside it. */
export function writePresenceNote(databasePath: string, note: PresenceNote): void {
  writeNotes(databasePath, [...readPresenceNotes(databasePath).filter(({ pid }) => pid !== note.pid), note]);
}

/** Removes the note of this process; those of others stay. */
export function removePresenceNote(databasePath: string, pid: number): void {
  const notes = readNotes(databasePath);
  const others = notes.filter((note) => note.pid !== pid);
  if (others.length === notes.length) return;
  if (others.length > 0) writeNotes(databasePath, others);
  else rmSync(notePath(databasePath), { force: true });
}

/** The notes of processes that are still alive; none in the moment before one wrote its own. */
export function readPresenceNotes(databasePath: string): PresenceNote[] {
  return readNotes(databasePath).filter(({ pid }) => isAlive(pid));
}

function writeNotes(databasePath: string, notes: readonly PresenceNote[]): void {
  const path = notePath(databasePath);
  const newPath = `${path}.${process.pid}`;
  try {
    // Two that write at the same moment can lose a note, and with it a name; never a lock.
    writeFileSync(newPath, `${JSON.stringify(notes)}\n`, { mode: 0o644 });
    renameSync(newPath, path);
  } catch (cause) {
    rmSync(newPath, { force: true });
    const why = messageOf(cause);
    throw new DriverError(
      "INTERNAL",
      `The file ${path}, which tells who has the database open, cannot be written: ${why}.`,
      {
        hint: "Check that the folder of the database may be written, and that nothing else has this name.",
        cause,
      },
    );
  }
}

function readNotes(databasePath: string): PresenceNote[] {
  try {
    const notes: unknown = JSON.parse(readFileSync(notePath(databasePath), "utf8"));
    return Array.isArray(notes) ? notes.filter(isNote) : [];
  } catch {
    // Missing, or not ours: then there is no name to tell.
    return [];
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
    return codeOf(error) === "EPERM";
  }
}
