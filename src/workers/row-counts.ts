import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RowCountsSchema } from "../../gen/code_analysis/driver/v1/index_pb.js";
import type { RowCounts } from "../indexer/store.js";

/** The rows of a file as a message. */
export function rowCountsMessage(counts: RowCounts): MessageInitShape<typeof RowCountsSchema> {
  return {
    classes: BigInt(counts.classes),
    methods: BigInt(counts.methods),
    functions: BigInt(counts.functions),
    imports: BigInt(counts.imports),
    usages: BigInt(counts.usages),
    content: BigInt(counts.content),
    crossReferences: BigInt(counts.crossReferences),
  };
}
