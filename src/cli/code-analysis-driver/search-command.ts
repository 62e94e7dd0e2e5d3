import { EntityKind, type SearchHit } from "../../client/messages.js";
import type { Config } from "../../config/config.js";
import { ExitCode } from "../exit-code.js";
import { createStyler, type OutputStream, type Style, toPrintable, write } from "../terminal.js";
import type { CommandContext } from "./command-context.js";
import { connect } from "./connection.js";

const MATCH_STYLE: Style = ["bold", "red"];

const KIND_NAMES: Readonly<Record<EntityKind, string>> = {
  [EntityKind.UNSPECIFIED]: "",
  [EntityKind.FILE]: "file",
  [EntityKind.CLASS]: "class",
  [EntityKind.METHOD]: "method",
  [EntityKind.FUNCTION]: "function",
};

/** `search WORDS`: prints the best hits with file, line and context. */
export async function runSearch(
  query: string,
  limit: number,
  config: Config,
  isJson: boolean,
  { terminal: { stdout, stderr }, signal }: CommandContext,
): Promise<number> {
  const client = connect(config);
  try {
    const { hits, nextPageToken } = await client.searchCode({ query, pageSize: limit }, { signal });
    if (isJson) {
      const document = { hits: hits.map(hitToJson), has_more: nextPageToken !== "" };
      await write(stdout, `${JSON.stringify(document, null, 2)}\n`);
      return ExitCode.OK;
    }
    await write(stdout, hits.map((hit) => formatHit(hit, stdout)).join("\n"));
    if (hits.length === 0)
      await write(stderr, "Nothing found. A prefix search is 'word*', a phrase '\"two words\"'.\n");
    if (nextPageToken !== "") await write(stderr, `These are the best ${hits.length}; --limit shows more.\n`);
    return ExitCode.OK;
  } finally {
    client.close();
  }
}

function formatHit(hit: SearchHit, stream: OutputStream): string {
  const style = createStyler(stream);
  const kind = KIND_NAMES[hit.entity?.kind ?? EntityKind.UNSPECIFIED];
  const name = [hit.className, hit.entityName].filter((part) => part !== "").join(".");
  const isFile = hit.entity?.kind === EntityKind.FILE;
  const what = isFile ? "" : `  ${style("dim", kind)} ${style("bold", toPrintable(name))}`;
  const head = `${style("cyan", toPrintable(hit.filePath))}:${hit.line}${what}`;
  const context = markMatches(hit, (text) => style(MATCH_STYLE, text))
    .split("\n")
    .map((text, index) => `${style("dim", String(hit.snippetLine + index).padStart(7))}  ${text}`);
  return `${[head, ...context].join("\n")}\n`;
}

/** The snippet with each match through `mark`; the ranges count bytes of UTF-8. */
function markMatches({ snippet, matches }: SearchHit, mark: (text: string) => string): string {
  const bytes = Buffer.from(snippet);
  let text = "";
  let position = 0;
  for (const { start, end } of matches) {
    text +=
      toPrintable(bytes.toString("utf8", position, start)) + mark(toPrintable(bytes.toString("utf8", start, end)));
    position = end;
  }
  return (text + toPrintable(bytes.toString("utf8", position))).trimEnd();
}

function hitToJson(hit: SearchHit): unknown {
  return {
    project_id: hit.projectId,
    file_path: hit.filePath,
    line: hit.line,
    end_line: hit.endLine,
    kind: KIND_NAMES[hit.entity?.kind ?? EntityKind.UNSPECIFIED],
    name: hit.entityName,
    class_name: hit.className,
    language: hit.language,
    snippet: hit.snippet,
    snippet_line: hit.snippetLine,
    matches: hit.matches.map(({ start, end }) => ({ start, end })),
    score: hit.score,
  };
}
