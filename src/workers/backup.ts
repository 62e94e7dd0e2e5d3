/**
 * Entry file of a backup process: copies the database away from everybody who works with it, and may be killed at any moment;
 * whoever started it then removes the unfinished copy. It serves one `copy`, a stream, and one `publish` after it.
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BackupRequestSchema, BackupResponseSchema } from "../../gen/code_analysis/driver/v1/backup_pb.js";
import { copyDatabase, filesOfCopy, publishCopy, removeCopy } from "../schema/backup.js";
import { assertBackupDestination } from "../security/backup-destination.js";
import { openConnection } from "../sqlite/connection.js";
import { STREAM_WINDOW } from "./channel.js";
import { announce, type WorkerCall, WorkerHost, workerOptions } from "./host.js";
import { decodeRequest } from "./operations/operation.js";

/** What the main process tells a backup process when it starts it. */
export interface BackupWorkerOptions {
  readonly databasePath: string;
  /** The name of the copy until it is published. */
  readonly partialPath: string;
}

const { databasePath, partialPath } = workerOptions<BackupWorkerOptions>();
/** Messages that the caller can take; what is said of progress beyond them is left out. */
let credit = STREAM_WINDOW;

const host = new WorkerHost(
  {
    onCall: (call) => {
      void answer(call);
    },
    onPull: () => {
      credit++;
    },
  },
  filesOfCopy(partialPath),
);

async function answer(call: WorkerCall): Promise<void> {
  try {
    const { destinationPath } = decodeRequest(BackupRequestSchema, call.request);
    if (call.operation === "copy") await copy(call.id, destinationPath);
    else {
      publishCopy(partialPath, destinationPath);
      host.respond(call.id, Buffer.alloc(0));
    }
  } catch (error) {
    host.fail(call.id, error);
  }
}

async function copy(callId: number, destinationPath: string): Promise<void> {
  assertBackupDestination(destinationPath, databasePath);
  const connection = openConnection(databasePath, { role: "reader" });
  try {
    const { bytes, sha256 } = await copyDatabase(connection, partialPath, {
      check: "integrity_check",
      mode: 0o600,
      onProgress: ({ donePages, totalPages }) => {
        const isCopied = donePages === totalPages;
        if (isCopied) host.event({ type: "copied" });
        if (credit > 0) {
          credit--;
          send(callId, { progress: { pagesDone: BigInt(donePages), pagesTotal: BigInt(totalPages) } });
        }
        // The check comes next, and lets nothing leave until it is over.
        if (isCopied) host.flush();
      },
    });
    send(callId, { summary: { destinationPath, sizeBytes: BigInt(bytes), isVerified: true, sha256 } });
    host.end(callId);
  } finally {
    connection.close();
  }
}

function send(callId: number, message: MessageInitShape<typeof BackupResponseSchema>): void {
  host.message(callId, toBinary(BackupResponseSchema, create(BackupResponseSchema, message)));
}

await announce(host, () => {
  // Of a driver that was killed nobody else removes it.
  host.onEnd = () => removeCopy(partialPath);
  return {};
});
