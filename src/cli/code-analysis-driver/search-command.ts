import type { DriverClient } from "../../client/client.js";
import { EntityKind, type SearchHit } from "../../client/messages.js";
import type { Config } from "../../config/config.js";
import { DriverError } from "../../errors.js";
import { ExitCode } from "../exit-code.js";
import { createStyler, type OutputStream, type Style, toPrintable, write } from "../terminal.js";
import type { CommandContext } from "./command-context.js";
import { connect } from "./connection.js";
import { resolveDirectory } from "./index-directory.js";
import type { SearchKind } from "./search-kinds.js";

const MATCH_STYLE: Style = ["bold", "red"];

const KIND_NAMES: Readonly<Record<EntityKind, string>> = {
  [EntityKind.UNSPECIFIED]: "",
  [EntityKind.FILE]: "file",
  [EntityKind.CLASS]: "class",
  [EntityKind.METHOD]: "method",
  [EntityKind.FUNCTION]: "function",
};

const KIND_OF_NAME: Readonly<Record<SearchKind, EntityKind>> = {
  file: EntityKind.FILE,
  class: EntityKind.CLASS,
  method: EntityKind.METHOD,
  function: EntityKind.FUNCTION,
};

/** Where and for what to search; what is not set does not matter. */
export interface SearchOptions {
  /** Most hits to show. */
  readonly limit: number;
  readonly json?: true;
  /** The root directory of a project. */
  readonly project?: string;
  readonly language?: string;
  /** Default: all kinds. */
  readonly kind?: readonly SearchKind[];
  /** What the path from the root directory begins with. */
  readonly path?: string;
}

/**
 * `search WORDS`: prints the best hits with file, line and context.
 *
 * @throws DriverError `PROJECT_NOT_FOUND` when the directory named is no project.
 */
export async function runSearch(
  query: string,
  { limit, json: isJson, project, language = "", kind = [], path = "" }: SearchOptions,
  config: Config,
  { terminal: { stdout, stderr }, signal }: CommandContext,
): Promise<number> {
  const client = connect(config);
  try {
    const projectId = project === undefined ? "" : await projectIdOf(client, project, signal);
    const kinds = kind.map((name) => KIND_OF_NAME[name]);
    const request = { query, projectId, language, kinds, pathPrefix: path };
    const hits: SearchHit[] = [];
    let pageToken = "";
    do {
      // A page has at most as many hits as the driver's `Limits` say.
      const page = await client.searchCode({ ...request, pageSize: limit - hits.length, pageToken }, { signal });
      hits.push(...page.hits);
      pageToken = page.nextPageToken;
    } while (pageToken !== "" && hits.length < limit);
    if (isJson === true) {
      const document = { hits: hits.map(hitToJson), has_more: pageToken !== "" };
      await write(stdout, `${JSON.stringify(document, null, 2)}\n`);
      return ExitCode.OK;
    }
    await write(stdout, hits.map((hit) => formatHit(hit, stdout)).join("\n"));
    if (hits.length === 0)
      await write(stderr, "Nothing found. A prefix search is 'word*', a phrase '\"two words\"'.\n");
    if (pageToken !== "") await write(stderr, `These are the best ${hits.length}; --limit shows more.\n`);
    return ExitCode.OK;
  } finally {
    client.close();
  }
}

async function projectIdOf(client: DriverClient, directory: string, signal: AbortSignal): Promise<string> {
  const rootPath = resolveDirectory(directory);
  const { projects } = await client.listProjects({}, { signal });
  const project = projects.find((it) => it.rootPath === rootPath);
  if (project !== undefined) return project.id;
  throw new DriverError("PROJECT_NOT_FOUND", `${rootPath} is no project of this driver.`, {
    hint: `Index it with: code-analysis-driver index ${directory}`,
  });
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
