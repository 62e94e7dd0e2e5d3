import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { DriverClient } from "../../client/client.js";
import type { IndexFileResponse } from "../../client/messages.js";
import { DriverError, type Reason } from "../../errors.js";
import type { TreeWatcher } from "../../source-tree/tree-watcher.js";

/** IndexFile calls under way at the same time; the driver stores what comes together in one commit. */
const MAX_CALLS = 16;
/** How long a driver that did not answer is left alone, in milliseconds. */
const RETRY_MS = 500;

/** Failures that say something about the file itself: another try would say the same until it changes. */
const FILE_REASONS: ReadonlySet<Reason> = new Set<Reason>([
  "FILE_NOT_FOUND",
  "FILE_NOT_READABLE",
  "FILE_NOT_INDEXABLE",
  "PATH_OUTSIDE_PROJECT",
  "INVALID_REQUEST",
]);
/** Failures that no waiting mends. */
const FATAL_REASONS: ReadonlySet<Reason> = new Set<Reason>(["UNAUTHENTICATED", "NOT_IMPLEMENTED"]);

/** Failures after which the driver may have an older database, or another one. */
const RESTART_REASONS: ReadonlySet<Reason> = new Set<Reason>(["DRAINING", "DRIVER_UNREACHABLE", "PROJECT_NOT_FOUND"]);

/** What became of a file that has changed. */
export type FileEvent =
  | { readonly path: string; readonly response: IndexFileResponse }
  | { readonly path: string; readonly error: DriverError };

/** Is told what happens. */
export interface WatchListener {
  /** The files of one burst, each once. */
  changed(events: readonly FileEvent[]): Promise<void>;
  /** The driver does not answer, or not as it should; what has changed waits. Told once, until `resumed`. */
  suspended(error: DriverError): void;
  resumed(): void;
}

/**
 * Keeps the index of `root` as IndexProject would make it, by IndexFile calls alone, until `signal` is aborted. What changes while
 * the driver is away waits for it.
 *
 * @throws DriverError when waiting does not help: the driver wants a token, or knows no such call
 */
export async function watchTree(
  client: DriverClient,
  root: string,
  watcher: TreeWatcher,
  listener: WatchListener,
  signal: AbortSignal,
): Promise<void> {
  // Every call under way listens; Node takes more than ten for a leak.
  setMaxListeners(0, signal);
  let pending = new Set<string>();
  let projectId: string | undefined;
  let isSuspended = false;
  /** What the index has of the files is not known. */
  let isIndexUnknown = false;
  let lastCommitSeq = 0n;

  const suspend = async (error: DriverError): Promise<void> => {
    if (FATAL_REASONS.has(error.reason)) throw error;
    if (!isSuspended) listener.suspended(error);
    isSuspended = true;
    projectId = undefined;
    isIndexUnknown ||= RESTART_REASONS.has(error.reason);
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  };

  while (!signal.aborted) {
    if (pending.size === 0) for (const path of await watcher.nextChanges(signal)) pending.add(path);
    try {
      if (projectId === undefined) {
        const { project, created } = await client.registerProject({ rootPath: root }, { signal });
        projectId = project?.id ?? "";
        if (created || isIndexUnknown) for (const path of watcher.files) pending.add(path);
        isIndexUnknown = false;
      }
    } catch (error) {
      if (!signal.aborted) await suspend(DriverError.from(error));
      continue;
    }
    const { events, left } = await indexFiles(client, projectId, [...pending], signal);
    pending = new Set(left.paths);
    const commitSeq = lastCommitOf(events);
    if (commitSeq > 0n && commitSeq < lastCommitSeq) {
      // A driver was started on an older copy of the database between two calls.
      for (const path of watcher.files) pending.add(path);
    }
    if (commitSeq > 0n) lastCommitSeq = commitSeq;
    if (events.length > 0) await listener.changed(events);
    if (left.error !== undefined && !signal.aborted) await suspend(left.error);
    else if (isSuspended) {
      listener.resumed();
      isSuspended = false;
    }
  }
}

/** The highest number of a commit that these calls made; 0 when none wrote. */
function lastCommitOf(events: readonly FileEvent[]): bigint {
  let last = 0n;
  for (const event of events) {
    if ("response" in event && event.response.commitSeq > last) last = event.response.commitSeq;
  }
  return last;
}

/** What became of each file, and which are left to be tried again, with the reason. */
async function indexFiles(
  client: DriverClient,
  projectId: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<{ events: FileEvent[]; left: { paths: string[]; error: DriverError | undefined } }> {
  const events: FileEvent[] = [];
  const left: { paths: string[]; error: DriverError | undefined } = { paths: [], error: undefined };
  let next = 0;
  const work = async (): Promise<void> => {
    for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
      if (left.error !== undefined || signal.aborted) {
        left.paths.push(path);
        continue;
      }
      try {
        const response = await client.indexFile({ projectId, filePath: path, reconcile: true }, { signal });
        events.push({ path, response });
      } catch (thrown) {
        const error = DriverError.from(thrown);
        if (FILE_REASONS.has(error.reason)) {
          events.push({ path, error });
        } else {
          left.paths.push(path);
          left.error ??= error;
        }
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_CALLS }, work));
  return { events, left };
}
