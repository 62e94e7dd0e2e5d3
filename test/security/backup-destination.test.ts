import assert from "node:assert/strict";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { assertBackupDestination } from "../../src/security/backup-destination.js";
import { useTempFolder } from "../support/temp-folder.js";

describe("assertBackupDestination()", () => {
  const inFolder = useTempFolder();

  beforeEach(() => {
    writeFileSync(inFolder("a.db"), "");
    writeFileSync(inFolder("mine"), "");
    mkdirSync(inFolder("folder"));
    symlinkSync("nowhere", inFolder("link"));
    symlinkSync(inFolder(), inFolder("folder", "round"));
    symlinkSync("a.db", inFolder("alias.db"));
  });

  it("accepts a new file in a directory that is there", () => {
    for (const path of [
      inFolder("a.db.backup"),
      inFolder("folder", "..x"),
      inFolder("folder", "round", "a.db-wal.copy"),
    ]) {
      assertBackupDestination(path, inFolder("a.db"));
    }
  });

  it("refuses what is no path of a file, is there, or means something to SQLite", () => {
    const before = readdirSync(inFolder(), { recursive: true });
    for (const path of [
      "",
      "a.backup",
      "/",
      `${inFolder("new")}/`,
      `${inFolder("folder")}/..`,
      inFolder("folder"),
      inFolder("missing", "a.backup"),
      inFolder("mine", "a.backup"),
      inFolder("mine"),
      inFolder("link"),
      inFolder("nul\0byte"),
      inFolder("x".repeat(300)),
      inFolder("a.db"),
      inFolder("alias.db"),
      inFolder("a.db-journal"),
      inFolder("folder", "round", "a.db-wal"),
    ]) {
      assert.throws(
        () => assertBackupDestination(path, inFolder("alias.db")),
        { reason: "INVALID_REQUEST", field: "destination_path" },
        JSON.stringify(path),
      );
    }
    assert.deepEqual(readdirSync(inFolder(), { recursive: true }), before);
  });
});
