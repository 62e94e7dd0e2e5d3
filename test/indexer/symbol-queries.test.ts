import assert from "node:assert/strict";
import { DriverError } from "../../src/errors.js";
import {
  createSymbolQueries,
  type Entity,
  type EntityRef,
  type SymbolQueries,
} from "../../src/indexer/symbol-queries.js";
import { IndexedProject } from "../support/indexed-project.js";

const FILES: Readonly<Record<string, string>> = {
  "base.py": `class Base:
    """The root."""
    def save(self, force, *, deep=False): pass
class Left(Base): pass
class Right(Base): pass
`,
  "model.py": `"""Models."""
from base import Left, Right
class Account(Left, Right):
    def save(self):
        open_all()
        open_all()
def open_all():
    Account()
    if 1: pass
`,
  "main.py": `import model
def main():
    model.open_all()
    model.Account.save()
`,
};

describe("createSymbolQueries()", () => {
  let project: IndexedProject;
  let queries: SymbolQueries;
  const page = { pageSize: 100, pageToken: "" };

  before(async () => {
    project = new IndexedProject(":memory:", ["p", "q"]);
    await project.index(Object.entries(FILES));
    await project.index([["q.py", "def save(): pass\n"]], "q");
    queries = createSymbolQueries(project.connection);
  });
  after(() => project.close());

  const find = (name: string, options = {}): Entity[] => [
    ...queries.findDefinitions({ name, projectId: null, kinds: [], pathPrefix: "", ...page, ...options }).items,
  ];
  const only = (name: string): Entity => {
    const [entity, ...others] = find(name);
    assert.ok(entity !== undefined && others.length === 0, name);
    return entity;
  };
  const show = ({ relativePath, className, name }: Entity): string =>
    `${relativePath}:${className === null ? "" : `${className}.`}${name}`;

  it("finds definitions by name, alone or with the class", () => {
    assert.deepEqual(find("save").map(show), ["base.py:Base.save", "model.py:Account.save", "q.py:save"]);
    assert.deepEqual(find("Account.save").map(show), ["model.py:Account.save"]);
    assert.deepEqual(find("save", { projectId: "q" }).map(show), ["q.py:save"]);
    assert.deepEqual(find("save", { kinds: ["function"] }).map(show), ["q.py:save"]);
    assert.deepEqual(find("save", { pathPrefix: "mod" }).map(show), ["model.py:Account.save"]);
    assert.deepEqual(find("sav"), []);
    const { id, ...save } = only("Base.save");
    assert.ok(id > 0);
    assert.deepEqual(save, {
      ...{
        kind: "method",
        name: "save",
        className: "Base",
        projectId: "p",
        relativePath: "base.py",
        line: 3,
        endLine: 3,
      },
      ...{ parameters: ["force", "deep"], bases: [], docstring: null, complexity: 1, language: "python" },
    });
    assert.deepEqual([only("Base").docstring, only("Account").bases], ["The root.", ["Left", "Right"]]);
  });

  it("lists references by path and line", () => {
    const { items } = queries.findReferences(only("open_all"), page);
    assert.deepEqual(
      items.map(({ type, from, line }) => `${type} ${show(from)}@${line}`),
      ["call main.py:main@3", "call model.py:Account.save@5", "call model.py:Account.save@6"],
    );
    assert.deepEqual(
      queries.findReferences(only("Base"), page).items.map(({ type, from }) => `${type} ${show(from)}`),
      ["inherit base.py:Left", "inherit base.py:Right"],
    );
  });

  it("lists callers and callees, each once with its lines", () => {
    const shown = (edges: ReturnType<SymbolQueries["listCallers"]>): string[] =>
      edges.items.map(({ entity, type, lines }) => `${type} ${show(entity)} ${lines.join()}`);
    assert.deepEqual(shown(queries.listCallers(only("open_all"), page)), [
      ...["call main.py:main 3", "call model.py:Account.save 5,6"],
    ]);
    assert.deepEqual(shown(queries.listCallees(only("main"), page)), [
      ...["call model.py:Account.save 4", "call model.py:open_all 3"],
    ]);
    assert.deepEqual(shown(queries.listCallers(only("Account"), page)), ["instantiation model.py:open_all 8"]);
  });

  it("answers the same in pages", () => {
    const paged = <T>(ask: (pageToken: string) => { items: readonly T[]; nextPageToken: string }): T[] => {
      const items: T[] = [];
      for (let token: string | null = ""; token !== null; ) {
        const answer: { items: readonly T[]; nextPageToken: string } = ask(token);
        items.push(...answer.items);
        token = answer.nextPageToken === "" ? null : answer.nextPageToken;
      }
      return items;
    };
    const openAll = only("open_all");
    assert.deepEqual(
      paged((pageToken) => queries.findReferences(openAll, { pageSize: 1, pageToken })),
      queries.findReferences(openAll, page).items,
    );
    assert.deepEqual(
      paged((pageToken) => queries.listCallers(openAll, { pageSize: 1, pageToken })),
      queries.listCallers(openAll, page).items,
    );
    const request = { name: "save", projectId: null, kinds: [], pathPrefix: "" };
    assert.deepEqual(
      paged((pageToken) => queries.findDefinitions({ ...request, pageSize: 1, pageToken })),
      find("save"),
    );
    const { nextPageToken } = queries.findReferences(openAll, { pageSize: 1, pageToken: "" });
    assert.throws(() => queries.listCallers(openAll, { pageSize: 1, pageToken: nextPageToken }), {
      reason: "INVALID_REQUEST",
    });
  });

  it("walks the class hierarchy, each edge once", () => {
    const account = only("Account");
    const { ancestors, descendants, isTruncated } = queries.classHierarchy(account.id, 32);
    assert.deepEqual(
      ancestors.map(({ entity, distance, viaClassId }) => [entity.name, distance, viaClassId]),
      [
        ["Left", 1, account.id],
        ["Right", 1, account.id],
        ["Base", 2, only("Left").id],
        ["Base", 2, only("Right").id],
      ],
    );
    assert.deepEqual([descendants, isTruncated], [[], false]);
    const below = queries.classHierarchy(only("Base").id, 1);
    assert.deepEqual(
      [below.descendants.map(({ entity }) => entity.name), below.isTruncated],
      [["Left", "Right"], true],
    );
  });

  it("survives classes that inherit from one another", async () => {
    const circle = new IndexedProject();
    await circle.index([["a.py", "class A(B): pass\nclass B(A): pass\n"]]);
    const asked = createSymbolQueries(circle.connection);
    const [a] = asked.findDefinitions({ name: "A", projectId: null, kinds: [], pathPrefix: "", ...page }).items;
    const { ancestors } = asked.classHierarchy(a?.id ?? 0, 32);
    assert.deepEqual(
      ancestors.map(({ entity, distance }) => [entity.name, distance]),
      [
        ["B", 1],
        ["A", 0],
      ],
    );
    circle.close();
  });

  it("lists what a file defines and imports", () => {
    for (const path of ["model.py", "/p/model.py"]) {
      const { file, entities, imports } = queries.fileEntities("p", path);
      assert.deepEqual([file.name, file.docstring, file.endLine], ["model.py", "Models.", 9]);
      assert.deepEqual(entities.map(show), ["model.py:Account", "model.py:Account.save", "model.py:open_all"]);
      assert.deepEqual(
        imports.map(({ name, module, line }) => [name, module, line]),
        [
          ["Left", "base", 2],
          ["Right", "base", 2],
        ],
      );
    }
    assert.throws(() => queries.fileEntities("q", "model.py"), { reason: "FILE_NOT_FOUND" });
  });

  it("says that an entity is not there", () => {
    const missing: EntityRef = { kind: "class", id: 999 };
    for (const ask of [
      () => queries.findReferences(missing, page),
      () => queries.listCallers(missing, page),
      () => queries.listCallees(missing, page),
      () => queries.classHierarchy(999, 1),
    ]) {
      assert.throws(ask, (error) => error instanceof DriverError && error.reason === "ENTITY_NOT_FOUND");
    }
  });
});
