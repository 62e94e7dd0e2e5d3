import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BackupRequestSchema, BackupResponseSchema } from "../../gen/code_analysis/driver/v1/backup_pb.js";
import { Backups } from "../../src/engine/backups.js";
import { Snapshots } from "../../src/engine/snapshots.js";
import { contextOf, reason } from "../support/engine.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";

describe("a backup", () => {
  afterEach(removeScratchDatabases);

  it("counts among the snapshots that are held while it copies, and no longer while its copy is checked", async () => {
    const { path } = scratchDatabase("CREATE TABLE t (x)");
    const snapshots = new Snapshots();
    const backups = new Backups(path, () => undefined, snapshots);
    const request = create(BackupRequestSchema, { destinationPath: `${path}.backup` });
    let wasHeld = false;
    let isOver = false;
    // What is held in one turn of the event loop is let go in a later one.
    const watching = (async () => {
      for (; !isOver; await turn()) wasHeld ||= snapshots.oldestAgeMs !== undefined;
    })();
    const bytes = Buffer.from(toBinary(BackupRequestSchema, request));
    let isCopied = false;
    try {
      for await (const message of backups.backup(bytes, contextOf({}))) {
        const { progress, summary } = fromBinary(BackupResponseSchema, message);
        isCopied ||= progress !== undefined && progress.pagesDone === progress.pagesTotal;
        assert.ok(isCopied || summary === undefined, "it is not told when everything is copied");
        if (isCopied) assert.equal(snapshots.oldestAgeMs, undefined);
      }
    } finally {
      isOver = true;
      await watching;
    }
    assert.ok(wasHeld, "its snapshot was never counted");
  });

  it("gives its place back when it ends before anybody has looked at its destination", async () => {
    const { path } = scratchDatabase("CREATE TABLE t (x)");
    const backups = new Backups(path, () => undefined, new Snapshots());
    const backup = async (destinationPath: string, context = contextOf({})) => {
      const request = toBinary(BackupRequestSchema, create(BackupRequestSchema, { destinationPath }));
      for await (const _ of backups.backup(Buffer.from(request), context));
    };
    for (const destination of [`${path}/below-a-file.db`, "a\0b", `${path}/below-a-file.db`]) {
      await assert.rejects(backup(destination, contextOf({ signal: AbortSignal.abort() })), reason("CANCELLED"));
    }
    await backup(`${path}.backup`);
  });
});
