import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { Worker } from "node:worker_threads";
import { DriverError, type Reason } from "../../src/errors.js";
import { ProjectRoot, readInProject, resolveInProject } from "../../src/security/path-confinement.js";
import { TempDirectory } from "../support/temp-directory.js";

function reasonOf(body: () => unknown): Reason | "none" {
  try {
    body();
    return "none";
  } catch (error) {
    assert.ok(error instanceof DriverError, String(error));
    return error.reason;
  }
}

describe("path confinement", () => {
  let directory: TempDirectory;
  let root: ProjectRoot;
  beforeEach(() => {
    directory = new TempDirectory();
    directory.write({ "root/a.py": "inside", "root/sub/b.py": "", "outside.py": "secret", "root-2/c.py": "" });
    root = new ProjectRoot(directory.at("root"));
  });
  afterEach(() => directory.remove());

  describe("resolveInProject()", () => {
    it("takes absolute and relative paths", () => {
      const wanted = { path: directory.at("root/sub/b.py"), relativePath: "sub/b.py" };
      for (const path of ["sub/b.py", "./sub/../sub//b.py", directory.at("root/sub/b.py")]) {
        assert.deepEqual(resolveInProject(root, path), wanted);
      }
      assert.deepEqual(resolveInProject(root, "."), { path: root.path, relativePath: "" });
    });

    it("takes a root that is a link, and paths through either name", () => {
      symlinkSync(root.path, directory.at("alias"));
      for (const path of ["a.py", directory.at("root/a.py"), directory.at("alias/a.py")]) {
        assert.equal(resolveInProject(new ProjectRoot(directory.at("alias")), path).path, directory.at("root/a.py"));
      }
    });

    it("refuses what lies outside, there or not", () => {
      const outside = [
        "../outside.py",
        "../missing.py",
        "/etc/passwd",
        "/etc/missing",
        "../root-2/c.py",
        "..",
        "sub/../../outside.py",
      ];
      for (const path of outside)
        assert.equal(
          reasonOf(() => resolveInProject(root, path)),
          "PATH_OUTSIDE_PROJECT",
          path,
        );
    });

    it("refuses links that lead out, as a file, a directory or a part of a path", () => {
      symlinkSync(directory.at("outside.py"), directory.at("root/link.py"));
      symlinkSync("../../root-2", directory.at("root/sub/dir"));
      for (const path of ["link.py", "sub/dir", "sub/dir/c.py"]) {
        assert.equal(
          reasonOf(() => resolveInProject(root, path)),
          "PATH_OUTSIDE_PROJECT",
          path,
        );
      }
    });

    it("follows links within the root to the real file", () => {
      symlinkSync("a.py", directory.at("root/link.py"));
      assert.equal(resolveInProject(root, "link.py").relativePath, "a.py");
    });

    it("says that a file is missing, unreadable or not a path at all", () => {
      symlinkSync("loop", directory.at("root/loop"));
      for (const path of ["missing.py", "a.py/x", "loop", "x".repeat(4_096)]) {
        assert.equal(
          reasonOf(() => resolveInProject(root, path)),
          "FILE_NOT_FOUND",
          path,
        );
      }
      // The bound is one of bytes.
      for (const path of ["", "a\0.py", "x".repeat(4_097), "ü".repeat(2_049)])
        assert.equal(
          reasonOf(() => resolveInProject(root, path)),
          "INVALID_REQUEST",
        );
      assert.equal(
        reasonOf(() => resolveInProject(new ProjectRoot(directory.at("gone")), "a.py")),
        "FILE_NOT_FOUND",
      );
    });
  });

  describe("readInProject()", () => {
    it("reads a regular file", () => {
      const { bytes, relativePath } = readInProject(root, "a.py", 100);
      assert.deepEqual([bytes.toString(), relativePath], ["inside", "a.py"]);
      assert.equal(readInProject(root, "sub/b.py", 100).bytes.length, 0);
    });

    it("reads one byte more than allowed of a larger file, and all of one that is as large as allowed", () => {
      assert.equal(readInProject(root, "a.py", 3).bytes.length, 4);
      assert.equal(readInProject(root, "a.py", 6).bytes.length, 6);
    });

    it("refuses what is not a regular file without waiting for it", () => {
      execFileSync("mkfifo", [directory.at("root/pipe")]);
      for (const path of ["pipe", "sub", "."]) {
        assert.equal(
          reasonOf(() => readInProject(root, path, 100)),
          "FILE_NOT_FOUND",
          path,
        );
      }
    });

    it("says that a file may not be read", function () {
      if (process.getuid?.() === 0) this.skip();
      chmodSync(directory.at("root/a.py"), 0);
      assert.equal(
        reasonOf(() => readInProject(root, "a.py", 100)),
        "FILE_NOT_READABLE",
      );
    });

    it("refuses the magic links of /proc, devices and sockets", async () => {
      symlinkSync("/proc/self/root/etc/passwd", directory.at("root/proc.py"));
      symlinkSync("/dev/zero", directory.at("root/zero.py"));
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(directory.at("root/socket.py"), resolve));
      const reasons = ["proc.py", "zero.py", "socket.py"].map((path) => reasonOf(() => readInProject(root, path, 100)));
      assert.deepEqual(reasons, ["PATH_OUTSIDE_PROJECT", "PATH_OUTSIDE_PROJECT", "FILE_NOT_READABLE"]);
      assert.equal(
        reasonOf(() => readInProject(new ProjectRoot("/dev"), "zero", 100)),
        "FILE_NOT_FOUND",
      );
      await new Promise((resolve) => server.close(resolve));
    });

    it("reads a hard link like any other file: nothing tells it from one", () => {
      linkSync(directory.at("outside.py"), directory.at("root/hard.py"));
      assert.equal(readInProject(root, "hard.py", 100).bytes.toString(), "secret");
    });

    const exchanged: Readonly<Record<string, { inside: string; read: string; outside: string }>> = {
      "a directory": { inside: "root/swap/f.py", read: "swap/f.py", outside: "evil" },
      "the file itself": { inside: "root/swap", read: "swap", outside: "evil/f.py" },
    };
    for (const [what, { inside, read, outside }] of Object.entries(exchanged)) {
      it(`never reads outside while ${what} is being exchanged for a link`, async () => {
        directory.write({ [inside]: "inside", "evil/f.py": "secret" });
        symlinkSync(directory.at(outside), directory.at("root/link"));
        mkdirSync(directory.at("parked"));
        const swap = new Worker(
          `const { renameSync } = require("node:fs"); const { workerData: d, parentPort } = require("node:worker_threads");
         let isRunning = true; parentPort.once("message", () => { isRunning = false; });
         const turn = () => {
           for (let n = 0; n < 20; n++) {
             renameSync(d + "/root/swap", d + "/parked/swap"); renameSync(d + "/root/link", d + "/root/swap");
             renameSync(d + "/root/swap", d + "/root/link"); renameSync(d + "/parked/swap", d + "/root/swap");
           }
           if (isRunning) setImmediate(turn);
         }; turn();`,
          { eval: true, workerData: directory.path },
        );
        const seen: Record<string, number> = {};
        const isEnough = (): boolean => (seen.inside ?? 0) > 0 && Object.keys(seen).length > 1;
        for (let n = 0; n < 4_000 || (n < 400_000 && !isEnough()); n++) {
          let outcome: string;
          try {
            outcome = readInProject(root, read, 100).bytes.toString();
          } catch (error) {
            assert.ok(error instanceof DriverError);
            outcome = error.reason;
          }
          seen[outcome] = (seen[outcome] ?? 0) + 1;
        }
        swap.postMessage("stop");
        await new Promise((resolve) => swap.once("exit", resolve));
        assert.equal(seen.secret, undefined);
        // The exchange must really have happened while files were read.
        assert.ok(isEnough(), JSON.stringify(seen));
      });
    }

    it("keeps to the root that it began with when that is exchanged for a link", () => {
      symlinkSync(root.path, directory.at("alias"));
      const alias = new ProjectRoot(directory.at("alias"));
      for (const each of [root, alias]) assert.equal(readInProject(each, "a.py", 100).bytes.toString(), "inside");
      directory.write({ "evil/a.py": "secret" });
      unlinkSync(directory.at("alias"));
      symlinkSync(directory.at("evil"), directory.at("alias"));
      assert.equal(readInProject(alias, "a.py", 100).bytes.toString(), "inside");
      renameSync(root.path, directory.at("moved"));
      symlinkSync(directory.at("evil"), root.path);
      for (const each of [root, alias]) {
        assert.equal(
          reasonOf(() => readInProject(each, "a.py", 100)),
          "PATH_OUTSIDE_PROJECT",
        );
      }
    });

    it("reads the file as it is now when it was replaced before", () => {
      writeFileSync(directory.at("root/new.py"), "new");
      renameSync(directory.at("root/new.py"), directory.at("root/a.py"));
      assert.equal(readInProject(root, "a.py", 100).bytes.toString(), "new");
    });
  });
});
