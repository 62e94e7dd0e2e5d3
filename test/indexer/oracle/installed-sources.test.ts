import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { parseSource } from "../../../src/indexer/parse.js";
import { CTAGS_LANGUAGES, differencesOf, hasCtags, ownDefinitions, runCtags, taggedDefinitions } from "./ctags.js";
import { goEnv } from "./go-toolchain.js";
import { report, sample, seed } from "./sample.js";

/** SQLite as one file has 9.5 MB. */
const LIMITS = { maxBytes: 20_000_000, timeoutMs: 60_000 };
const MODULES = new URL("../../../../node_modules/", import.meta.url).pathname;

/** Sources that come with a toolchain or a package; those that are not there are passed over. */
interface Sources {
  readonly extensions: readonly string[];
  readonly folders: readonly string[];
  /** What ctags finds in them and we do not, as `file: class NAME` or `file: function NAME`, by its cause. */
  readonly missing: Readonly<Record<string, readonly string[]>>;
}

/** Absolute; of a Go that is not there it is a folder that is not there. */
const GO = join("/", goEnv("GOROOT"), "src");
const CARGO = join(process.env.CARGO_HOME ?? join(process.env.HOME ?? "", ".cargo"), "registry/src");

const SOURCES: Readonly<Record<string, Sources>> = {
  go: {
    extensions: [".go"],
    folders: [GO],
    missing: {
      "ctags takes the result of a function type for its name": [
        "canonmap_test.go: function uintptr",
        "export_test.go: function uintptr",
      ],
    },
  },
  c: {
    extensions: [".c"],
    folders: [join(MODULES, "better-sqlite3/deps/sqlite3"), GO],
    missing: {
      "a macro stands before a type that the grammar takes for the name, or `#ifdef` cuts a statement in two": [
        ...["columnNullValue", "sqlite3Hwtime", "sqlite3InitOne", "sqlite3OsDlSym", "sqlite3RunParser"],
        "sqlite3_memory_used",
      ].map((name) => `sqlite3.c: function ${name}`),
      "the grammar does not see a macro that is defined in a branch of `#if`": [
        "sqlite3.c: function osFstat",
        "sqlite3.c: function RTREE_DECODE_COORD",
      ],
    },
  },
  cpp: {
    extensions: [".cpp", ".cc", ".hpp", ".h"],
    folders: [join(MODULES, "better-sqlite3/src"), "/usr/src/googletest"],
    missing: {
      "the macro ACTION_TEMPLATE throws the grammar off": [
        "gmock-more-actions_test.cc: function ACTION_TEMPLATE",
        "gmock-more-actions_test.cc: function TEST",
        "gmock-more-actions_test.cc: class GiantTemplate",
        "gmock-more-actions_test.cc: function GiantTemplate",
      ],
      "`#if` decides between two heads of one function": ["gmock-spec-builders_test.cc: function gmock_main"],
      "ctags names a conversion by a part of its type": [
        "gmock-actions.h: function )>",
        "gmock-actions_test.cc: function )>",
        ...["Matcher<F>", "Matcher<T>", "tuple<T1,T2>>", "tuple<T1,T2>&>"].map(
          (name) => `gmock-matchers.h: function ${name}`,
        ),
        "googletest-printers-test.cc: function BiggestInt",
      ],
      "a macro stands before a type with a `*`": ["gmock-internal-utils.cc: function GetFailureReporter"],
      "two macros stand before the type, or one behind it": [
        "gtest.cc: function GetCurrentOsStackTraceExceptTop",
        "googletest-break-on-failure-unittest_.cc: function ExitWithExceptionCode",
      ],
      "what stands before it throws the grammar off": [
        ...["CallableTag", "IgnoreIncomingArguments", "OnceAction", "StdFunctionAdaptor", "negation"].map(
          (name) => `gmock-actions.h: class ${name}`,
        ),
        ...["Call", "OnceAction", "StdFunctionAdaptor", "as_const", "operator()"].map(
          (name) => `gmock-actions.h: function ${name}`,
        ),
        "gtest-printers.h: function PrintToString",
      ],
      "a macro has an operator as its argument": [
        "gtest.h: class AssertHelper",
        "gtest.h: function CmpHelperFloatingPointEQ",
      ],
      "a macro with a qualified name in parentheses stands behind a destructor": ["gtest.cc: function ~ScopedTrace"],
      "ctags takes the call of a macro for a function": [
        ...["gtest-assertion-result.h", "gtest-internal.h"].map(
          (file) => `${file}: function GTEST_DISABLE_MSC_WARNINGS_POP_`,
        ),
        "gtest-port.h: function GTEST_DISABLE_MSC_DEPRECATED_PUSH_",
        "gtest.cc: function GTEST_REPEATER_METHOD_",
        "gtest_test_macro_stack_footprint_test.cc: function THOUSAND_TESTS_",
      ],
      "the name is one of two that `#if` decides between": ["gmock_main.cc: function _tmain"],
    },
  },
  rust: { extensions: [".rs"], folders: [CARGO], missing: {} },
};

describe("parseSource() on sources that toolchains bring, against universal-ctags", () => {
  before(function () {
    if (!hasCtags()) this.skip();
  });

  for (const [language, { extensions, folders, missing }] of Object.entries(SOURCES)) {
    it(`finds every definition of ${language} that ctags finds, but for those that are listed`, async function () {
      this.timeout(600_000);
      const files = folders.filter(existsSync).flatMap((folder) => sourcesBelow(folder, extensions));
      if (files.length === 0) this.skip();
      const chosen = sample(files, 80);
      const listed = new Set(Object.values(missing).flat());
      let tagCount = 0;
      const notFound: string[] = [];
      for (const file of chosen) {
        const { language: own, definitions } = await parseSource(readFileSync(file), file, LIMITS);
        // A header may turn out to be one of C.
        const ctags = CTAGS_LANGUAGES[own ?? ""];
        assert.ok(ctags, file);
        const tagged = taggedDefinitions(runCtags(file, ctags), ctags);
        tagCount += tagged.length;
        for (const difference of differencesOf(tagged, ownDefinitions(definitions))) {
          const [, found, line] = /^ctags: (.*) (\d+)$/.exec(difference) ?? [];
          if (found === undefined) continue; // ctags does not look into functions, knows no new syntax, and so on.
          if (!listed.has(`${basename(file)}: ${found}`)) notFound.push(`${basename(file)}: ${found} ${line} ${file}`);
        }
      }
      report(`${chosen.length} of ${files.length} files (seed ${seed}), ${tagCount} definitions of ctags`);
      assert.deepEqual(notFound, []);
    });
  }
});

function sourcesBelow(folder: string, extensions: readonly string[]): string[] {
  return (
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((file) => join(folder, file))
      // What lies in testdata is wrong on purpose.
      .filter((file) => extensions.includes(extname(file)) && !file.includes("/testdata/") && statSync(file).isFile())
      .sort()
  );
}
