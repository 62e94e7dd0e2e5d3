/** The messages that users of the client name; generated, so all others are in `gen/` as well. */
export {
  type IndexFailure,
  IndexPhase,
  type IndexProgress,
  type IndexSummary,
} from "../../gen/code_analysis/driver/v1/index_pb.js";
export type { Project } from "../../gen/code_analysis/driver/v1/project_pb.js";
export { EntityKind, type SearchHit } from "../../gen/code_analysis/driver/v1/search_pb.js";
export type { Column, Row, Value } from "../../gen/code_analysis/driver/v1/value_pb.js";
