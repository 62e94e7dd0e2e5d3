import assert from "node:assert/strict";
import { DriverError, type Reason } from "../../src/errors.js";

/** The error that a call fails with. */
async function failureOf(call: Promise<unknown> | AsyncIterable<unknown>): Promise<DriverError> {
  try {
    if (Symbol.asyncIterator in call) for await (const _ of call);
    else await call;
  } catch (error) {
    assert.ok(error instanceof DriverError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "the call succeeded" });
}

export async function failsWith(reason: Reason, call: Promise<unknown> | AsyncIterable<unknown>): Promise<DriverError> {
  const error = await failureOf(call);
  assert.equal(error.reason, reason, error.message);
  return error;
}
