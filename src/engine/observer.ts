import type { IndexingErrorType } from "../indexer/entities.js";
import type { CommitBatch } from "../workers/events.js";

/** Told what the engine does, for metrics. Its methods must be quick and must not throw. */
export interface EngineObserver {
  /** Writes have been committed together. */
  onCommit(batch: CommitBatch): void;
  /** Recovery has changed something in the database. */
  onRecoveryAction(): void;
  /** A row of this type was stored in `indexing_errors`: a file could not be indexed, or not completely. */
  onIndexingError(type: IndexingErrorType): void;
}

/** Observes nothing. */
export const noObserver: EngineObserver = {
  onCommit() {},
  onRecoveryAction() {},
  onIndexingError() {},
};
