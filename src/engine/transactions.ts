import { randomUUID } from "node:crypto";
import { DriverError, draining } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { type CallContext, callWith } from "./call.js";
import type { EngineLimits } from "./limits.js";
import type { ExclusiveTurn, Writer } from "./writer.js";

/** How many ended transactions are remembered, to say of one why it is gone. */
const REMEMBERED_ENDINGS = 1_000;

interface Lease {
  readonly id: string;
  readonly turn: ExclusiveTurn;
  readonly expiry: NodeJS.Timeout;
  readonly ttlMs: number;
  /** Monotonic. A statement that still runs then is stopped. */
  readonly expiresMs: number;
  /** Aborts the calls that run in the transaction when it ends without them. */
  readonly ended: AbortController;
}

/**
 * Interactive transactions. A client holds one under a lease: when it does not commit within the time to live, the transaction
 * is rolled back, so that a client that died blocks the writer no longer than that. One is open at a time, others wait.
 */
export class Transactions {
  readonly #writer: Writer;
  readonly #limits: EngineLimits;
  readonly #endings = new Map<string, DriverError>();
  #lease: Lease | null = null;
  #openOrWaiting = 0;

  constructor(writer: Writer, limits: EngineLimits) {
    this.#writer = writer;
    this.#limits = limits;
  }

  /** Transactions that are open or wait to be opened. */
  get count(): number {
    return this.#openOrWaiting;
  }

  /**
   * Opens a transaction, after those before it have ended, and returns its id and time to live.
   *
   * @throws DriverError `INVALID_REQUEST` for a ttl out of range, `OVERLOADED` when too many wait already.
   */
  async begin(requestedTtlMs: number | null, context: CallContext): Promise<{ id: string; ttlMs: number }> {
    const { maxTransactions, maxTransactionTtlMs, defaultTransactionTtlMs } = this.#limits;
    const ttlMs = requestedTtlMs ?? defaultTransactionTtlMs;
    if (!(ttlMs > 0 && ttlMs <= maxTransactionTtlMs)) {
      throw new DriverError(
        "INVALID_REQUEST",
        `The ttl of ${ttlMs} ms is not between 1 ms and ${maxTransactionTtlMs} ms.`,
        {
          field: "ttl",
        },
      );
    }
    if (this.#openOrWaiting >= maxTransactions) {
      throw new DriverError("OVERLOADED", `There are ${this.#openOrWaiting} transactions open or waiting already.`, {
        hint: "Try again later.",
        retryAfterMs: defaultTransactionTtlMs,
      });
    }
    this.#openOrWaiting++;
    let turn: ExclusiveTurn | undefined;
    try {
      turn = await this.#writer.takeExclusiveTurn(context.signal);
      await this.#writer.beginInTurn(context);
      const id = randomUUID();
      const expiry = setTimeout(() => this.#expire(id), ttlMs);
      this.#lease = { id, turn, expiry, ttlMs, expiresMs: monotonicMs() + ttlMs, ended: new AbortController() };
      return { id, ttlMs };
    } catch (error) {
      this.#openOrWaiting--;
      // The BEGIN may have run although its caller is gone.
      if (turn !== undefined) await this.#rollBack(turn);
      throw error;
    }
  }

  /** Runs a call inside transaction `id`. */
  async call(id: string, operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    const lease = this.#enter(id, context);
    try {
      return await this.#writer.callInTurn(operation, request, bounded(lease, context));
    } catch (error) {
      throw this.#explained(lease, context, error);
    }
  }

  /** Streams a call inside transaction `id`. */
  async *stream(id: string, operation: string, request: Uint8Array, context: CallContext): AsyncGenerator<Buffer> {
    const lease = this.#enter(id, context);
    try {
      yield* this.#writer.streamInTurn(operation, request, bounded(lease, context));
    } catch (error) {
      throw this.#explained(lease, context, error);
    }
  }

  /** Commits transaction `id`; a repeated commit with the same `request_id` gets the first answer again. */
  async commit(id: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    this.#expireIfOver();
    if (this.#lease?.id !== id) {
      const ending = this.#endings.get(id);
      if (ending !== undefined) throw ending;
      return await this.#writer.write("commitTransaction", request, context);
    }
    const lease = this.#lease;
    this.#close(lease);
    try {
      // A client that goes away does not take its commit back.
      return await this.#writer.commitInTurn(request, callWith(context, { signal: lease.ended.signal }));
    } catch (error) {
      await this.#rollBack(lease.turn);
      throw error;
    } finally {
      lease.turn.end();
    }
  }

  /** Rolls back transaction `id`; one that was rolled back already because it expired or was lost is as its client wants it. */
  async rollback(id: string): Promise<void> {
    this.#expireIfOver();
    if (this.#endings.get(id)?.reason === "TRANSACTION_EXPIRED") return;
    const lease = this.#open(id);
    this.#end(lease, new DriverError("TRANSACTION_NOT_FOUND", `The transaction ${id} was rolled back by its client.`));
    await this.#rollBack(lease.turn);
  }

  /** The open transaction is gone without anybody having asked for it. */
  lost(why: DriverError): void {
    if (this.#lease === null) return;
    const { turn } = this.#lease;
    this.#end(this.#lease, why);
    turn.end();
  }

  /** Rolls back what is open; for the end of the process. */
  async close(): Promise<void> {
    if (this.#lease === null) return;
    const lease = this.#lease;
    this.#end(lease, draining("The transaction was rolled back because the driver is shutting down."));
    await this.#rollBack(lease.turn);
  }

  /** A transaction runs on the writer's connection, where nothing would stop a statement that writes. */
  #enter(id: string, { role }: CallContext): Lease {
    if (role === "read-only") {
      throw new DriverError("ROLE_NOT_ALLOWED", "A client that may only read has no part in a transaction.", {
        field: "transaction_id",
      });
    }
    return this.#open(id);
  }

  #open(id: string): Lease {
    this.#expireIfOver();
    if (this.#lease?.id === id) return this.#lease;
    throw (
      this.#endings.get(id) ??
      new DriverError("TRANSACTION_NOT_FOUND", `There is no open transaction ${id}.`, { field: "transaction_id" })
    );
  }

  /** After a pause of this process, what came meanwhile is heard before the timer of a lease that is over. */
  #expireIfOver(): void {
    if (this.#lease !== null && monotonicMs() >= this.#lease.expiresMs) this.#expire(this.#lease.id);
  }

  #expire(id: string): void {
    if (this.#lease?.id !== id) return;
    const lease = this.#lease;
    this.#end(
      lease,
      new DriverError(
        "TRANSACTION_EXPIRED",
        `The transaction ${id} was rolled back: its time to live of ${lease.ttlMs} ms is over.`,
        {
          hint: "Begin a new transaction, with a longer ttl if it needs one.",
        },
      ),
    );
    void this.#rollBack(lease.turn);
  }

  /** The lease is over; calls that still run in it are given up, and `why` answers later ones. */
  #end(lease: Lease, why: DriverError): void {
    this.#close(lease);
    lease.ended.abort();
    this.#endings.set(lease.id, why);
    const oldest = this.#endings.size > REMEMBERED_ENDINGS ? this.#endings.keys().next().value : undefined;
    if (oldest !== undefined) this.#endings.delete(oldest);
  }

  #close(lease: Lease): void {
    clearTimeout(lease.expiry);
    this.#lease = null;
    this.#openOrWaiting--;
  }

  /** Ends the transaction in the database, if there is one, and lets others have the writer. */
  async #rollBack(turn: ExclusiveTurn): Promise<void> {
    await this.#writer.rollBackInTurn();
    turn.end();
  }

  /** A call that was given up because its transaction ended says that. */
  #explained(lease: Lease, context: CallContext, error: unknown): unknown {
    const wasGivenUp = error instanceof DriverError && error.reason === "CANCELLED" && !context.signal.aborted;
    return wasGivenUp ? (this.#endings.get(lease.id) ?? error) : error;
  }
}

function bounded({ ended, expiresMs }: Lease, context: CallContext): CallContext {
  return callWith(context, {
    deadlineMs: Math.min(context.deadlineMs, expiresMs),
    signal: AbortSignal.any([context.signal, ended.signal]),
  });
}
