import type { Connection } from "../sqlite/connection.js";
import { type BoundValue, createRowInserter } from "../sqlite/row-inserter.js";
import { createContentStore } from "./content-store.js";
import { createDefinitionStore } from "./definition-store.js";
import type { DefinitionKind, IndexingErrorType, ParsedFile, Problem } from "./entities.js";
import { createFailureStore } from "./failure-store.js";
import { type Binding, bindNames, type FileBindings } from "./name-binding.js";

/** One file as it is to be stored. */
export interface StoredFileInput {
  readonly projectId: string;
  /** Absolute path, links resolved: the key of the file in its project. */
  readonly path: string;
  /** Path from the root directory of the project, divided by `/`. */
  readonly relativePath: string;
  /** In bytes, as read. */
  readonly size: number;
  /** Of the bytes as read. */
  readonly contentHash: string;
  /** Seconds since 1970, with fractions. */
  readonly lastModified: number;
  readonly parsed: ParsedFile;
}

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

/** A definition as other files name it. */
export interface NamedDefinition {
  readonly type: DefinitionKind;
  readonly name: string;
  /** Its class, or empty at the top of the file. */
  readonly scope: string;
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
  /** Null in a database of another program until the file is indexed again. */
  readonly contentHash: string | null;
  readonly size: number | null;
  /** Seconds since 1970, with fractions. */
  readonly lastModified: number | null;
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
  /** Stores why a file could not be indexed, in place of what was stored before; the file's other rows stay as they are. */
  storeFailure(projectId: string, relativePath: string, type: IndexingErrorType, message: string): void;
  /** Forgets the error of a file that is gone without ever having been indexed. */
  clearFailure(projectId: string, relativePath: string): void;
  /** Deletes the file, all its rows, those of other services too, and its indexing error; null when it is not there. */
  removeFile(projectId: string, path: string): FileChange | null;
  /** The file, or null; a file that another service has marked as deleted counts as absent. */
  findFile(projectId: string, path: string): IndexedFile | null;
  /** All files of a project by path, without those that another service has marked as deleted. */
  listFiles(projectId: string): IndexedFile[];
  /** How many rows the file has. */
  countRows(fileId: number): RowCounts;
}

const FILE_COLUMNS = `id, path, relative_path AS relativePath, content_hash AS contentHash, size,
  last_modified AS lastModified`;

/** Tables whose rows of a file are deleted and written anew, since nothing refers to them. */
const REPLACED_TABLES = ["entity_cross_ref", "imports", "usages", "class_bases"] as const;

/** Prepares all statements for `connection`. */
export function createFileStore(connection: Connection): FileStore {
  const content = createContentStore(connection);
  const definitions = createDefinitionStore(connection);
  const insertImports = createRowInserter(connection, "imports", [
    ...["file_id", "name", "module", "import_type", "line", "alias"],
  ]);
  const insertUsages = createRowInserter(connection, "usages", [
    ...["file_id", "line", "usage_type", "target_type", "target_class", "target_name", "context"],
    ...["caller_type", "caller_id", "callee_name", "origin"],
  ]);
  const insertBases = createRowInserter(connection, "class_bases", [
    ...["file_id", "class_id", "line", "callee_name", "origin"],
  ]);
  const insertEdges = createRowInserter(connection, "entity_cross_ref", [
    ...["caller_class_id", "caller_method_id", "caller_function_id"],
    ...["callee_class_id", "callee_method_id", "callee_function_id"],
    ...["ref_type", "file_id", "line"],
  ]);

  const findFile = connection.prepare<[string, string], IndexedFile>(
    `SELECT ${FILE_COLUMNS} FROM main.files WHERE project_id = ? AND path = ? AND deleted IS NOT 1`,
  );
  const listFiles = connection.prepare<[string], IndexedFile>(
    `SELECT ${FILE_COLUMNS} FROM main.files WHERE project_id = ? AND deleted IS NOT 1 ORDER BY path`,
  );
  const findAnyFile = connection.prepare<[string, string], { id: number; relativePath: string | null }>(
    "SELECT id, relative_path AS relativePath FROM main.files WHERE project_id = ? AND path = ?",
  );
  const insertFile = connection.prepare<BoundValue[], { id: number }>(
    `INSERT INTO main.files (relative_path, lines, last_modified, has_docstring, content_hash, language, size, project_id, path)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
  );
  const updateFile = connection.prepare<BoundValue[]>(
    `UPDATE main.files SET relative_path = ?, lines = ?, last_modified = ?, has_docstring = ?, content_hash = ?, language = ?,
       size = ?, deleted = 0, needs_chunking = 0, updated_at = julianday('now') WHERE id = ?`,
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

    const usages: BoundValue[] = [];
    for (const [index, usage] of parsed.usages.entries()) {
      const { line, type, targetType, targetClass, targetName, context, callerIndex } = usage;
      const binding = bindings.usages[index];
      usages.push(fileId, line, type, targetType, targetClass, targetName, context);
      usages.push(callerIndex === null ? null : (definitions[callerIndex]?.kind ?? null));
      usages.push(callerIndex === null ? null : (ids[callerIndex] ?? null));
      usages.push(...foreignName(binding));
      if (binding?.kind === "local" && callerIndex !== null) {
        const isClass = definitions[binding.definition]?.kind === "class";
        addEdge(callerIndex, binding.definition, isClass ? "instantiation" : "call", line);
      }
    }
    const bases: BoundValue[] = [];
    for (const [index, ofClass] of bindings.bases) {
      const line = definitions[index]?.line ?? 0;
      for (const binding of ofClass) {
        if (binding.kind === "foreign") bases.push(fileId, ids[index] ?? 0, line, binding.name, binding.origin);
        else if (binding.kind === "local") addEdge(index, binding.definition, "inherit", line);
      }
    }
    insertUsages.insert(usages);
    insertBases.insert(bases);
    insertEdges.insert(edges);
    return edgeCount;
  }

  function storeProblem(projectId: string, relativePath: string, problem: Problem | undefined): void {
    if (problem === undefined) failures.clear(projectId, relativePath);
    else failures.store(projectId, relativePath, problem.type, problem.message);
  }

  return {
    storeFile(file) {
      const { parsed, projectId, relativePath } = file;
      const before = findAnyFile.get(projectId, file.path);
      const columns: BoundValue[] = [relativePath, parsed.lineCount, file.lastModified];
      columns.push(parsed.docstring === null ? 0 : 1, file.contentHash, parsed.language, file.size);
      let fileId: number;
      if (before === undefined) {
        fileId = insertFile.get(...columns, projectId, file.path)?.id ?? 0;
      } else {
        fileId = before.id;
        updateFile.run(...columns, fileId);
        for (const statement of deleteRows) statement.run(fileId);
      }
      const isNew = before === undefined;
      const bindings = bindNames(parsed, relativePath);
      const { ids, counts } = definitions.write(fileId, isNew, parsed.definitions);
      const edgeCount = writeNames(fileId, parsed, bindings, ids);
      const imports: BoundValue[] = [];
      for (const { name, module, type, line, alias } of parsed.imports) {
        imports.push(fileId, name, module, type, line, alias);
      }
      insertImports.insert(imports);
      const stored = content.write({ file, fileId, isNew, ids, scopes: bindings.scopes });
      storeProblem(projectId, relativePath, parsed.problems[0]);

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

    clearFailure: failures.clear,

    removeFile(projectId, path) {
      const file = findAnyFile.get(projectId, path);
      if (file === undefined) return null;
      const changed = content.remove(file.id);
      // Its rows here go before it: entity_cross_ref would only lose the file_id, and cascades need not look for the others.
      for (const statement of deleteRows) statement.run(file.id);
      deleteFile.run(file.id);
      const relativePath = file.relativePath ?? path;
      failures.clear(projectId, relativePath);
      return { fileId: file.id, relativePath, changed };
    },

    findFile: (projectId, path) => findFile.get(projectId, path) ?? null,
    listFiles: (projectId) => listFiles.all(projectId),
    countRows(fileId) {
      const counts = count.get(fileId);
      return counts ?? { classes: 0, methods: 0, functions: 0, imports: 0, usages: 0, content: 0, crossReferences: 0 };
    },
  };
}

/** `callee_name` and `origin` of a use. */
function foreignName(binding: Binding | undefined): [string | null, string | null] {
  return binding?.kind === "foreign" ? [binding.name, binding.origin] : [null, null];
}
