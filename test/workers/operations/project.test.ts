import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  ListIndexingErrorsRequestSchema,
  ListIndexingErrorsResponseSchema,
} from "../../../gen/code_analysis/driver/v1/index_pb.js";
import {
  ListProjectsRequestSchema,
  ListProjectsResponseSchema,
  RegisterProjectRequestSchema,
  RegisterProjectResponseSchema,
} from "../../../gen/code_analysis/driver/v1/project_pb.js";
import { BUILT_IN_SCHEMA } from "../../../src/schema/built-in-schema.js";
import { listIndexingErrors, listProjects, registerProject } from "../../../src/workers/operations/project.js";
import { failsWith, TestDatabase } from "../../support/session.js";
import { useTempFolder } from "../../support/temp-folder.js";

const Register = [RegisterProjectRequestSchema, RegisterProjectResponseSchema] as const;
const ListProjects = [ListProjectsRequestSchema, ListProjectsResponseSchema] as const;
const ListErrors = [ListIndexingErrorsRequestSchema, ListIndexingErrorsResponseSchema] as const;

describe("operations on projects", () => {
  const folder = useTempFolder();
  let db: TestDatabase;
  beforeEach(() => {
    db = new TestDatabase(folder("test.db"), { maxPageSize: 150 });
    db.exec(BUILT_IN_SCHEMA);
    mkdirSync(folder("src"));
  });
  afterEach(() => db.close());

  const register = (request: Parameters<typeof db.write<(typeof Register)[0], (typeof Register)[1]>>[2]) =>
    db.write(registerProject, Register, request);

  describe("registerProject", () => {
    it("makes a directory a project with a new id and the directory's name", () => {
      const before = Date.now();
      const { project, created } = register({ rootPath: folder("src") });
      assert.equal(created, true);
      assert.match(project?.id ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.deepEqual([project?.rootPath, project?.name, project?.comment], [folder("src"), "src", ""]);
      assert.ok(project?.createdAt && project.updatedAt);
      const createdAt = timestampMs(project.createdAt);
      assert.ok(createdAt >= before - 1 && createdAt <= Date.now() + 1, `${createdAt} is now`);
    });

    it("answers the project that is there, and brings name and comment up to date", () => {
      const first = register({ rootPath: folder("src"), name: "n", comment: "c" }).project;
      db.exec("UPDATE projects SET created_at = 2450000.5, updated_at = 2450000.5");
      const again = register({ rootPath: `${folder("src")}/../src/./` });
      assert.equal(again.created, false);
      assert.deepEqual([again.project?.id, again.project?.name, again.project?.comment], [first?.id, "n", "c"]);
      assert.equal(again.project?.createdAt && timestampMs(again.project.createdAt), Date.UTC(1995, 9, 10));
      assert.ok(again.project?.updatedAt && timestampMs(again.project.updatedAt) > Date.now() - 60_000);
      const renamed = register({ rootPath: folder("src"), name: "", comment: "d", id: first?.id ?? "" }).project;
      assert.deepEqual([renamed?.id, renamed?.name, renamed?.comment], [first?.id, "", "d"]);
      assert.equal(db.rows("SELECT * FROM projects").length, 1);
    });

    it("resolves links, so that a directory is one project however it is reached", () => {
      symlinkSync(folder("src"), folder("link"));
      const first = register({ rootPath: folder("src") }).project;
      const again = register({ rootPath: folder("link") });
      assert.deepEqual([again.created, again.project?.id], [false, first?.id]);
      assert.equal(register({ rootPath: "/" }).project?.name, "/");
    });

    it("takes a given id, once", () => {
      mkdirSync(folder("other"));
      assert.equal(register({ rootPath: folder("src"), id: "mine" }).project?.id, "mine");
      assert.throws(() => register({ rootPath: folder("src"), id: "not mine" }), failsWith("CONSTRAINT_UNIQUE", "id"));
      assert.throws(() => register({ rootPath: folder("other"), id: "mine" }), failsWith("CONSTRAINT_UNIQUE"));
      assert.throws(() => register({ rootPath: folder("other"), id: "" }), failsWith("INVALID_REQUEST", "id"));
      assert.equal(db.rows("SELECT * FROM projects").length, 1);
    });

    it("refuses what is not a directory", () => {
      writeFileSync(folder("file"), "");
      symlinkSync(folder("gone"), folder("dangling"));
      symlinkSync(folder("loop"), folder("loop"));
      const cases = [
        ["", "INVALID_REQUEST"],
        ["src", "INVALID_REQUEST"],
        ["./src", "INVALID_REQUEST"],
        [`${folder("src")}\0`, "INVALID_REQUEST"],
        [folder("file"), "INVALID_REQUEST"],
        [folder("nope"), "FILE_NOT_FOUND"],
        [folder("file", "below"), "FILE_NOT_FOUND"],
        [folder("dangling"), "FILE_NOT_FOUND"],
        [folder("loop"), "FILE_NOT_FOUND"],
        [`/${"x".repeat(5_000)}`, "FILE_NOT_FOUND"],
      ] as const;
      for (const [rootPath, reason] of cases) {
        assert.throws(() => register({ rootPath }), failsWith(reason, "root_path"), rootPath);
      }
      assert.deepEqual(db.rows("SELECT * FROM projects"), []);
    });

    it("says that it may not look into a directory", function () {
      if (process.getuid?.() === 0) this.skip();
      mkdirSync(folder("closed", "inner"), { recursive: true });
      chmodSync(folder("closed"), 0);
      assert.throws(
        () => register({ rootPath: folder("closed", "inner") }),
        failsWith("FILE_NOT_READABLE", "root_path"),
      );
      chmodSync(folder("closed"), 0o700);
    });
  });

  describe("listProjects", () => {
    it("answers all by root directory, times to the millisecond, and unknown ones not at all", () => {
      const ms = Date.UTC(2024, 1, 29, 23, 59, 59, 987);
      db.exec(`INSERT INTO projects (id, root_path, name, comment, created_at, updated_at) VALUES
        ('b', '/b', NULL, NULL, NULL, ${ms / 86_400_000 + 2_440_587.5}),
        ('a', '/a', 'n', 'c', '2024-02-29 23:59:59.987', 'no time')`);
      const { projects } = db.read(listProjects, ListProjects, {});
      assert.deepEqual(
        projects.map(({ id, name, comment, createdAt, updatedAt }) => [
          id,
          name,
          comment,
          createdAt && timestampMs(createdAt),
          updatedAt && timestampMs(updatedAt),
        ]),
        [
          ["a", "n", "c", ms, undefined],
          ["b", "", "", undefined, ms],
        ],
      );
    });

    it("reads every millisecond that SQLite's clock can have written", () => {
      db.exec(`INSERT INTO projects (id, root_path, created_at)
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999)
        SELECT i, i, julianday(1700000000.0 + i * 0.001 + i * 7919, 'unixepoch') FROM n`);
      const { projects } = db.read(listProjects, ListProjects, {});
      assert.equal(projects.length, 3_000);
      for (const { id, createdAt } of projects) {
        const i = Number(id);
        assert.equal(createdAt && timestampMs(createdAt), 1_700_000_000_000 + i + i * 7_919_000);
      }
    });
  });

  describe("listIndexingErrors", () => {
    beforeEach(() => {
      db.exec("INSERT INTO projects (id, root_path) VALUES ('p', '/p'), ('q', '/q'), ('empty', '/e')");
    });

    const fill = (project: string, count: number) =>
      db.exec(`INSERT INTO indexing_errors (project_id, file_path, error_type, error_message, created_at)
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
        SELECT '${project}', printf('f%05d', i), 'syntax_error', 'line ' || i, 2450000.5 FROM n`);

    function page(projectId: string, pageSize: number, pageToken = "") {
      return db.read(listIndexingErrors, ListErrors, { projectId, pageSize, pageToken });
    }

    function walk(projectId: string, pageSize: number, between: (pages: number) => void = () => undefined): string[] {
      const found: string[] = [];
      let pages = 0;
      for (let token = ""; ; ) {
        const { errors, nextPageToken } = page(projectId, pageSize, token);
        found.push(...errors.map((error) => `${error.projectId}/${error.filePath}`));
        assert.ok(++pages < 1_000, "the pages end");
        if (nextPageToken === "") return found;
        assert.match(nextPageToken, /^[\w-]+$/);
        token = nextPageToken;
        between(pages);
      }
    }

    it("answers each error once, by project and path, whatever the size of the page", () => {
      fill("q", 7);
      fill("p", 12);
      const all = db
        .rows("SELECT project_id || '/' || file_path FROM indexing_errors ORDER BY project_id, file_path")
        .flat();
      for (const size of [1, 2, 3, 4, 6, 12, 18, 19, 20]) assert.deepEqual(walk("", size), all);
      assert.deepEqual(walk("p", 5), all.slice(0, 12));
      assert.deepEqual(walk("empty", 5), []);
      const [error] = page("p", 1).errors;
      assert.equal(error?.errorType, "syntax_error");
      assert.equal(error?.errorMessage, "line 0");
      assert.equal(error?.createdAt && timestampMs(error.createdAt), Date.UTC(1995, 9, 10));
    });

    it("answers the line of what is wrong in a file that was indexed, and none for another error of it", () => {
      const errorOf = (type: string) => {
        db.exec(
          `INSERT OR REPLACE INTO indexing_errors (project_id, file_path, error_type) VALUES ('p', '/p/a.py', '${type}')`,
        );
        return page("p", 10).errors.map(({ line }) => line);
      };
      assert.deepEqual(errorOf("syntax_error"), [undefined], "stored by another service");
      db.exec(`INSERT INTO files (id, project_id, path) VALUES (7, 'p', '/p/a.py');
        INSERT INTO extractions (file_id, rules, problem_line) VALUES (7, '', 12)`);
      assert.deepEqual(errorOf("syntax_error"), [12]);
      assert.deepEqual(errorOf("decode_error"), [12]);
      assert.deepEqual(errorOf("timeout"), [undefined]);
    });

    it("answers 100 when asked for no size, and at most the largest page", () => {
      fill("p", 200);
      assert.equal(page("p", 0).errors.length, 100);
      assert.equal(page("p", 150).errors.length, 150);
      assert.equal(page("p", 2 ** 32 - 1).errors.length, 150);
    });

    it("neither repeats nor skips what stays while others come and go", () => {
      fill("p", 60);
      let inserted = 0;
      const found = walk("p", 7, (pages) => {
        // The last one answered goes, one comes in front of it, one behind everything.
        db.exec(`DELETE FROM indexing_errors WHERE file_path = printf('f%05d', ${pages * 7 - 1})`);
        db.exec(`INSERT INTO indexing_errors (project_id, file_path) VALUES ('p', 'a${pages}'), ('p', 'z${pages}')`);
        inserted = pages;
      });
      const originals = found.filter((path) => path.startsWith("p/f"));
      assert.deepEqual(originals, [...new Set(originals)]);
      assert.equal(originals.length, 60);
      assert.ok(inserted > 5);
    });

    it("pages through paths that are not UTF-8, empty, or full of quotes", () => {
      db.exec(`INSERT INTO indexing_errors (project_id, file_path) VALUES ('p', CAST(x'61FF' AS TEXT)), ('p', ''),
        ('p', CAST(x'61FF61' AS TEXT)), ('p', CAST(x'6180' AS TEXT)), ('p', 'a''"\\'), ('', ''), ('p', 'ü'), ('p', '😀')`);
      for (const size of [1, 2, 3]) assert.equal(walk("", size).length, 8);
    });

    it("makes pages of long messages shorter, so that a client can take them", () => {
      db.close();
      db = new TestDatabase(folder("small.db"), { maxExecuteBytes: 1_000 });
      db.exec(BUILT_IN_SCHEMA);
      db.exec(`INSERT INTO indexing_errors (project_id, file_path, error_message)
        VALUES ('p', 'a', printf('%2000d', 1)), ('p', 'b', printf('%400d', 1)), ('p', 'c', ''), ('p', 'd', '')`);
      assert.equal(page("", 50).errors.length, 1);
      assert.equal(walk("", 50).length, 4);
    });

    it("does not know a project that is not there", () => {
      assert.throws(() => page("nope", 1), failsWith("PROJECT_NOT_FOUND", "project_id"));
    });

    it("refuses a token that is not ours or was made for another request", () => {
      fill("p", 5);
      const { nextPageToken } = page("p", 2);
      const forged = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const tokens = [
        "x",
        "????",
        nextPageToken.slice(0, -4),
        `${nextPageToken}AAAA`,
        forged(null),
        forged([]),
        forged({}),
        forged([["ListIndexingErrors", "p"], ["a"]]),
        forged([
          ["ListIndexingErrors", "p"],
          ["a", 1],
        ]),
        forged([
          ["ListIndexingErrors", "p"],
          ["a", { toString: 1 }],
        ]),
        forged([
          ["Other", "p"],
          ["61", "61"],
        ]),
      ];
      for (const token of tokens) {
        assert.throws(() => page("p", 2, token), failsWith("INVALID_REQUEST", "page_token"), token);
      }
      assert.throws(() => page("q", 2, nextPageToken), failsWith("INVALID_REQUEST", "page_token"));
      assert.throws(() => page("", 2, nextPageToken), failsWith("INVALID_REQUEST", "page_token"));
      assert.equal(page("p", 1, nextPageToken).errors.length, 1, "another page size is no other request");
      // What stands in a key is only ever compared.
      assert.deepEqual(
        page(
          "p",
          2,
          forged([
            ["ListIndexingErrors", "p"],
            ["'; DROP", "not hex"],
          ]),
        ).errors,
        [],
      );
    });
  });
});
