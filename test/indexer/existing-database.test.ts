import assert from "node:assert/strict";
import { createCodeSearch } from "../../src/indexer/search.js";
import { createSymbolQueries } from "../../src/indexer/symbol-queries.js";
import { SQLiteSchemaManager } from "../../src/schema/schema-manager.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { IndexedProject } from "../support/indexed-project.js";
import { readSchemaFacts, schemaOfFacts } from "../support/schema-facts.js";

const FACTS = schemaOfFacts(readSchemaFacts());

/** What another program made of /p/a.py, and what other services have hung on it. */
const ROWS = `
  INSERT INTO projects (id, root_path) VALUES ('p', '/p');
  INSERT INTO files (id, project_id, path, relative_path, needs_chunking) VALUES (7, 'p', '/p/a.py', 'a.py', 0),
    (8, 'p', '/p/other.py', NULL, NULL);
  INSERT INTO classes (id, file_id, name, line, bases) VALUES (70, 7, 'Account', 90, '[''Base'']'), (71, 7, 'Gone', 1, NULL);
  INSERT INTO methods (id, class_id, name, line, args) VALUES (700, 70, 'save', 91, 'self, x');
  INSERT INTO functions (id, file_id, name, line) VALUES (72, 7, 'main', 99), (80, 8, 'helper', 1);
  INSERT INTO imports (file_id, name, import_type, line) VALUES (7, 'os', 'import', 1);
  INSERT INTO usages (file_id, line, usage_type, target_type, target_name) VALUES (7, 1, 'call', 'function', 'helper');
  INSERT INTO entity_cross_ref (caller_function_id, callee_function_id, ref_type, file_id, line) VALUES (72, 80, 'call', 7, 1),
    (80, 72, 'call', 8, 1);
  INSERT INTO code_content (id, file_id, entity_type, entity_id, entity_name, content) VALUES
    (500, 7, 'file', 7, 'a.py', 'marmalade'), (501, 7, 'function', 72, 'main', 'marmalade main'),
    (502, 8, 'file', 8, 'other.py', 'honey');
  INSERT INTO code_chunks (file_id, project_id, chunk_uuid, chunk_type, chunk_text, class_id) VALUES
    (7, 'p', 'kept', 'x', 'x', 70), (7, 'p', 'gone', 'x', 'x', 71), (8, 'p', 'other', 'x', 'x', NULL);
  INSERT INTO issues (file_id, function_id, issue_type) VALUES (7, 72, 'x');
  INSERT INTO ast_trees (file_id, project_id, ast_json, ast_hash, file_mtime) VALUES (7, 'p', '{}', 'h', 0);
  INSERT INTO indexing_errors (project_id, file_path, error_type) VALUES ('p', '/p/a.py', 'old'), ('p', '/p/other.py', 'old');
`;

const SOURCE = `class Account(Base):
    def save(self, x):
        from other import helper; helper()

def main():
    return "quince"
`;

const TRIGGERS = `
  CREATE TRIGGER code_content_ai AFTER INSERT ON code_content BEGIN
    INSERT INTO code_content_fts (rowid, entity_type, entity_name, content, docstring)
    VALUES (new.id, new.entity_type, new.entity_name, new.content, new.docstring);
  END;
  CREATE TRIGGER "update of" AFTER DELETE ON code_content BEGIN
    INSERT INTO code_content_fts (code_content_fts, rowid, entity_type, entity_name, content, docstring)
    VALUES ('delete', old.id, old.entity_type, old.entity_name, old.content, old.docstring);
  END;
  CREATE TRIGGER code_content_au AFTER UPDATE OF content, docstring ON code_content BEGIN
    INSERT INTO code_content_fts (code_content_fts, rowid, entity_type, entity_name, content, docstring)
    VALUES ('delete', old.id, old.entity_type, old.entity_name, old.content, old.docstring);
    INSERT INTO code_content_fts (rowid, entity_type, entity_name, content, docstring)
    VALUES (new.id, new.entity_type, new.entity_name, new.content, new.docstring);
  END;`;
const REBUILD = "INSERT INTO code_content_fts (code_content_fts) VALUES ('rebuild');";

/** In what state the other program may have left the full-text index of its rows. */
const FULL_TEXT: Readonly<Record<string, { before: string; after?: string; isWhole: boolean }>> = {
  "its index is complete": { before: "", after: REBUILD, isWhole: true },
  "no row was ever put into its index": { before: "", isWhole: false },
  "some rows were never put into its index": {
    before: "",
    after: `
      INSERT INTO code_content (file_id, entity_type, entity_name, content)
        SELECT 8, 'chapter', 'x' || value, 'many other words of another file' FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12]');
      INSERT INTO code_content_fts (rowid, entity_type, entity_name, content, docstring)
        SELECT id, entity_type, entity_name, content, docstring FROM code_content WHERE file_id = 8;`,
    isWhole: false,
  },
  "triggers keep its index": { before: TRIGGERS, isWhole: true },
  "triggers keep its index, but were made after the rows": { before: "", after: TRIGGERS, isWhole: false },
  "rows were changed without their index rows": {
    before: "",
    after: `${REBUILD} UPDATE code_content SET content = 'a b c d e f g h i j k l m n o p q r s t u v w x y z';`,
    isWhole: false,
  },
};

/** A database exactly as another program made it, and then opened by the driver. */
function openExisting(before = "", after: string = REBUILD): IndexedProject {
  const connection = openConnection(":memory:", { role: "writer" });
  connection.exec(FACTS + before + ROWS + after);
  const { createdTables } = new SQLiteSchemaManager(connection).createMissing();
  assert.deepEqual(createdTables, ["indexed_files", "extractions", "external_uses", "symbols", "symbols_fts"]);
  return new IndexedProject(connection);
}

describe("a database of another program", () => {
  const search = (project: IndexedProject, query: string): string[] =>
    createCodeSearch(project.connection)
      .search({ query, projectId: null, language: null, kinds: [], pathPrefix: "", pageSize: 100, pageToken: "" })
      .hits.map(({ kind, entityName }) => `${kind} ${entityName}`)
      .sort();
  const all = (project: IndexedProject, sql: string): unknown[] => project.connection.prepare(sql).raw().all();
  const assertWhole = (project: IndexedProject): void => {
    project.assertFullTextIsWhole();
    assert.deepEqual(project.connection.pragma("foreign_key_check"), []);
  };

  it("is searched without what the driver has not indexed yet", () => {
    const project = openExisting();
    assert.deepEqual(search(project, "marmalade"), []);
    const queries = createSymbolQueries(project.connection);
    const page = { pageSize: 10, pageToken: "" };
    const request = { name: "main", projectId: null, kinds: [], pathPrefix: "", ...page };
    assert.deepEqual(queries.findDefinitions(request).items, []);
    assert.throws(() => queries.findReferences({ kind: "function", id: 72 }, page), { reason: "ENTITY_NOT_FOUND" });
    assert.throws(() => queries.fileEntities("p", "/p/a.py"), { reason: "FILE_NOT_FOUND" });
    project.close();
  });

  it("has files whose content is unknown", () => {
    const project = openExisting();
    assert.deepEqual(
      project.store.listPaths("p").map((path) => {
        const file = project.store.findFile("p", path);
        return [file?.id, path, file?.contentHash, file?.size];
      }),
      [
        [7, "/p/a.py", null, null],
        [8, "/p/other.py", null, null],
      ],
    );
    project.close();
  });

  it("keeps ids, and what other services hung on them, when the driver writes a file", async () => {
    const project = openExisting();
    const [{ fileId } = { fileId: 0 }] = await project.index([["a.py", SOURCE]]);
    assert.equal(fileId, 7);
    assert.deepEqual(all(project, "SELECT id, name, line FROM classes"), [[70, "Account", 1]]);
    assert.deepEqual(all(project, "SELECT id, name, line, args FROM methods"), [[700, "save", 2, '["x"]']]);
    assert.deepEqual(all(project, "SELECT id, name, line FROM functions ORDER BY id"), [
      [72, "main", 5],
      [80, "helper", 1],
    ]);
    assert.deepEqual(all(project, "SELECT chunk_uuid FROM code_chunks ORDER BY id"), [["kept"], ["other"]]);
    assert.deepEqual(all(project, "SELECT function_id FROM issues"), [[72]]);
    assert.deepEqual(all(project, "SELECT file_id FROM ast_trees"), [[7]]);
    assert.deepEqual(all(project, "SELECT file_id, name FROM imports"), [[7, "helper"]]);
    assert.deepEqual(all(project, "SELECT file_path FROM indexing_errors"), [["/p/other.py"]]);
    // The other file's edge into this one stays; its helper becomes known when it is indexed too.
    assert.deepEqual(all(project, "SELECT caller_function_id, file_id FROM entity_cross_ref"), [[80, 8]]);
    await project.index([["other.py", "def helper(): pass\n"]]);
    assert.deepEqual(all(project, "SELECT caller_method_id, callee_function_id, file_id FROM entity_cross_ref"), [
      [700, 80, 7],
    ]);
    assert.deepEqual(search(project, "quince"), ["function main"]);
    assert.deepEqual(search(project, "marmalade OR honey"), []);
    assertWhole(project);
    project.close();
  });

  for (const [what, { before, after = "", isWhole }] of Object.entries(FULL_TEXT)) {
    it(`gets a sound full-text index where ${what}`, async () => {
      const project = openExisting(before, after);
      if (isWhole) project.assertFullTextIsWhole();
      else assert.throws(() => project.assertFullTextIsWhole(), /malformed/);
      await project.index([["a.py", SOURCE]]);
      await project.index([["a.py", `${SOURCE}    # more\n`]]);
      await project.index([["other.py", "def helper(): pass\n"]]);
      assertWhole(project);
      assert.deepEqual(search(project, "quince"), ["function main"]);
      project.remove("a.py");
      project.remove("other.py");
      assertWhole(project);
      assert.deepEqual(search(project, "quince"), []);
      project.close();
    });
  }

  it("loses nothing but the rows concerned when another program deletes rows that the driver wrote", async () => {
    for (const table of ["code_content", "symbols", "external_uses", "classes", "methods", "functions"]) {
      const project = openExisting();
      const files: [string, string][] = [
        ["a.py", SOURCE],
        ["other.py", "def helper(): pass\n"],
      ];
      await project.index(files);
      project.connection.exec(`DELETE FROM ${table}`);
      assert.doesNotThrow(() => search(project, "quince"), table);
      await project.index([["third.py", "def helper(): pass\nclass Base: pass\n"]]);
      project.remove("third.py");
      await project.index(files);
      assert.deepEqual(search(project, "quince"), ["function main"], table);
      assert.deepEqual(all(project, "SELECT count(*) FROM entity_cross_ref"), [[1]], table);
      assert.deepEqual(all(project, "SELECT count(*) FROM symbols"), [[6]], table);
      // What the other program left behind in the indexes is found by no search; a rebuild makes them sound.
      project.connection.exec(REBUILD + REBUILD.replaceAll("code_content_fts", "symbols_fts"));
      assertWhole(project);
      project.close();
    }
  });
});
