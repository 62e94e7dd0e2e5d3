import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { resolveConfig } from "../../../src/config/config.js";
import { isSetIn, OPTION_NAMES, OPTIONS, spellings } from "../../../src/config/options.js";
import { runConfigCli } from "../../support/config-cli.js";
import { useTempFolder } from "../../support/temp-folder.js";

describe("config_cli generate and validate", () => {
  const inFolder = useTempFolder();
  const run = (...args: string[]) => runConfigCli(args, { cwd: inFolder() });

  it("generates a file that explains every option, is valid, and gives the defaults", async () => {
    const { exitCode, stdout } = await run("generate", "--out", "config.json");
    assert.deepEqual([exitCode, stdout], [0, `${inFolder("config.json")}\n`]);
    assert.equal((await run("generate")).stdout, readFileSync(inFolder("config.json"), "utf8"));

    const document = JSON.parse(readFileSync(inFolder("config.json"), "utf8")).code_analysis;
    for (const name of OPTION_NAMES) {
      const key = spellings(OPTIONS[name]).file;
      if (isSetIn(OPTIONS[name], "file") && name !== "db") assert.ok(document["//"].driver[key].length > 20, key);
    }
    const path = inFolder("config.json");
    const database = inFolder("data", "code_analysis.db");
    assert.deepEqual(resolveConfig({ flags: { config: path }, environment: {} }), {
      ...resolveConfig({ flags: { db: database }, environment: {} }),
      config: path,
    });
    const valid = await run("validate");
    assert.deepEqual([valid.exitCode, valid.stdout], [0, `OK ${path}\ndatabase ${database}\n`]);
  });

  it("does not overwrite a file", async () => {
    writeFileSync(inFolder("config.json"), "mine");
    const { exitCode, stderr } = await run("generate", "--out", "config.json");
    assert.equal(exitCode, 1);
    assert.match(stderr, /^error: The config file .* cannot be created: .*EEXIST/);
    assert.equal(readFileSync(inFolder("config.json"), "utf8"), "mine");
  });

  const mistakes: readonly (readonly [text: string, sentence: RegExp])[] = [
    ['{\n  "code_analysis": {\n    "db_path": "a.db",,\n  }\n}', /is not JSON: line 3, column 23: /],
    ['{ "code_analysis": ', /is not JSON: line 1, column 20: /],
    ['{ "code_analysis": { "db_path": 5 } }', /is wrong at code_analysis\.db_path: .*string/],
    [
      '{ "code_analysis": { "driver": { "readers": "many" } } }',
      /code_analysis\.driver\.readers in .* is "many"; it must be a whole number/,
    ],
    [
      '{ "code_analysis": { "driver": { "raeders": 2 } } }',
      /code_analysis\.driver\.raeders in .* is no option; those are /,
    ],
  ];
  for (const [text, sentence] of mistakes) {
    it(`ends with 1 and says what is wrong where: ${sentence.source}`, async () => {
      writeFileSync(inFolder("config.json"), text);
      const { exitCode, stdout, stderr } = await run("validate", "--config", "config.json");
      assert.deepEqual([exitCode, stdout], [1, ""]);
      assert.match(stderr, sentence);
      assert.ok(stderr.startsWith("error: ") && stderr.includes(inFolder("config.json")));
    });
  }

  it("ends with 1 when there is no file", async () => {
    for (const args of [["validate"], ["validate", "--config", "none.json"]]) {
      const { exitCode, stderr } = await run(...args);
      assert.equal(exitCode, 1);
      assert.match(stderr, /^error: .*(config|none)\.json/);
    }
  });
});
