import assert from "node:assert/strict";
import { createDriver, DIRECT_DRIVER_VARIABLES } from "../../src/schema/direct-driver.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";

describe("createDriver()", () => {
  const saved = DIRECT_DRIVER_VARIABLES.map((name) => [name, process.env[name]] as const);

  beforeEach(() => {
    for (const name of DIRECT_DRIVER_VARIABLES) delete process.env[name];
  });
  afterEach(() => {
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    removeScratchDatabases();
  });

  it("throws unless the process says that it may open a database", () => {
    const { path } = scratchDatabase();
    assert.throws(() => createDriver("sqlite", { path }), {
      reason: "ROLE_NOT_ALLOWED",
      hint: /CODE_ANALYSIS_DB_DRIVER=1 or CODE_ANALYSIS_DB_WORKER=1/,
    });
    process.env.CODE_ANALYSIS_DB_DRIVER = "0";
    assert.throws(() => createDriver("sqlite", { path }), { reason: "ROLE_NOT_ALLOWED" });
  });

  for (const variable of DIRECT_DRIVER_VARIABLES) {
    it(`opens a database with ${variable}=1`, () => {
      process.env[variable] = "1";
      const { path } = scratchDatabase("CREATE TABLE files (id INTEGER PRIMARY KEY)");
      const driver = createDriver("sqlite", { path });
      assert.deepEqual(
        driver.schema.listTables().map(({ name }) => name),
        ["files"],
      );
      assert.equal(driver.connection.pragma("foreign_keys", { simple: true }), 0);
      driver.close();
      assert.equal(driver.connection.open, false);
    });
  }

  it("lists the known drivers for an unknown name", () => {
    process.env.CODE_ANALYSIS_DB_DRIVER = "1";
    for (const name of ["postgres", "toString"]) {
      assert.throws(() => createDriver(name, { path: "x" }), {
        reason: "INVALID_REQUEST",
        message: `There is no database driver "${name}".`,
        hint: "Known drivers: sqlite.",
      });
    }
  });
});
