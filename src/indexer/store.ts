import type { Connection } from "../sqlite/connection.js";
import { type BoundValue, createRowInserter } from "../sqlite/row-inserter.js";
import { createContentStore } from "./content-store.js";
import { createDefinitionStore } from "./definition-store.js";
import type { IndexingErrorType, ParsedFile, Problem } from "./entities.js";
import { extractionRules } from "./extraction-rules.js";
import { createFailureStore, IS_OURS, IS_PROBLEM } from "./failure-store.js";
import { type Binding, bindNames, type FileBindings } from "./name-binding.js";
import type { NamedDefinition, StoredFileInput } from "./stored-file.js";

/** How many rows a file has in each table; `crossReferences` are the edges whose caller is in the file. */
export interface RowCounts {
  readonly classes: number;
  readonly methods: number;
  readonly functions: number;
  readonly imports: number;
  readonly usages: number;
  readonly content: number;
  readonly crossReferences: number;
}

/** A file whose rows were written: what `EdgeResolver.resolve()` must know to bring the edges of the project up to date. */
export interface FileChange {
  readonly fileId: number;
  readonly relativePath: string;
  /** Definitions that appeared in the file or vanished from it, as far as other files can name them; each only once. */
  readonly changed: readonly NamedDefinition[];
}

/** What `storeFile` did. Edges into other files are in neither number: they come with `EdgeResolver.resolve()`. */
export interface StoredFile extends FileChange {
  readonly counts: RowCounts;
}

/** A file that is in the index. */
export interface IndexedFile {
  readonly id: number;
  readonly path: string;
  readonly relativePath: string | null;
  /**
   * Of the bytes that its rows were made from; null when they must be made anew whatever the file contains: another program
   * wrote them or has set `needs_chunking`, another build of the driver made them by other rules, or the last attempt to index
   * the file failed.
   */
  readonly contentHash: string | null;
  readonly size: number | null;
  /** Seconds since 1970, with fractions. */
  readonly lastModified: number | null;
  readonly lines: number | null;
  /** Null for a file that is stored as text only. */
  readonly language: string | null;
  /** The first thing that was wrong with the file when its rows were made; null when nothing was. */
  readonly problem: StoredProblem | null;
}

/** A `Problem` as it is stored. */
export interface StoredProblem {
  readonly type: string;
  readonly message: string;
  /** Null when another program stored it. */
  readonly line: number | null;
}

/**
 * Writes the rows of files through one connection. Every function runs inside a transaction (or savepoint) that the caller
 * opened, and leaves ending it to the caller; after an error the caller must roll back.
 */
export interface FileStore {
  /**
   * Replaces all rows of one file. `files.id` stays, and so do the ids of definitions that are still there, because other
   * services hang rows on them that would be deleted with them. Clears `needs_chunking` and the file's indexing error, or
   * stores the first of `parsed.problems` as one.
   */
  storeFile(file: StoredFileInput): StoredFile;
  /**
   * Stores why the file at the absolute `path` could not be indexed, in place of what was stored before; the file's other rows
   * stay as they are.
   */
  storeFailure(projectId: string, path: string, type: IndexingErrorType, message: string): void;
  /**
   * Deletes the file, all its rows, those of other services too, and its indexing error; null when there is nothing but that error, or
   * nothing at all.
   */
  removeFile(projectId: string, path: string): FileChange | null;
  /** The file, or null; a file that another service has marked as deleted counts as absent. */
  findFile(projectId: string, path: string): IndexedFile | null;
  /**
   * The absolute paths of all that is stored of a project, each once: its files, without those that another service has marked as
   * deleted, and what could not be indexed.
   */
  listPaths(projectId: string): string[];
  /** Whether `listPaths` has this path. */
  hasPath(projectId: string, path: string): boolean;
  /** How many rows the file has. */
  countRows(fileId: number): RowCounts;
}

/** A row of `FILES`. */
interface FileRow extends Omit<IndexedFile, "problem"> {
  readonly rules: string | null;
  readonly problemType: string | null;
  readonly problemMessage: string | null;
  readonly problemLine: number | null;
}

const FILES = `SELECT f.id, f.path, f.relative_path AS relativePath, f.last_modified AS lastModified, i.size, f.lines, i.language,
    x.rules, CASE WHEN f.needs_chunking IS NOT 1 AND (e.id IS NULL OR ${IS_PROBLEM}) THEN i.content_hash END AS contentHash,
    CASE WHEN ${IS_PROBLEM} THEN e.error_type END AS problemType, e.error_message AS problemMessage,
    x.problem_line AS problemLine
  FROM main.files f LEFT JOIN main.indexed_files i ON i.file_id = f.id LEFT JOIN main.extractions x ON x.file_id = f.id
    LEFT JOIN main.indexing_errors e ON e.project_id = f.project_id AND e.file_path = f.path
  WHERE f.deleted IS NOT 1 AND f.project_id = ?`;

const PATHS = `SELECT path FROM main.files WHERE deleted IS NOT 1 AND project_id = @projectId
  UNION SELECT e.file_path FROM main.indexing_errors e WHERE e.project_id = @projectId AND ${IS_OURS}`;

function fileOfRow({ rules, problemType, problemMessage, problemLine, ...file }: FileRow): IndexedFile {
  const problem = problemType === null ? null : { type: problemType, message: problemMessage ?? "", line: problemLine };
  return { ...file, problem, ...(rules !== extractionRules(file.language) && { contentHash: null }) };
}

/** Tables whose rows of a file are deleted and written anew, since nothing refers to them. */
const REPLACED_TABLES = ["entity_cross_ref", "imports", "usages", "external_uses"] as const;

type ExternalBinding = Extract<Binding, { kind: "foreign" }>;

/** Prepares all statements for `connection`. */
export function createFileStore(connection: Connection): FileStore {
  const content = createContentStore(connection);
  const definitions = createDefinitionStore(connection);
  const insertImports = createRowInserter(connection, "imports", [
    ...["file_id", "name", "module", "import_type", "line"],
  ]);
  const insertUsages = createRowInserter(connection, "usages", [
    ...["file_id", "line", "usage_type", "target_type", "target_class", "target_name", "context"],
  ]);
  const insertExternalUses = createRowInserter(connection, "external_uses", [
    ...["file_id", "number", "line", "target_type", "caller_type", "caller_id", "name", "origin"],
  ]);
  const insertEdges = createRowInserter(connection, "entity_cross_ref", [
    ...["caller_class_id", "caller_method_id", "caller_function_id"],
    ...["callee_class_id", "callee_method_id", "callee_function_id"],
    ...["ref_type", "file_id", "line"],
  ]);

  const findFile = connection.prepare<[string, string], FileRow>(`${FILES} AND f.path = ?`);
  const listPaths = connection.prepare<{ projectId: string }, string>(`${PATHS} ORDER BY path`).pluck();
  const hasPath = connection
    .prepare<{ projectId: string; path: string }, 1>(`SELECT 1 FROM (${PATHS}) WHERE path = @path`)
    .pluck();
  const findAnyFile = connection.prepare<[string, string], Pick<IndexedFile, "id" | "relativePath" | "language">>(
    `SELECT f.id, f.relative_path AS relativePath, i.language
     FROM main.files f LEFT JOIN main.indexed_files i ON i.file_id = f.id WHERE f.project_id = ? AND f.path = ?`,
  );
  const insertFile = connection.prepare<BoundValue[], { id: number }>(
    `INSERT INTO main.files (relative_path, lines, last_modified, has_docstring, project_id, path)
     VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
  );
  const updateFile = connection.prepare<BoundValue[]>(
    `UPDATE main.files SET relative_path = ?, lines = ?, last_modified = ?, has_docstring = ?, deleted = 0,
       needs_chunking = 0, updated_at = julianday('now') WHERE id = ?`,
  );
  const setIndexed = connection.prepare<[number, string, number, string | null]>(
    "INSERT OR REPLACE INTO main.indexed_files (file_id, content_hash, size, language) VALUES (?, ?, ?, ?)",
  );
  const setExtraction = connection.prepare<[number, string, number | null]>(
    "INSERT OR REPLACE INTO main.extractions (file_id, rules, problem_line) VALUES (?, ?, ?)",
  );
  const deleteFile = connection.prepare<[number]>("DELETE FROM main.files WHERE id = ?");
  const deleteRows = REPLACED_TABLES.map((table) =>
    connection.prepare<[number]>(`DELETE FROM main.${table} WHERE file_id = ?`),
  );
  const failures = createFailureStore(connection);
  const count = connection.prepare<[number], RowCounts>(
    `SELECT (SELECT count(*) FROM main.classes WHERE file_id = f.id) AS classes,
       (SELECT count(*) FROM main.classes c JOIN main.methods m ON m.class_id = c.id WHERE c.file_id = f.id) AS methods,
       (SELECT count(*) FROM main.functions WHERE file_id = f.id) AS functions,
       (SELECT count(*) FROM main.imports WHERE file_id = f.id) AS imports,
       (SELECT count(*) FROM main.usages WHERE file_id = f.id) AS usages,
       (SELECT count(*) FROM main.code_content WHERE file_id = f.id) AS content,
       (SELECT count(*) FROM main.entity_cross_ref WHERE file_id = f.id) AS crossReferences
     FROM (SELECT ? AS id) f`,
  );

  function writeNames(fileId: number, parsed: ParsedFile, bindings: FileBindings, ids: Float64Array): number {
    const { definitions } = parsed;
    const edges: BoundValue[] = [];
    let edgeCount = 0;
    const addEdge = (caller: number, callee: number, type: string, line: number): void => {
      const from = definitions[caller]?.kind;
      const to = definitions[callee]?.kind;
      const callerId = ids[caller] ?? 0;
      const calleeId = ids[callee] ?? 0;
      edges.push(from === "class" ? callerId : null, from === "method" ? callerId : null);
      edges.push(from === "function" ? callerId : null, to === "class" ? calleeId : null);
      edges.push(to === "method" ? calleeId : null, to === "function" ? calleeId : null);
      edges.push(type, fileId, line);
      edgeCount++;
    };

    const external: BoundValue[] = [];
    let externalCount = 0;
    const addExternal = (caller: number, binding: ExternalBinding, target: string, line: number): void => {
      const { kind = null } = definitions[caller] ?? {};
      external.push(fileId, externalCount, line, target, kind, ids[caller] ?? 0, binding.name, binding.origin);
      externalCount++;
    };

    const usages: BoundValue[] = [];
    for (const [index, usage] of parsed.usages.entries()) {
      const { line, type, targetType, targetClass, targetName, context, callerIndex } = usage;
      usages.push(fileId, line, type, targetType, targetClass, targetName, context);
      const binding = bindings.usages[index];
      if (callerIndex === null || binding === undefined) continue;
      if (binding.kind === "foreign") {
        addExternal(callerIndex, binding, targetType, line);
      } else if (binding.kind === "local") {
        const isClass = definitions[binding.definition]?.kind === "class";
        addEdge(callerIndex, binding.definition, isClass ? "instantiation" : "call", line);
      }
    }
    for (const [index, ofClass] of bindings.bases) {
      const line = definitions[index]?.line ?? 0;
      for (const binding of ofClass) {
        if (binding.kind === "foreign") addExternal(index, binding, "base", line);
        else if (binding.kind === "local") addEdge(index, binding.definition, "inherit", line);
      }
    }
    insertUsages.insert(usages);
    insertExternalUses.insert(external);
    insertEdges.insert(edges);
    return edgeCount;
  }

  function storeProblem(projectId: string, path: string, problem: Problem | undefined): void {
    if (problem === undefined) failures.clear(projectId, path);
    else failures.store(projectId, path, problem.type, problem.message);
  }

  return {
    storeFile(file) {
      const { parsed, projectId, relativePath } = file;
      const before = findAnyFile.get(projectId, file.path);
      const columns: BoundValue[] = [relativePath, parsed.lineCount, file.lastModified];
      columns.push(parsed.docstring === null ? 0 : 1);
      let fileId: number;
      if (before === undefined) {
        fileId = insertFile.get(...columns, projectId, file.path)?.id ?? 0;
      } else {
        fileId = before.id;
        updateFile.run(...columns, fileId);
        for (const statement of deleteRows) statement.run(fileId);
      }
      setIndexed.run(fileId, file.contentHash, file.size, parsed.language);
      setExtraction.run(fileId, file.rules, parsed.problems[0]?.line ?? null);
      const isNew = before === undefined;
      const bindings = bindNames(parsed, relativePath);
      const { ids, counts } = definitions.write(fileId, isNew, parsed.definitions);
      const edgeCount = writeNames(fileId, parsed, bindings, ids);
      const imports: BoundValue[] = [];
      for (const { name, module, type, line } of parsed.imports) imports.push(fileId, name, module, type, line);
      insertImports.insert(imports);
      const languageBefore = before?.language ?? null;
      const stored = content.write({ file, fileId, isNew, languageBefore, ids, scopes: bindings.scopes });
      storeProblem(projectId, file.path, parsed.problems[0]);

      return {
        fileId,
        relativePath,
        changed: stored.changed,
        counts: {
          classes: counts.class,
          methods: counts.method,
          functions: counts.function,
          imports: parsed.imports.length,
          usages: parsed.usages.length,
          content: stored.rows,
          crossReferences: edgeCount,
        },
      };
    },

    storeFailure: failures.store,

    removeFile(projectId, path) {
      failures.clear(projectId, path);
      const file = findAnyFile.get(projectId, path);
      if (file === undefined) return null;
      const changed = content.remove(file.id, file.language);
      // Its rows here go before it: entity_cross_ref would only lose the file_id, and cascades need not look for the others.
      for (const statement of deleteRows) statement.run(file.id);
      deleteFile.run(file.id);
      return { fileId: file.id, relativePath: file.relativePath ?? path, changed };
    },

    findFile(projectId, path) {
      const row = findFile.get(projectId, path);
      return row === undefined ? null : fileOfRow(row);
    },
    listPaths: (projectId) => listPaths.all({ projectId }),
    hasPath: (projectId, path) => hasPath.get({ projectId, path }) !== undefined,
    countRows(fileId) {
      const counts = count.get(fileId);
      return counts ?? { classes: 0, methods: 0, functions: 0, imports: 0, usages: 0, content: 0, crossReferences: 0 };
    },
  };
}
