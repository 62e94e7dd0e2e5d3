import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { IndexFileResponseSchema, type RowCountsSchema } from "../../gen/code_analysis/driver/v1/index_pb.js";
import type { RowCounts } from "../indexer/store.js";
import type { FileOutcome } from "../workers/index-messages.js";

/** The encoded `IndexFileResponse` that tells what became of a file; null for one that is none to index. */
export function indexFileResponse(outcome: FileOutcome | null): Uint8Array {
  const response = outcome === null ? { skipped: true } : responseOf(outcome);
  return toBinary(IndexFileResponseSchema, create(IndexFileResponseSchema, response));
}

function responseOf(outcome: FileOutcome): MessageInitShape<typeof IndexFileResponseSchema> {
  const { kind, fileId, relativePath, language, lines, counts, problems, commitSeq } = outcome;
  return {
    fileId: BigInt(fileId),
    filePath: relativePath,
    unchanged: kind === "unchanged",
    removed: kind === "removed",
    language: language ?? "",
    lines,
    ...(counts !== null && { counts: rowCountsMessage(counts) }),
    problems: problems.map(({ type, message, line }) => ({ errorType: type, message, ...(line !== null && { line }) })),
    commitSeq,
  };
}

function rowCountsMessage(counts: RowCounts): MessageInitShape<typeof RowCountsSchema> {
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
