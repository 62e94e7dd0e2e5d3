import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { Channel, encodeCallHeader, FrameKind } from "../../src/workers/channel.js";
import { TEST_LIMITS } from "../support/engine.js";
import { useTempFolder } from "../support/temp-folder.js";

const WRITER = fileURLToPath(new URL("../../src/workers/writer.js", import.meta.url));

describe("a writer whose parent is gone", () => {
  const path = useTempFolder();

  it("ends without a word, whatever it was still asked", async () => {
    const options = JSON.stringify({ databasePath: path("test.db"), limits: TEST_LIMITS });
    const child = spawn(process.execPath, [WRITER, options], { stdio: ["ignore", "ignore", "pipe", "pipe"] });
    const words: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => words.push(chunk));
    const socket = child.stdio[3] as Duplex;
    await new Promise<void>((resolve) => {
      const channel = new Channel(socket, ({ kind, payload }) => {
        if (kind !== FrameKind.EVENT || !payload.includes('"ready"')) return;
        const header = encodeCallHeader({ operation: "checkpoint", deadlineMs: Number.POSITIVE_INFINITY });
        for (let callId = 1; callId <= 100; callId++) channel.send(callId, FrameKind.CALL, header);
        channel.flush();
        socket.end(() => socket.destroy());
        resolve();
      });
    });
    const [code] = await once(child, "close");
    assert.deepEqual([code, Buffer.concat(words).toString()], [0, ""]);
  });
});
