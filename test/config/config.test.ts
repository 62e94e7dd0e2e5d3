import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import * as v from "valibot";
import { type Config, type ConfigSources, resolveConfig } from "../../src/config/config.js";
import { isSetIn, OPTION_NAMES, OPTIONS, spellings } from "../../src/config/options.js";
import { DriverError } from "../../src/errors.js";
import { useTempFolder } from "../support/temp-folder.js";

describe("resolveConfig()", () => {
  const inFolder = useTempFolder();

  /** A config file with `codeAnalysis` as its `code_analysis`. */
  function writeConfig(codeAnalysis: unknown): string {
    const path = inFolder("config.json");
    writeFileSync(path, JSON.stringify({ code_analysis: codeAnalysis, other_program: { x: 1 } }));
    return path;
  }

  function config(sources: Partial<ConfigSources> = {}): Config {
    return resolveConfig({ flags: {}, environment: {}, ...sources });
  }

  function refusal(sources: Partial<ConfigSources>): DriverError {
    try {
      config(sources);
    } catch (error) {
      if (error instanceof DriverError) return error;
      throw error;
    }
    throw new assert.AssertionError({ message: "the configuration was accepted" });
  }

  it("takes a flag before the environment, the environment before the file, the file before the default", () => {
    const file = writeConfig({ driver: { drain_timeout: "3s" } });
    const environment = { CODE_ANALYSIS_DRIVER_DRAIN_TIMEOUT: "2s", CODE_ANALYSIS_DRIVER_CONFIG: file };
    assert.equal(config().drainTimeoutMs, 10_000);
    assert.equal(config({ flags: { config: file } }).drainTimeoutMs, 3_000);
    assert.equal(config({ environment }).drainTimeoutMs, 2_000);
    assert.equal(config({ environment, flags: { drainTimeoutMs: "1s" } }).drainTimeoutMs, 1_000);
  });

  it("derives the socket and the token file from the database", () => {
    const { db, listen, tokenFile } = config({ flags: { db: "some/where.db" } });
    assert.equal(db, resolve("some/where.db"));
    assert.deepEqual(listen, [`unix:${db}.sock`]);
    assert.equal(tokenFile, `${db}.token`);
  });

  it("reads the database from both keys of the file, relative to the file", () => {
    const nested = { database: { driver: { config: { path: "nested.db" } } } };
    assert.equal(config({ flags: { config: writeConfig(nested) } }).db, inFolder("nested.db"));
    assert.equal(
      config({ flags: { config: writeConfig({ ...nested, db_path: "data/a.db" }) } }).db,
      inFolder("data/a.db"),
    );
    assert.equal(
      config({ flags: { config: writeConfig({ db_path: "a.db", driver: { db: "b.db" } }) } }).db,
      inFolder("b.db"),
    );
  });

  it("resolves paths of flags and variables against the working directory", () => {
    const { tlsCa, tokenFile } = config({
      flags: { tlsCa: "ca.pem" },
      environment: { CODE_ANALYSIS_DRIVER_TOKEN_FILE: "secret.token" },
    });
    assert.equal(tlsCa, resolve("ca.pem"));
    assert.equal(tokenFile, resolve("secret.token"));
  });

  it("reads units in every source", () => {
    const file = writeConfig({
      driver: {
        max_file_bytes: "5MB",
        max_request_bytes: "64KiB",
        execute_max_bytes: 65_536,
        readers: 3,
        file_timeout: "1.5s",
      },
    });
    const read = config({ flags: { config: file }, environment: { CODE_ANALYSIS_DRIVER_STATEMENT_TIMEOUT: "5m" } });
    assert.equal(read.maxFileBytes, 5_000_000);
    assert.equal(read.maxRequestBytes, 65_536);
    assert.equal(read.executeMaxBytes, 65_536);
    assert.equal(read.readers, 3);
    assert.equal(read.fileTimeoutMs, 1_500);
    assert.equal(read.statementTimeoutMs, 300_000);
  });

  it("reads lists and switches in every source", () => {
    const two = ["unix:/tmp/a.sock", "127.0.0.1:0"];
    assert.deepEqual(config({ flags: { listen: two } }).listen, two);
    assert.deepEqual(config({ environment: { CODE_ANALYSIS_DRIVER_LISTEN: two.join(", ") } }).listen, two);
    assert.deepEqual(config({ flags: { config: writeConfig({ driver: { listen: two } }) } }).listen, two);
    assert.equal(config({ flags: { insecureNoAuth: true } }).insecureNoAuth, true);
    assert.equal(config({ environment: { CODE_ANALYSIS_DRIVER_INSECURE_NO_AUTH: "1" } }).insecureNoAuth, true);
    assert.equal(config({ environment: { CODE_ANALYSIS_DRIVER_INSECURE_NO_AUTH: "false" } }).insecureNoAuth, false);
    assert.equal(
      config({ flags: { config: writeConfig({ driver: { insecure_no_auth: true } }) } }).insecureNoAuth,
      true,
    );
  });

  it("treats an empty variable as not set", () => {
    assert.equal(config({ environment: { CODE_ANALYSIS_DRIVER_READERS: "" } }).readers, config().readers);
  });

  it("takes the token from the environment alone", () => {
    assert.equal(config({ environment: { CODE_ANALYSIS_DRIVER_TOKEN: "s3cret" } }).token, "s3cret");
    assert.equal(config({ flags: { token: "s3cret" } }).token, undefined);
    assert.match(refusal({ flags: { config: writeConfig({ driver: { token: "s3cret" } }) } }).message, /is no option/);
  });

  it("answers with something nobody can change", () => {
    const frozen = config({ flags: { listen: ["127.0.0.1:0"] } });
    assert.ok(Object.isFrozen(frozen));
    assert.ok(Object.isFrozen(frozen.listen));
  });

  const refused: readonly { title: string; sources: Partial<ConfigSources>; field: string; message: RegExp }[] = [
    {
      title: "a duration without a unit",
      sources: { flags: { drainTimeoutMs: "10" } },
      field: "--drain-timeout",
      message:
        /^--drain-timeout is "10"; it must be a duration with a unit, such as 500ms, 10s, 5m or 1h, from 0ms to 24h\.$/,
    },
    {
      title: "a count out of its range",
      sources: { environment: { CODE_ANALYSIS_DRIVER_READERS: "0" } },
      field: "CODE_ANALYSIS_DRIVER_READERS",
      message: /is "0"; it must be a whole number from 1 to 256\.$/,
    },
    {
      title: "an unknown word",
      sources: { flags: { logLevel: "loud" } },
      field: "--log-level",
      message: /is "loud"; it must be one of debug, info, warn, error, silent\.$/,
    },
    {
      title: "a size with a unit that does not exist",
      sources: { flags: { maxFileBytes: "5XB" } },
      field: "--max-file-bytes",
      message: /is "5XB"; it must be a size such as 65536, 64KiB or 5MB, from 1B to 1GiB\.$/,
    },
    {
      title: "a default lease longer than the longest",
      sources: { flags: { transactionTtlMs: "10m" } },
      field: "",
      message: /transaction-ttl is longer than transaction-ttl-max/,
    },
  ];
  for (const { title, sources, field, message } of refused) {
    it(`refuses ${title}`, () => {
      const error = refusal(sources);
      assert.equal(error.reason, "INVALID_REQUEST");
      assert.match(error.message, message);
      assert.equal(error.field ?? "", field);
    });
  }

  it("names the key and the file of a wrong value in the file", () => {
    const file = writeConfig({ driver: { readers: "many" } });
    assert.equal(
      refusal({ flags: { config: file } }).message,
      `code_analysis.driver.readers in ${file} is "many"; it must be a whole number from 1 to 256.`,
    );
  });

  it("refuses a misspelt key of the file", () => {
    const file = writeConfig({ driver: { reader: 3 } });
    assert.match(
      refusal({ flags: { config: file } }).message,
      /driver\.reader in .* is no option; those are .*readers/,
    );
  });

  it("refuses a file that is missing, no JSON, or of another shape", () => {
    assert.match(refusal({ flags: { config: inFolder("none.json") } }).message, /none\.json cannot be read \(ENOENT/);
    const broken = inFolder("broken.json");
    writeFileSync(broken, "{");
    assert.match(refusal({ flags: { config: broken } }).message, /broken\.json is not JSON/);
    assert.match(
      refusal({ flags: { config: writeConfig({ db_path: 7 }) } }).message,
      /is wrong at code_analysis\.db_path/,
    );
  });
});

describe("OPTIONS", () => {
  it("has defaults that its own types accept when they are written out", () => {
    for (const name of OPTION_NAMES) {
      const { type, default: initial } = OPTIONS[name];
      if (initial === undefined || typeof initial === "function") continue;
      // The union of all options has no common `format`; each default has the type of its own option.
      const written: string = Reflect.apply(type.format, undefined, [initial]);
      // For the same reason: each schema gives what its own option has.
      const schema: v.GenericSchema = type.schema;
      assert.deepEqual(v.parse(schema, written), initial, name);
    }
  });

  it("has a spelling of its own for each option in each source", () => {
    for (const source of ["flag", "environment", "file"] as const) {
      const names = OPTION_NAMES.filter((name) => isSetIn(OPTIONS[name], source)).map(
        (name) => spellings(OPTIONS[name])[source],
      );
      assert.equal(new Set(names).size, names.length);
    }
  });
});
