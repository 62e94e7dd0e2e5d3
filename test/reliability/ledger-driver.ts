/**
 * A driver process without gRPC: an engine on the database that the argument names, whose calls come over the channel to the parent
 * and are answered there. With `early` as second argument it answers before it writes, as a driver must not.
 */
import { DriverError } from "../../src/errors.js";
import { sqlValue, TestEngine } from "../support/engine.js";
import type { LedgerAnswer, LedgerWrite } from "./ledger.js";

const [, , databasePath = "", mode] = process.argv;
const engine = await TestEngine.open(databasePath, { maxTransactions: 100 });

function insert({ client, seq }: LedgerWrite, part: number) {
  const values = [client, seq, part].map((value) => sqlValue(BigInt(value)));
  return { sql: "INSERT INTO ledger(client, seq, part) VALUES (?, ?, ?)", parameters: values };
}

async function run(write: LedgerWrite): Promise<unknown> {
  const requestId = `${write.client}-${write.seq}`;
  switch (write.kind) {
    case "plain":
      return await engine.call("execute", insert(write, 0));
    case "repeatable":
      return await engine.call("execute", { ...insert(write, 0), requestId });
    case "batch":
      return await engine.call("executeBatch", { statements: [0, 1, 2].map((part) => insert(write, part)), requestId });
    case "transaction": {
      const { transactionId } = await engine.call("beginTransaction", {});
      for (const part of [0, 1]) await engine.call("execute", { ...insert(write, part), transactionId });
      return await engine.call("commitTransaction", { transactionId, requestId });
    }
  }
}

async function answer(write: LedgerWrite): Promise<LedgerAnswer> {
  try {
    await run(write);
    return { id: write.id, reason: null };
  } catch (error) {
    return { id: write.id, reason: DriverError.from(error).reason };
  }
}

process.on("message", (write: LedgerWrite) => {
  if (mode === "early") {
    process.send?.({ id: write.id, reason: null } satisfies LedgerAnswer);
    setTimeout(() => void run(write), 20);
  } else {
    void answer(write).then((sent) => process.send?.(sent));
  }
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
