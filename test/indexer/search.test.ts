import assert from "node:assert/strict";
import { DriverError } from "../../src/errors.js";
import { partsOfName } from "../../src/indexer/name-words.js";
import { createCodeSearch, type SearchHit, type SearchRequest } from "../../src/indexer/search.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { IndexedProject } from "../support/indexed-project.js";
import { Random } from "../support/random.js";
import { TempDirectory } from "../support/temp-directory.js";

const FILES: Readonly<Record<string, string>> = {
  "src/users.py": `"""Accounts of people."""
import database

LIMIT = 10  # sentinel at the top


class UserStore:
    """Keeps accounts."""

    def get_user_name(self, key):
        # a sentinel inside
        return database.fetch(key)

    def rename(self, key):
        """Calls the sentinel twice: sentinel."""


def parseHTTPHeader(text):
    return text.split(":")
`,
  "src/view.ts": `export class UserView {
  getUserName(id: string) { return "größer " + id; }
  render() { return this.getUserName("sentinel"); }
}
`,
  "docs/notes.txt": "All about get_user_name and a sentinel.\nSecond line with user data.\n",
};

describe("createCodeSearch()", () => {
  let project: IndexedProject;
  let search: (query: string, options?: Partial<SearchRequest>) => SearchHit[];

  const request = (query: string, options: Partial<SearchRequest> = {}): SearchRequest => ({
    ...{ query, projectId: null, language: null, kinds: [], pathPrefix: "", pageSize: 50, pageToken: "" },
    ...options,
  });
  const named = (hits: readonly SearchHit[]): string[] => hits.map(({ kind, entityName }) => `${kind} ${entityName}`);

  before(async () => {
    project = new IndexedProject(":memory:", ["p", "q"]);
    await project.index(Object.entries(FILES));
    await project.index([["other.py", "def get_user_name(): pass\n"]], "q");
    const codeSearch = createCodeSearch(project.connection);
    search = (query, options) => [...codeSearch.search(request(query, options)).hits];
  });
  after(() => project.close());

  it("finds a name by itself, by each of its parts and by prefixes, in either style of writing", () => {
    for (const query of ["get_user_name", "user", "name", "get", "user name", "na*", "get_us*", "USER"]) {
      const hits = named(search(query, { projectId: "p" }));
      assert.ok(hits.includes("method get_user_name"), query);
      if (query !== "get_user_name") assert.ok(hits.includes("method getUserName") || query === "get_us*", query);
    }
    for (const query of ["getUserName", "getusername", "getUser*", "userName", "UserName"]) {
      assert.ok(named(search(query)).includes("method getUserName"), query);
    }
    for (const query of ["http", "HTTP", "header", "parseHTTPHeader", "HTTPHeader"]) {
      assert.ok(named(search(query)).includes("function parseHTTPHeader"), query);
    }
    assert.deepEqual(search("username2"), []);
    assert.ok(named(search("notes")).includes("file docs/notes.txt"));
  });

  it("puts names before text, and the equal name first", () => {
    const hits = search("get_user_name", { projectId: "p" });
    assert.deepEqual(named(hits).slice(0, 2), ["method get_user_name", "method getUserName"]);
    assert.ok(named(hits).slice(2).includes("file docs/notes.txt"));
    const scores = hits.map(({ score }) => score);
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => b - a),
    );
    assert.ok((scores[1] ?? 0) > 1 && (scores[2] ?? 1) < 1);
  });

  it("finds a member by its class and its name, as a hit is called", () => {
    for (const query of ["UserStore.rename", "UserStore::rename", "UserStore#rename", "users.UserStore.rename"]) {
      const [first, ...others] = search(query, { projectId: "p" });
      assert.deepEqual([first?.className, first?.entityName, first?.score], ["UserStore", "rename", 3], query);
      assert.deepEqual(named(others), [], query);
    }
    assert.deepEqual(named(search("UserView.rename")), []);
    assert.equal(search("UserStore.rename", { projectId: "q" }).length, 0);
    assert.equal(search("UserStore.rename").length, 1);
  });

  it("answers a text in the innermost entity, and in what is around it only for what else is there", () => {
    const hits = search("sentinel", { projectId: "p" });
    assert.deepEqual(named(hits).sort(), [
      ...["file docs/notes.txt", "file src/users.py", "method get_user_name", "method rename", "method render"],
    ]);
    const file = hits.find(({ entityName }) => entityName === "src/users.py");
    assert.deepEqual([file?.snippet.matchLine, file?.line, file?.endLine], [4, 1, 19]);
    // Both words in one entity are nowhere; in the file they are.
    assert.deepEqual(named(search("fetch split")), ["file src/users.py"]);
  });

  it("says where a hit is and cuts the text around it, with the matches in bytes", () => {
    const [hit] = search("größer");
    assert.ok(hit);
    assert.deepEqual(
      [hit.projectId, hit.relativePath, hit.language, hit.kind, hit.className, hit.line, hit.endLine],
      ["p", "src/view.ts", "typescript", "method", "UserView", 2, 2],
    );
    const bytes = Buffer.from(hit.snippet.text);
    assert.deepEqual(
      hit.snippet.matches.map(({ start, end }) => bytes.subarray(start, end).toString()),
      ["größer"],
    );
    const [rename] = search("sentinel twice");
    assert.deepEqual([rename?.entityName, rename?.snippet.matchLine, rename?.snippet.line], ["rename", 15, 14]);
    assert.equal(rename?.snippet.matches.length, 3);
    const [definition] = search("parseHTTPHeader");
    assert.deepEqual(definition?.snippet.text.split("\n")[0], "def parseHTTPHeader(text):");
    assert.deepEqual(definition?.snippet.matches, [{ start: 4, end: 19 }]);
  });

  it("takes only what the filters allow", () => {
    assert.deepEqual(new Set(search("user").map(({ projectId }) => projectId)), new Set(["p", "q"]));
    assert.deepEqual(named(search("user", { projectId: "q" })), ["function get_user_name"]);
    assert.deepEqual(
      new Set(search("user", { language: "typescript" }).map((hit) => hit.relativePath)),
      new Set(["src/view.ts"]),
    );
    assert.deepEqual(named(search("sentinel", { kinds: ["method"], projectId: "p" })).sort(), [
      ...["method get_user_name", "method rename", "method render"],
    ]);
    assert.deepEqual(named(search("sentinel", { kinds: ["class"] })).sort(), ["class UserStore", "class UserView"]);
    assert.deepEqual(named(search("sentinel", { pathPrefix: "docs/" })), ["file docs/notes.txt"]);
    assert.deepEqual(search("sentinel", { pathPrefix: "%" }), []);
  });

  it("gives the same hits in pages of any size", () => {
    const codeSearch = createCodeSearch(project.connection);
    for (const query of ["user", "sentinel", "get_user_name", "return"]) {
      const whole = search(query);
      for (const pageSize of [1, 2, 3, whole.length]) {
        const paged: SearchHit[] = [];
        let pageToken = "";
        do {
          const page = codeSearch.search(request(query, { pageSize, pageToken }));
          assert.ok(page.hits.length === pageSize || page.nextPageToken === "");
          paged.push(...page.hits);
          pageToken = page.nextPageToken;
        } while (pageToken !== "");
        assert.deepEqual(paged, whole, `${query} in pages of ${pageSize}`);
      }
    }
  });

  it("refuses a page token of another search or none of ours", () => {
    const codeSearch = createCodeSearch(project.connection);
    const { nextPageToken } = codeSearch.search(request("user", { pageSize: 1 }));
    assert.notEqual(nextPageToken, "");
    const nonsense = [Buffer.from("[1]").toString("base64url"), "x", "€", Buffer.from('{"a":1}').toString("base64url")];
    assert.throws(() => search("other", { pageToken: nextPageToken }), isInvalid);
    assert.throws(() => search("user", { pageToken: nextPageToken, projectId: "p" }), isInvalid);
    for (const pageToken of nonsense) assert.throws(() => search("user", { pageToken }), isInvalid, pageToken);
  });

  it("reads anything typed as text, never as syntax", () => {
    for (const query of ["", "  ", "***", '"', '""', "( )", "_", "\0", "x ".repeat(33), "x".repeat(5_000)]) {
      assert.throws(() => search(query), isInvalid, JSON.stringify(query));
    }
    // The note has all three words, `and` among them.
    assert.deepEqual(named(search('user AND "data')), ["file docs/notes.txt"]);
    assert.deepEqual(named(search("user NOT data")), []);
    assert.deepEqual(named(search("content:user^2")).length, 0);
    assert.deepEqual(named(search('"user data"')), ["file docs/notes.txt"]);
    assert.deepEqual(named(search('"with us"*')), ["file docs/notes.txt"]);
    const seed = Date.now() % 2 ** 31;
    const random = new Random(seed);
    const pieces = [
      '"',
      "'",
      "*",
      "(",
      ")",
      "AND",
      "OR",
      "NOT",
      "NEAR(",
      "^",
      ":",
      "-",
      "+",
      "{",
      "}",
      "user",
      "\0",
      "é",
      "\ud800",
    ];
    pieces.push("a.b", "content", "rowid", ",", "5", ";", "\\", "%", "日本", "\u{1F600}", " ", "\n");
    for (let n = 0; n < 500; n++) {
      const query = Array.from({ length: 1 + random.below(8) }, () => random.pick(pieces)).join(random.pick(["", " "]));
      try {
        search(query);
      } catch (error) {
        assert.ok(isInvalid(error), `seed ${seed}: ${JSON.stringify(query)}: ${error}`);
      }
    }
  });

  it("finds every entity by its name and each part of it, and nothing that was deleted", async () => {
    const names = project.connection
      .prepare<[], string>("SELECT DISTINCT name FROM symbols WHERE entity_type <> 'file'")
      .pluck()
      .all();
    for (const name of names) {
      for (const query of [name, ...partsOfName(name)]) {
        assert.ok(
          search(query).some(({ entityName }) => entityName === name),
          `${name} by ${query}`,
        );
      }
    }
    await project.index([["src/gone.py", "def vanishing_point():\n    unrepeatable = 1\n"]]);
    assert.equal(search("vanishing").length, 1);
    await project.index([["src/gone.py", "def other_point():\n    pass\n"]]);
    assert.deepEqual([search("vanishing"), search("unrepeatable")], [[], []]);
    project.remove("src/gone.py");
    assert.deepEqual(search("other_point"), []);
    project.assertFullTextIsWhole();
  });

  it("works on a read-only connection, beside a writer", async () => {
    const directory = new TempDirectory();
    const writer = new IndexedProject(directory.at("index.db"));
    await writer.index(Object.entries(FILES));
    const reader = openConnection(directory.at("index.db"), { role: "reader" });
    assert.equal(createCodeSearch(reader).search(request("parseHTTPHeader")).hits.length, 1);
    reader.close();
    writer.close();
    directory.remove();
  });

  it("cuts long lines around the match", async () => {
    const long = new IndexedProject();
    await long.index([["a.txt", `${"x ".repeat(50_000)}needle ${"y ".repeat(50_000)}`]]);
    const [hit] = createCodeSearch(long.connection).search(request("needle")).hits;
    assert.ok((hit?.snippet.text.length ?? 999) <= 240);
    const [range] = hit?.snippet.matches ?? [];
    assert.equal(hit?.snippet.text.slice(range?.start, range?.end), "needle");
    long.close();
  });
});

function isInvalid(error: unknown): boolean {
  return error instanceof DriverError && error.reason === "INVALID_REQUEST";
}
