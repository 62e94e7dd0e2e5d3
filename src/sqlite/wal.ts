import { closeSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import type { Connection } from "./connection.js";

/** Lengths and places in bytes (https://sqlite.org/fileformat2.html#the_write_ahead_log). */
const Wal = { headerBytes: 32, pageSizeAt: 8, saltsAt: 16 } as const;
const Frame = { headerBytes: 24, saltsAt: 8 } as const;
const SALTS_BYTES = 8;

/** What the index of the WAL says: how many frames it has, and how many of them are copied into the database. */
export interface WalProgress {
  readonly frames: number;
  readonly copiedFrames: number;
}

/** Reads the index of the WAL of a connection that has read from its database before; takes no lock. */
export function inspectWal(connection: Connection): WalProgress {
  const [row] = connection.pragma("wal_checkpoint(NOOP)") as [{ log: number; checkpointed: number }];
  return { frames: row.log, copiedFrames: row.checkpointed };
}

/** The length of the file, which keeps what it had when the WAL begins again. */
export function walBytes(connection: Connection): number {
  return statSync(walPath(connection), { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * True when the WAL may have more than its index says: behind its end stands a frame that counts, by its salts, as one of this WAL. A
 * commit has written it that failed, or whose process was killed. Nobody sees it while anybody keeps the index, but a commit that
 * is there as a whole comes back when the WAL is recovered. Also true, which does no harm, when another process is committing.
 */
export function hasFramesBehindEnd(connection: Connection): boolean {
  const { frames } = inspectWal(connection);
  const wal = openSync(walPath(connection), "r");
  try {
    const header = Buffer.alloc(Wal.headerBytes);
    if (readSync(wal, header, { position: 0 }) < header.length) return false;
    const next = Buffer.alloc(Frame.headerBytes);
    const frameBytes = Frame.headerBytes + header.readUInt32BE(Wal.pageSizeAt);
    if (readSync(wal, next, { position: Wal.headerBytes + frames * frameBytes }) < next.length) return false;
    return saltsAt(next, Frame.saltsAt).equals(saltsAt(header, Wal.saltsAt));
  } finally {
    closeSync(wal);
  }
}

/** The WAL stands beside the file that a link leads to. */
function walPath({ name }: Connection): string {
  return `${realpathSync(name)}-wal`;
}

function saltsAt(bytes: Buffer, start: number): Buffer {
  return bytes.subarray(start, start + SALTS_BYTES);
}
