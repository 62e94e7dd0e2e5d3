import assert from "node:assert/strict";
import type { Definition, ParsedFile } from "../../src/indexer/entities.js";
import { inTransaction } from "../../src/sqlite/transaction.js";
import { dumpIndex, IndexedProject } from "../support/indexed-project.js";

const SOURCE = `"""Module text."""
import os.path as p
from .other import helper as h, Tool


@decorate
class Account(Base, Tool):
    """Class text."""

    def save(self, force=False, *rest, **more):
        h()
        self.load()

    def load(self):
        return Tool()

    limit = 1


def main():
    def inner():
        pass
    return Account().save()
`;

describe("storeFile()", () => {
  let project: IndexedProject;
  beforeEach(() => {
    project = new IndexedProject();
  });
  afterEach(() => project.close());

  const all = (sql: string, ...parameters: unknown[]): unknown[] =>
    project.connection
      .prepare(sql)
      .raw()
      .all(...parameters);

  it("fills every table of a file", async () => {
    const { counts, fileId } = await project.write("pkg/account.py", SOURCE);
    assert.deepEqual(counts, {
      classes: 1,
      methods: 2,
      functions: 2,
      imports: 3,
      usages: 5,
      content: 6,
      crossReferences: 3,
    });
    assert.deepEqual(project.store.countRows(fileId), counts);
    assert.deepEqual(all("SELECT path, relative_path, lines, has_docstring, deleted, needs_chunking FROM files"), [
      ["/p/pkg/account.py", "pkg/account.py", 23, 1, 0, 0],
    ]);
    assert.deepEqual(all("SELECT file_id, language, size FROM indexed_files"), [[fileId, "python", SOURCE.length]]);
    assert.deepEqual(all("SELECT name, line, end_line, docstring, bases FROM classes"), [
      ["Account", 7, 17, "Class text.", '["Base","Tool"]'],
    ]);
    assert.deepEqual(all("SELECT name, line, end_line, args, complexity FROM methods"), [
      ["save", 10, 12, '["force","rest","more"]', 1],
      ["load", 14, 15, "[]", 1],
    ]);
    assert.deepEqual(all("SELECT name, line, end_line FROM functions ORDER BY line"), [
      ["main", 20, 23],
      ["inner", 21, 22],
    ]);
    assert.deepEqual(all("SELECT name, module, import_type, line FROM imports"), [
      ["os.path", "os.path", "import", 2],
      ["helper", ".other", "import_from", 3],
      ["Tool", ".other", "import_from", 3],
    ]);
    assert.deepEqual(all("SELECT line, target_name, target_class, context FROM usages ORDER BY line, target_name"), [
      [11, "h", null, "Account.save"],
      [12, "load", "Account", "Account.save"],
      [15, "Tool", null, "Account.load"],
      [23, "Account", null, "main"],
      [23, "save", null, "main"],
    ]);
    assert.deepEqual(all("SELECT line, target_type, caller_type, name, origin, edge_id FROM external_uses"), [
      [11, "function", "method", "helper", "/pkg/other", null],
      [15, "class", "method", "Tool", "/pkg/other", null],
      [7, "base", "class", "Tool", "/pkg/other", null],
    ]);
    assert.deepEqual(all("SELECT entity_type, name, scope, start_line, line, end_line FROM symbols ORDER BY id"), [
      ["file", "pkg/account.py", null, 1, 1, 23],
      ["class", "Account", "", 6, 7, 17],
      ["method", "save", "Account", 10, 10, 12],
      ["method", "load", "Account", 14, 14, 15],
      ["function", "main", "", 20, 20, 23],
      ["function", "inner", null, 21, 21, 22],
    ]);
    const [content] = all("SELECT content FROM code_content WHERE entity_name = 'Account'");
    assert.match(String(content), /^@decorate\nclass Account[\s\S]*limit = 1$/);
    project.assertFullTextIsWhole();
  });

  it("gives the same rows when it stores the same file again", async () => {
    await project.write("a.py", SOURCE);
    const before = dumpIndex(project.connection);
    const ids = all("SELECT id FROM code_content");
    assert.deepEqual((await project.write("a.py", SOURCE)).changed, []);
    assert.deepEqual(dumpIndex(project.connection), before);
    assert.deepEqual(all("SELECT id FROM code_content"), ids);
    project.assertFullTextIsWhole();
  });

  it("keeps ids, and rows of other services, when definitions move, and deletes them when they vanish", async () => {
    const twice = "def f():\n    pass\n";
    const text = `${twice}${twice}${SOURCE}`;
    const { fileId } = await project.write("a.py", text);
    project.connection.exec(`INSERT INTO code_chunks (file_id, project_id, chunk_uuid, chunk_type, chunk_text, class_id)
      SELECT file_id, 'p', 'c' || id, 'x', 'x', id FROM classes`);
    project.connection.exec(`INSERT INTO code_chunks (file_id, project_id, chunk_uuid, chunk_type, chunk_text, method_id)
      SELECT ${fileId}, 'p', 'm' || id, 'x', 'x', id FROM methods`);
    project.connection.exec(
      `INSERT INTO issues (file_id, function_id, issue_type) SELECT file_id, id, 'x' FROM functions`,
    );
    const ids = (): unknown[] => [
      all("SELECT id, name FROM classes ORDER BY id"),
      all("SELECT id, name FROM methods ORDER BY id"),
      all("SELECT id, name FROM functions ORDER BY id"),
    ];
    const before = ids();
    for (const moved of [`# one\n${text}`, `${text}`, `${twice}\n\n\n${twice}${SOURCE}`, `\n\n${text}`]) {
      await project.write("a.py", moved);
      assert.deepEqual(ids(), before);
    }
    assert.deepEqual(all("SELECT count(*) FROM code_chunks"), [[3]]);
    assert.deepEqual(all("SELECT count(*) FROM issues"), [[4]]);

    await project.write("a.py", text.replace("def load", "def reload"));
    assert.deepEqual(all("SELECT chunk_uuid FROM code_chunks ORDER BY id"), [["c1"], ["m1"]]);
    await project.write("a.py", twice);
    assert.deepEqual(all("SELECT count(*) FROM code_chunks"), [[0]]);
    assert.deepEqual(all("SELECT count(*) FROM issues"), [[1]]);
    assert.equal((await project.write("a.py", twice)).fileId, fileId);
    project.assertFullTextIsWhole();
  });

  it("never gives the id of a vanished definition to another one", async () => {
    await project.write("a.py", "def old():\n    pass\n");
    const [[old]] = all("SELECT id FROM functions") as [[number]];
    await project.write("a.py", "");
    await project.write("a.py", "def young():\n    pass\n");
    const [[young]] = all("SELECT id FROM functions") as [[number]];
    assert.ok(young > old);
  });

  it("stores one row for definitions of one name on one line", async () => {
    await project.write(
      "a.js",
      "class A { m() {} m() { f() } } function f() {} function f() { f() } class A { n() {} }",
    );
    assert.deepEqual(all("SELECT name FROM classes"), [["A"]]);
    assert.deepEqual(all("SELECT name FROM methods"), [["m"], ["n"]]);
    assert.deepEqual(all("SELECT name FROM functions"), [["f"]]);
    assert.deepEqual(all("SELECT entity_type, count(*) FROM symbols GROUP BY 1 ORDER BY 1"), [
      ...[
        ["class", 1],
        ["file", 1],
        ["function", 1],
        ["method", 2],
      ],
    ]);
  });

  it("says what appeared and vanished for other files", async () => {
    const names = async (text: string): Promise<string[]> =>
      (await project.write("a.py", text)).changed.map(({ type, scope, name }) => `${type} ${scope} ${name}`).sort();
    assert.deepEqual(await names("def a():\n    def hidden(): pass\nclass B:\n    def c(self): pass\n"), [
      ...["class  B", "function  a", "method B c"],
    ]);
    assert.deepEqual(await names("class B:\n    def c(self): return 1\ndef a(): pass\n"), []);
    assert.deepEqual(await names("class D:\n    def c(self): pass\ndef a(): pass\n"), [
      ...["class  B", "class  D", "method B c", "method D c"],
    ]);
    assert.deepEqual(project.remove("a.py")?.changed.length, 3);
  });

  it("clears needs_chunking, the mark of deletion and the indexing error", async () => {
    await project.write("a.py", "x = 1\n");
    project.connection.exec("UPDATE files SET needs_chunking = 1, deleted = 1");
    inTransaction(project.connection, () => project.store.storeFailure("p", "/p/a.py", "timeout", "too slow"));
    assert.equal(project.store.findFile("p", "/p/a.py"), null);
    await project.write("a.py", "x = 2\n");
    assert.deepEqual(all("SELECT needs_chunking, deleted FROM files"), [[0, 0]]);
    assert.deepEqual(all("SELECT count(*) FROM indexing_errors"), [[0]]);
    assert.equal(project.store.findFile("p", "/p/a.py")?.relativePath, "a.py");
  });

  it("stores the error of a file that it could store in part", async () => {
    await project.write("a.py", "def f():\n    pass\ndef (:\n");
    assert.deepEqual(all("SELECT file_path, error_type FROM indexing_errors"), [["/p/a.py", "syntax_error"]]);
    assert.deepEqual(all("SELECT problem_line FROM extractions"), [[3]]);
    await project.write("a.py", "def f():\n    pass\n");
    assert.deepEqual(all("SELECT count(*) FROM indexing_errors"), [[0]]);
    assert.deepEqual(all("SELECT problem_line FROM extractions"), [[null]]);
  });

  it("stores texts that are no ordinary texts", async () => {
    const text = "# \u{1F600} \0 end\ndef größe():\r\n    return '\ud800'\r";
    const parsed: ParsedFile = {
      ...{ language: "python", text, lineCount: 3, docstring: null, imports: [], usages: [], problems: [] },
      definitions: [definition({ name: "größe", start: text.indexOf("def"), end: text.length, line: 2, endLine: 3 })],
    };
    const store = (): void =>
      inTransaction(project.connection, () => {
        const place = {
          projectId: "p",
          path: "/p/a.py",
          relativePath: "a.py",
          size: 1,
          contentHash: "h",
          lastModified: 0,
          rules: "r",
        };
        project.store.storeFile({ ...place, parsed });
      });
    store();
    store();
    project.assertFullTextIsWhole();
    assert.deepEqual(all("SELECT entity_type, start_line FROM symbols"), [
      ["file", 1],
      ["function", 2],
    ]);
  });

  it("does not store the square of a deeply nested file", async () => {
    const depth = 2_000;
    const text = Array.from({ length: depth }, (_, n) => `function f${n}() {\n`).join("") + "}".repeat(depth);
    const { counts } = await project.write("deep.js", text);
    assert.equal(counts.functions, depth);
    const [[units]] = all("SELECT sum(length(content)) FROM code_content") as [[number]];
    assert.ok(units < text.length * 9 + depth * 200, `${units} for ${text.length}`);
    const [[ordinary]] = all("SELECT length(content) FROM code_content WHERE entity_name = 'f0'") as [[number]];
    assert.equal(ordinary, text.length);
    project.assertFullTextIsWhole();
  });

  it("leaves every row as it was when the transaction is rolled back", async () => {
    await project.index([["a.py", SOURCE]]);
    const before = dumpIndex(project.connection);
    const file = await project.write("b.py", SOURCE);
    assert.ok(file.fileId > 0);
    project.remove("b.py");
    project.connection.exec("BEGIN");
    project.store.removeFile("p", "/p/a.py");
    project.connection.exec("ROLLBACK");
    assert.deepEqual(dumpIndex(project.connection), before);
    project.assertFullTextIsWhole();
  });

  it("removes a file with everything that hangs on it, and nothing of another file", async () => {
    await project.index([["other.py", "def helper(): pass\nclass Tool: pass\n"]]);
    const before = dumpIndex(project.connection);
    await project.index([["a.py", SOURCE]]);
    const change = project.remove("a.py");
    assert.ok(change !== null);
    assert.deepEqual(dumpIndex(project.connection), before);
    assert.equal(project.remove("a.py"), null);
    assert.deepEqual(all("SELECT count(*) FROM entity_cross_ref WHERE file_id IS NULL"), [[0]]);
    project.assertFullTextIsWhole();
  });

  it("damages the full-text index when rows of code_content go before their index rows: the control", async () => {
    await project.write("a.py", SOURCE);
    project.connection.exec("DELETE FROM code_content WHERE entity_type = 'method'");
    assert.throws(() => project.assertFullTextIsWhole(), /malformed/);
  });
});

describe("storeFailure()", () => {
  it("keeps one row for a file and its other rows as they were", async () => {
    const project = new IndexedProject();
    await project.index([["a.py", SOURCE]]);
    const { indexing_errors: none, ...before } = dumpIndex(project.connection);
    assert.deepEqual(none, []);
    for (const type of ["timeout", "too_large"] as const) {
      inTransaction(project.connection, () => project.store.storeFailure("p", "/p/a.py", type, `it is ${type}`));
    }
    const { indexing_errors: errors, ...after } = dumpIndex(project.connection);
    assert.deepEqual(after, before);
    assert.deepEqual(errors, [
      JSON.stringify({
        project_id: "p",
        file_path: "/p/a.py",
        error_type: "too_large",
        error_message: "it is too_large",
      }),
    ]);
    project.close();
  });
});

describe("removeFile()", () => {
  it("forgets the error of one file that was never indexed", () => {
    const project = new IndexedProject();
    inTransaction(project.connection, () => {
      for (const path of ["/p/a.py", "/p/b.py"]) project.store.storeFailure("p", path, "timeout", "slow");
      assert.equal(project.store.removeFile("p", "/p/a.py"), null);
    });
    assert.equal(dumpIndex(project.connection).indexing_errors?.length, 1);
  });
});

describe("findFile()", () => {
  it("knows the content's hash only while nothing asks for the file to be indexed again", async () => {
    const project = new IndexedProject();
    const hash = (): string | null | undefined => project.store.findFile("p", "/p/a.py")?.contentHash;
    const fail = (type: "syntax_error" | "io_error"): void =>
      inTransaction(project.connection, () => project.store.storeFailure("p", "/p/a.py", type, "bad"));
    const again: [string, () => void][] = [
      ["needs_chunking", () => project.connection.exec("UPDATE files SET needs_chunking = 1")],
      ["the last attempt failed", () => fail("io_error")],
      ["written by another program", () => project.connection.exec("DELETE FROM indexed_files")],
      ["made by other rules", () => project.connection.exec("UPDATE extractions SET rules = 'older'")],
      ["made before rules were kept", () => project.connection.exec("DELETE FROM extractions")],
    ];
    for (const [what, change] of again) {
      await project.write("a.py", SOURCE);
      assert.match(hash() ?? "", /^[0-9a-f]{64}$/);
      change();
      assert.equal(hash(), null, what);
    }
    await project.write("a.py", SOURCE);
    fail("syntax_error");
    assert.match(hash() ?? "", /^[0-9a-f]{64}$/);
    project.close();
  });
});

describe("listPaths()", () => {
  it("lists the files of one project by path", async () => {
    const project = new IndexedProject(":memory:", ["p", "q"]);
    await project.write("b.py", "");
    await project.write("a.py", "");
    await project.write("c.py", "", "q");
    assert.deepEqual(project.store.listPaths("p"), ["/p/a.py", "/p/b.py"]);
    project.close();
  });
});

function definition(fields: Partial<Definition>): Definition {
  return {
    ...{ kind: "function", name: "f", line: 1, endLine: 1, start: 0, end: 1, docstring: null, classIndex: null },
    ...{
      bases: [],
      parameters: [],
      variables: [],
      complexity: 1,
      isAbstract: false,
      hasPass: false,
      hasNotImplemented: false,
    },
    ...fields,
  };
}
