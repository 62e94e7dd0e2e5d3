import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";

const BUF = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));
const run = promisify(execFile);

describe("a client of another tool, buf curl, which knows the service by reflection alone", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  it("calls GetDriverInfo, RegisterProject, IndexFile, Execute and Query", async () => {
    mkdirSync(inFolder("source"));
    writeFileSync(inFolder("source", "a.py"), "class A:\n    def m(self): pass\n");
    const driver = await DriverProcess.start(inFolder(), { args: ["--listen", "127.0.0.1:0"] });
    const token = readFileSync(`${driver.databasePath}.token`, "utf8").trim();
    const call = async (method: string, request: object) => {
      const url = `http://${driver.address}/code_analysis.driver.v1.DriverService/${method}`;
      const header = `authorization: Bearer ${token}`;
      const args = ["curl", "--http2-prior-knowledge", "--protocol", "grpc", "-H", header, "--reflect-header", header];
      // Away from the files of this project, so that nothing but reflection tells what there is.
      const { stdout } = await run(BUF, [...args, "-d", JSON.stringify(request), url], { cwd: inFolder() });
      return JSON.parse(stdout);
    };

    assert.equal((await call("GetDriverInfo", {})).databasePath, driver.databasePath);
    const { project } = await call("RegisterProject", { root_path: inFolder("source") });
    const indexed = await call("IndexFile", { project_id: project.id, file_path: "a.py" });
    assert.deepEqual([indexed.filePath, indexed.language, indexed.counts.methods], ["a.py", "python", "1"]);
    const sql = "SELECT c.name, m.name, ? FROM methods m JOIN classes c ON c.id = m.class_id";
    const request = { sql, parameters: [{ integer_value: "9223372036854775807" }] };
    const row = { values: [{ textValue: "A" }, { textValue: "m" }, { integerValue: "9223372036854775807" }] };
    assert.deepEqual((await call("Execute", request)).rows, [row]);
    assert.deepEqual((await call("Query", request)).rows, [row]);
    await assert.rejects(
      call("Execute", { sql: "SELECT nonsense" }),
      /"code": "invalid_argument",\s+"message": ".*nonsense/,
    );
  });
});
