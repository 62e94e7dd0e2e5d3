import { randomUUID } from "node:crypto";
import { openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * What a worker process leaves behind for its parent however it ends: an unlinked file that both hold open.
 *
 *     u32 call that the watchdog is about to end | u32 call that is worked on | u32 item of it        (little endian, 0: none)
 */
const Offset = { KILLED_CALL: 0, WORKING_CALL: 4, WORKING_ITEM: 8 } as const;
const RECORD_BYTES = 12;

/** The file's descriptor in a worker process. */
const STATUS_FD = 4;

/** What the file said when the process had ended. */
export interface WorkerStatus {
  /** The call whose time was up, so that the process was ended; 0 for none. */
  readonly killedCall: number;
  /** The call of which an item was worked on; 0 for none, and where calls have no items. */
  readonly workingCall: number;
  readonly workingItem: number;
}

/** Makes the file; for the parent, which passes it on as `STATUS_FD`. */
export function openStatusFile(): number {
  const path = join(tmpdir(), `code-analysis-driver-${randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return fd;
}

export function readStatus(fd: number): WorkerStatus {
  const record = Buffer.alloc(RECORD_BYTES);
  // What was never written is zero.
  readSync(fd, record, 0, RECORD_BYTES, 0);
  return {
    killedCall: record.readUInt32LE(Offset.KILLED_CALL),
    workingCall: record.readUInt32LE(Offset.WORKING_CALL),
    workingItem: record.readUInt32LE(Offset.WORKING_ITEM),
  };
}

/** In a worker: the process is about to be ended because of this call. */
export function writeKilledCall(callId: number): void {
  const record = Buffer.alloc(4);
  record.writeUInt32LE(callId);
  writeSync(STATUS_FD, record, 0, record.length, Offset.KILLED_CALL);
}

/** In a worker: this item is worked on from now on; call 0 for none. */
export function writeWorking(callId: number, item: number): void {
  const record = Buffer.alloc(8);
  record.writeUInt32LE(callId, 0);
  record.writeUInt32LE(item, 4);
  writeSync(STATUS_FD, record, 0, record.length, Offset.WORKING_CALL);
}
