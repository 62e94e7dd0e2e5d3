import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createEdgeResolver } from "../../src/indexer/cross-references.js";
import type { ParsedFile } from "../../src/indexer/entities.js";
import { extractionRules } from "../../src/indexer/extraction-rules.js";
import { parseSource } from "../../src/indexer/parse.js";
import { createFileStore, type FileChange, type StoredFile } from "../../src/indexer/store.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { inTransaction } from "../../src/sqlite/transaction.js";

const SCHEMA = readFileSync(new URL("../../src/schema/code-analysis.sql", import.meta.url), "utf8");

const parsedByText = new Map<string, ParsedFile>();

/** Parses `text` as the file at `path`; equal texts are parsed once. */
async function parseText(path: string, text: string): Promise<ParsedFile> {
  const key = `${path.slice(path.lastIndexOf("."))}\0${text}`;
  const known = parsedByText.get(key);
  if (known !== undefined) return known;
  const parsed = await parseSource(Buffer.from(text), path, { maxBytes: 10_000_000, timeoutMs: 60_000 });
  if (parsedByText.size > 20_000) parsedByText.clear();
  parsedByText.set(key, parsed);
  return parsed;
}

/** A database with the built-in schema and one or more projects, filled from texts through the real parser and store. */
export class IndexedProject {
  readonly connection: Connection;
  readonly store: ReturnType<typeof createFileStore>;
  readonly edges: ReturnType<typeof createEdgeResolver>;

  /** @param database a path, or an open database that has the tables and projects already; closed with this object. */
  constructor(database: string | Connection = ":memory:", projects: readonly string[] = ["p"]) {
    if (typeof database === "string") {
      this.connection = openConnection(database, { role: "writer" });
      this.connection.exec(SCHEMA);
      for (const id of projects) {
        this.connection.prepare("INSERT INTO projects (id, root_path) VALUES (?, ?)").run(id, `/${id}`);
      }
    } else {
      this.connection = database;
    }
    this.store = createFileStore(this.connection);
    this.edges = createEdgeResolver(this.connection);
  }

  /** Writes the rows of one file without its edges into other files. */
  async write(relativePath: string, text: string, projectId = "p"): Promise<StoredFile> {
    const parsed = await parseText(relativePath, text);
    return inTransaction(this.connection, () =>
      this.store.storeFile({
        projectId,
        path: `/${projectId}/${relativePath}`,
        relativePath,
        size: Buffer.byteLength(text),
        contentHash: createHash("sha256").update(text).digest("hex"),
        lastModified: 0,
        parsed,
        rules: extractionRules(parsed.language),
      }),
    );
  }

  remove(relativePath: string, projectId = "p"): FileChange | null {
    return inTransaction(this.connection, () => this.store.removeFile(projectId, `/${projectId}/${relativePath}`));
  }

  resolve(changes: readonly FileChange[], projectId = "p"): void {
    inTransaction(this.connection, () => this.edges.resolve(projectId, changes));
  }

  /** Writes files one after the other, each with its edges. */
  async index(files: Iterable<readonly [path: string, text: string]>, projectId = "p"): Promise<StoredFile[]> {
    const stored: StoredFile[] = [];
    for (const [path, text] of files) {
      const file = await this.write(path, text, projectId);
      this.resolve([file], projectId);
      stored.push(file);
    }
    return stored;
  }

  /** Throws when a full-text index differs from the rows that it was made from. */
  assertFullTextIsWhole(): void {
    for (const table of ["code_content_fts", "symbols_fts"]) {
      this.connection.exec(`INSERT INTO ${table} (${table}, rank) VALUES ('integrity-check', 1)`);
    }
  }

  close(): void {
    this.connection.close();
  }
}

const ENTITY = (alias: string, type: string, id: string): string => `(
  SELECT printf('%s:%s:%s:%s', sf.relative_path, ${alias}.entity_type, coalesce(${alias}.scope, '-'), ${alias}.name) || ':' ||
    ${alias}.line
  FROM symbols ${alias} JOIN files sf ON sf.id = ${alias}.file_id WHERE ${alias}.entity_type = ${type} AND ${alias}.entity_id = ${id})`;

const EDGE_END = (side: string): string => `
  CASE WHEN ${side}_class_id IS NOT NULL THEN ${ENTITY("s1", "'class'", `${side}_class_id`)}
       WHEN ${side}_method_id IS NOT NULL THEN ${ENTITY("s2", "'method'", `${side}_method_id`)}
       ELSE ${ENTITY("s3", "'function'", `${side}_function_id`)} END`;

/** Every table of the index without ids and times: one SELECT each. */
const DUMP = {
  files: `SELECT path, relative_path, lines, has_docstring, deleted, needs_chunking FROM files`,
  indexed_files: `SELECT f.path, i.content_hash, i.size, i.language FROM indexed_files i JOIN files f ON f.id = i.file_id`,
  extractions: `SELECT f.path, x.rules, x.problem_line FROM extractions x JOIN files f ON f.id = x.file_id`,
  classes: `SELECT f.path, c.name, c.line, c.end_line, c.docstring, c.bases FROM classes c JOIN files f ON f.id = c.file_id`,
  methods: `SELECT f.path, c.name AS class, m.name, m.line, m.end_line, m.args, m.docstring, m.is_abstract, m.has_pass,
      m.has_not_implemented, m.complexity
    FROM methods m JOIN classes c ON c.id = m.class_id JOIN files f ON f.id = c.file_id`,
  functions: `SELECT f.path, u.name, u.line, u.end_line, u.args, u.docstring, u.complexity
    FROM functions u JOIN files f ON f.id = u.file_id`,
  imports: `SELECT f.path, i.name, i.module, i.import_type, i.line FROM imports i JOIN files f ON f.id = i.file_id`,
  usages: `SELECT f.path, u.line, u.usage_type, u.target_type, u.target_class, u.target_name, u.context
    FROM usages u JOIN files f ON f.id = u.file_id`,
  external_uses: `SELECT f.path, u.number, u.line, u.target_type, ${ENTITY("s", "u.caller_type", "u.caller_id")} AS caller,
      u.name, u.origin, EXISTS (SELECT 1 FROM entity_cross_ref e WHERE e.id = u.edge_id) AS has_edge
    FROM external_uses u JOIN files f ON f.id = u.file_id`,
  entity_cross_ref: `SELECT f.path, e.line, e.ref_type, e.id IN (SELECT edge_id FROM external_uses WHERE edge_id > 0) AS is_foreign,
      ${EDGE_END("caller")} AS caller, ${EDGE_END("callee")} AS callee
    FROM entity_cross_ref e LEFT JOIN files f ON f.id = e.file_id`,
  code_content: `SELECT f.path, c.entity_type, c.entity_name, c.content, c.docstring
    FROM code_content c JOIN files f ON f.id = c.file_id`,
  symbols: `SELECT f.path, s.entity_type, s.name, s.scope, s.words, s.start_line, s.line, s.end_line,
      c.entity_type AS text_type, c.entity_id = s.entity_id AS is_same_entity
    FROM symbols s JOIN files f ON f.id = s.file_id LEFT JOIN code_content c ON c.id = s.id`,
  indexing_errors: `SELECT project_id, file_path, error_type, error_message FROM indexing_errors`,
} as const;

/** All rows of the index, ids and times aside, each as JSON, sorted: equal for equal indexes. */
export function dumpIndex(connection: Connection): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(DUMP).map(([table, sql]) => [
      table,
      connection
        .prepare(sql)
        .all()
        .map((row) => JSON.stringify(row))
        .sort(),
    ]),
  );
}
