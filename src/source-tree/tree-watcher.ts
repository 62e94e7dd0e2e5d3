import { EventEmitter, once } from "node:events";
import { type FSWatcher, lstatSync, type Stats, watch } from "node:fs";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf } from "../errors.js";
import { walkProject } from "./project-walk.js";

/** How long a directory must be quiet before it is looked at, so that a burst of events is one look. */
const SETTLE_MS = 100;
/** How long a directory that is never quiet may put that off. */
const MAX_SETTLE_MS = 2_000;
/**
 * How often everything is looked at without an event: the kernel drops events when too many wait, network file systems send
 * none, and the number of watched directories is limited (`fs.inotify.max_user_watches`).
 */
const POLL_MS = 30_000;
/** Of the clock of file systems, at worst; a file that has just changed may change again without another time. */
const CLOCK_TICK_MS = 50;

/** The state of a file that is compared with nothing: it counts as changed when it is looked at the next time. */
const UNSETTLED = "";

/**
 * Says which files of a project change. Events of the file system only say when to look; what has changed is the difference
 * between two walks. So an event that comes late, twice, in the wrong order or not at all makes no difference to the result, and
 * the rules are those of `walkProject`. One watch a directory, not one a file.
 */
export class TreeWatcher {
  readonly #root: string;
  readonly #pollMs: number;
  readonly #events = new EventEmitter();
  /** By relative path; only directories that were walked. */
  readonly #watches = new Map<string, FSWatcher>();
  #files = new Map<string, string>();
  #lastEventMs = 0;
  #hasEvent = false;
  #isClosed = false;
  #walkMs = 0;
  #unwatchable: string | null = null;

  /** @param root absolute, links resolved */
  constructor(root: string, { pollMs = POLL_MS }: { readonly pollMs?: number } = {}) {
    this.#root = root;
    this.#pollMs = pollMs;
  }

  get directoryCount(): number {
    return this.#watches.size;
  }

  /** Paths of all files, relative to the root. */
  get files(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** Why some directories are only looked at from time to time; null when all are watched. */
  get unwatchable(): string | null {
    return this.#unwatchable;
  }

  /** Takes in what is there: changes are those that come after it. */
  start(): void {
    this.#files = this.#look();
  }

  /**
   * Waits until files have appeared, changed or vanished since the call before, or since `start`, and answers their paths,
   * relative to the root. Answers none when `signal` is aborted.
   */
  async nextChanges(signal: AbortSignal): Promise<readonly string[]> {
    while (!signal.aborted) {
      await this.#settled(signal);
      if (signal.aborted) break;
      const before = this.#files;
      try {
        this.#files = this.#look();
      } catch (error) {
        if (!isSystemError(error)) throw error;
        // The root itself cannot be read, which is no reason to take its files for gone. It may come back as another directory.
        this.#unwatch("");
        await delay(MAX_SETTLE_MS, undefined, { signal }).catch(() => undefined);
        this.#hasEvent = true;
        continue;
      }
      const changed = [...this.#files].flatMap(([path, state]) =>
        state === UNSETTLED || state !== before.get(path) ? [path] : [],
      );
      const gone = [...before.keys()].filter((path) => !this.#files.has(path));
      if (changed.length + gone.length > 0) return [...gone, ...changed];
    }
    return [];
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatch("");
  }

  /** Waits for an event, or until it is time to look without one, and then until there are no more for a while. */
  async #settled(signal: AbortSignal): Promise<void> {
    if (!this.#hasEvent) {
      const woken = new AbortController();
      const options = { signal: AbortSignal.any([signal, woken.signal]) };
      await Promise.race([once(this.#events, "event", options), delay(this.#pollMs, undefined, options)]).catch(
        () => undefined,
      );
      woken.abort();
    }
    const startedMs = performance.now();
    // A walk that takes long must not be done over and over.
    const settleMs = Math.max(SETTLE_MS, this.#walkMs);
    while (!signal.aborted) {
      const nowMs = performance.now();
      const quietMs = nowMs - this.#lastEventMs;
      if (quietMs >= settleMs || nowMs - startedMs >= Math.max(MAX_SETTLE_MS, settleMs)) return;
      await delay(settleMs - quietMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The state of every file now; watches the directories that it meets. */
  #look(): Map<string, string> {
    this.#hasEvent = false;
    this.#unwatchable = null;
    const startedMs = performance.now();
    const files = new Map<string, string>();
    const unread: string[] = [];
    const directories = new Set<string>();
    for (const found of walkProject(this.#root)) {
      if (found.kind === "directory") {
        directories.add(found.relativePath);
        // Before it is read, so that no file can appear in between unnoticed.
        this.#watch(found.relativePath, found.path);
      } else if (found.kind === "file") {
        const stat = lstatSync(found.path, { throwIfNoEntry: false });
        // It may have gone, or become something else, since its directory was read.
        if (stat?.isFile()) files.set(found.relativePath, this.#stateOf(stat));
      } else {
        unread.push(found.relativePath);
      }
    }
    // What cannot be read now may still be there.
    for (const [path, state] of unread.length === 0 ? [] : this.#files) {
      if (unread.some((other) => isAtOrBelow(path, other))) files.set(path, state);
    }
    for (const directory of this.#watches.keys()) if (!directories.has(directory)) this.#unwatch(directory);
    this.#walkMs = performance.now() - startedMs;
    return files;
  }

  #stateOf({ size, mtimeMs, ctimeMs }: Stats): string {
    if (ctimeMs < Date.now() - CLOCK_TICK_MS) return `${size} ${mtimeMs} ${ctimeMs}`;
    this.#noteEvent();
    return UNSETTLED;
  }

  #watch(relativePath: string, path: string): void {
    if (this.#watches.has(relativePath) || this.#isClosed) return;
    try {
      const watcher = watch(path, (type, name) => {
        // Another directory may stand there now, and a watch stays with the one that it was made for.
        if (type === "rename" && name !== null) this.#unwatch(relativePath === "" ? name : `${relativePath}/${name}`);
        // What happens to a directory itself comes under its own name; that of the root has nobody else to tell it.
        if (type === "rename" && relativePath === "" && name === basename(this.#root)) this.#unwatch("");
        this.#noteEvent();
      });
      watcher.on("error", () => {
        this.#unwatch(relativePath);
        this.#noteEvent();
      });
      this.#watches.set(relativePath, watcher);
    } catch (error) {
      // It may be gone again, which its own directory tells.
      const code = codeOf(error);
      if (code !== "ENOENT" && code !== "ENOTDIR") this.#unwatchable = String(error);
    }
  }

  /** Forgets the watches of a directory and of everything below it. */
  #unwatch(relativePath: string): void {
    if (!this.#watches.has(relativePath)) return;
    for (const [directory, watcher] of this.#watches) {
      if (!isAtOrBelow(directory, relativePath)) continue;
      watcher.close();
      this.#watches.delete(directory);
    }
  }

  #noteEvent(): void {
    this.#hasEvent = true;
    this.#lastEventMs = performance.now();
    this.#events.emit("event");
  }
}

function isAtOrBelow(path: string, directory: string): boolean {
  return directory === "" || path === directory || path.startsWith(`${directory}/`);
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
