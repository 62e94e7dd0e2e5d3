import { DriverError } from "../errors.js";
import type { IndexingErrorType } from "./entities.js";

/** Why a whole file could not be indexed. Its last good rows stay; `type` becomes `indexing_errors.error_type`. */
export class IndexingError extends DriverError {
  readonly type: IndexingErrorType;

  constructor(type: IndexingErrorType, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super("FILE_NOT_INDEXABLE", message, options);
    this.name = "IndexingError";
    this.type = type;
  }
}
