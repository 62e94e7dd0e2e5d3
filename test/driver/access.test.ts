import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { Writable } from "node:stream";
import { create, type DescMessage, type DescMethod, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { Channelz } from "../../gen/grpc/channelz/v1/channelz_pb.js";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { toValue } from "../../src/client/values.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { snapshot } from "../support/snapshot.js";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";

const SERVICES = [DriverService, Health, ServerReflection, ServerReflectionAlpha, Channelz];

type Methods = typeof DriverService.method;

/** Who may call a method: anyone at all, a client that may only read, or one that may write. */
type Least = "anyone" | "reader" | "writer";

const value = toValue(1);
const where = { kind: { case: "comparison", value: { column: "x", operator: 1, value } } } as const;

/** Every method of `DriverService`, with a request that does something. A method without an entry does not compile. */
const DRIVER: { readonly [Name in keyof Methods]: readonly [Least, MessageInitShape<Methods[Name]["input"]>?] } = {
  getDriverInfo: ["reader"],
  execute: ["reader", { sql: "SELECT 1" }],
  query: ["reader", { sql: "SELECT 1" }],
  executeBatch: ["writer", { statements: [{ sql: "INSERT INTO t VALUES (1)" }] }],
  beginTransaction: ["writer"],
  commitTransaction: ["writer", { transactionId: "nobody" }],
  rollbackTransaction: ["writer", { transactionId: "nobody" }],
  insert: ["writer", { table: "t", columns: ["x"], rows: [{ values: [value] }] }],
  update: ["writer", { table: "t", set: { x: value }, allRows: true }],
  delete: ["writer", { table: "t", where }],
  select: ["reader", { table: "t" }],
  createTable: ["writer", { table: "u", columns: [{ name: "x", type: "INTEGER" }] }],
  dropTable: ["writer", { table: "t" }],
  listTables: ["reader"],
  getTableInfo: ["reader", { table: "t" }],
  syncSchema: ["writer", { schemaSql: "CREATE TABLE v (x)" }],
  registerProject: ["writer", { rootPath: "/" }],
  listProjects: ["reader"],
  indexFile: ["writer", { projectId: "p", filePath: "a.py" }],
  indexProject: ["writer", { projectId: "p" }],
  listIndexingErrors: ["reader", { projectId: "p" }],
  searchCode: ["reader", { projectId: "p", query: "A" }],
  findDefinitions: ["reader", { projectId: "p", name: "A" }],
  findReferences: ["reader"],
  listCallers: ["reader"],
  listCallees: ["reader"],
  getClassHierarchy: ["reader"],
  listFileEntities: ["reader", { projectId: "p", filePath: "a.py" }],
  recover: ["writer"],
  backup: ["writer", { destinationPath: "/proc/none/backup.db" }],
};

/** The other services; here a method without an entry fails the test. */
const OTHERS: Readonly<Record<string, Least>> = {
  "grpc.health.v1.Health": "anyone",
  "grpc.reflection.v1.ServerReflection": "reader",
  "grpc.reflection.v1alpha.ServerReflection": "reader",
  "grpc.channelz.v1.Channelz": "reader",
};

function entryOf(method: DescMethod): { least: Least; request: Buffer } {
  const entries: Readonly<Record<string, readonly [Least, unknown?]>> = DRIVER;
  const isDriver = method.parent.typeName === DriverService.typeName;
  const [least, init] = isDriver ? (entries[method.localName] ?? []) : [OTHERS[method.parent.typeName]];
  assert.ok(least !== undefined, `${method.parent.typeName}/${method.name} has no entry here`);
  return {
    least,
    request: Buffer.from(toBinary(method.input, create(method.input, (init ?? {}) as MessageInitShape<DescMessage>))),
  };
}

/** How a call ends: its status and reason. An endless stream is left after its first message. */
function call(
  client: Client,
  method: DescMethod,
  request: Buffer,
  metadata: Metadata,
): Promise<[string, string | undefined]> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const same = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    const end = (error: { code: number; metadata: Metadata } | null) => {
      const code = error?.code ?? status.OK;
      resolve([status[code] ?? String(code), error === null ? undefined : parseStatusDetails(error.metadata)?.reason]);
    };
    if (method.methodKind === "unary") {
      client.makeUnaryRequest(path, same, same, request, metadata, end);
      return;
    }
    const stream =
      method.methodKind === "bidi_streaming"
        ? client.makeBidiStreamRequest(path, same, same, metadata)
        : client.makeServerStreamRequest(path, same, same, request, metadata);
    if (stream instanceof Writable) stream.end(request);
    stream.on("error", end);
    stream.on("end", () => end(null));
    stream.on("data", () => {
      if (method.name !== "Watch") return;
      end(null);
      stream.cancel();
    });
  });
}

describe("access to each RPC of a running driver", () => {
  const inFolder = useTempFolder();
  let driver: DriverProcess;
  let client: Client;
  let tokens: { writer: string; reader: string };

  beforeEach(async () => {
    const readTokenFile = inFolder("reader.token");
    driver = await DriverProcess.start(inFolder(), {
      args: [
        ...["--listen", "127.0.0.1:0", "--listen", `unix:${inFolder("a.sock")}`],
        ...["--metrics-listen", "127.0.0.1:0", "--read-token-file", readTokenFile],
      ],
    });
    const read = (path: string) => readFileSync(path, "utf8").trim();
    tokens = { writer: read(`${driver.databasePath}.token`), reader: read(readTokenFile) };
    client = new Client(driver.address, credentials.createInsecure());
    // What the calls work on comes over the socket, which asks for nothing.
    await driver.program.waitFor("stdout", /^listening unix:/m);
    const owner = new Client(`unix:${inFolder("a.sock")}`, credentials.createInsecure());
    writeFileSync(inFolder("a.py"), "class A: pass\n");
    const { execute, indexFile, registerProject } = DriverService.method;
    const prepare: readonly [DescMethod, MessageInitShape<DescMessage>][] = [
      [execute, { sql: "CREATE TABLE t (x)" }],
      [execute, { sql: "INSERT INTO t VALUES (7)" }],
      [registerProject, { id: "p", rootPath: inFolder() }],
      [indexFile, { projectId: "p", filePath: "a.py" }],
    ];
    for (const [method, init] of prepare) {
      const request = Buffer.from(toBinary(method.input, create(method.input, init)));
      assert.deepEqual(await call(owner, method, request, new Metadata()), ["OK", undefined]);
    }
    owner.close();
  });
  afterEach(async () => {
    client.close();
    await killDrivers();
  });

  function bearer(header: string): Metadata {
    const metadata = new Metadata();
    metadata.set("authorization", header);
    return metadata;
  }

  function content() {
    const connection = openConnection(driver.databasePath, { role: "reader" });
    try {
      return snapshot(connection);
    } finally {
      connection.close();
    }
  }

  it("is tested here for every service that the driver says it has", async () => {
    const stream = client.makeBidiStreamRequest(
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes.toString("latin1"),
      bearer(`Bearer ${tokens.reader}`),
    );
    // Field 7 of the request, list_services.
    stream.end(Buffer.from([0x3a, 0x01, 0x2a]));
    let answer = "";
    for await (const text of stream) answer += text;
    const listed = new Set(answer.match(/(?:code_analysis|grpc)(?:\.\w+)+/g));
    assert.deepEqual(listed, new Set(SERVICES.map(({ typeName }) => typeName)));
  });

  it("lets who may call it read its metrics, and nobody else", async () => {
    const { address } = await driver.logged("serving metrics");
    const read = async (authorization?: string): Promise<number> => {
      const headers = authorization === undefined ? undefined : { authorization };
      const response = await fetch(`http://${String(address)}/metrics`, { ...(headers && { headers }) });
      await response.text();
      return response.status;
    };
    for (const header of [undefined, "Bearer ", "Bearer wrong", `Bearer ${tokens.writer}x`, tokens.writer]) {
      assert.equal(await read(header), 401, header);
    }
    for (const token of [tokens.reader, tokens.writer]) assert.equal(await read(`Bearer ${token}`), 200);
  });

  it("is refused without a token, with a wrong one, and with anything like one", async () => {
    const before = content();
    const headers = [
      undefined,
      "",
      "Bearer ",
      "Bearer wrong",
      `Bearer ${tokens.writer}x`,
      `Bearer ${tokens.writer.slice(0, -1)}`,
      `Bearer ${tokens.writer.toLowerCase()}`,
      `Bearer ${tokens.reader}${tokens.writer}`,
      `Basic ${Buffer.from(`token:${tokens.writer}`).toString("base64")}`,
      tokens.writer,
    ];
    for (const method of SERVICES.flatMap(({ methods }) => methods)) {
      const { least, request } = entryOf(method);
      for (const header of headers) {
        const metadata = header === undefined ? new Metadata() : bearer(header);
        const [code, reason] = await call(client, method, request, metadata);
        const what = `${method.name} with ${header === undefined ? "no header" : JSON.stringify(header.slice(0, 12))}`;
        if (least === "anyone") assert.notEqual(code, "UNAUTHENTICATED", what);
        else assert.deepEqual([code, reason], ["UNAUTHENTICATED", "UNAUTHENTICATED"], what);
      }
    }
    assert.deepEqual(content(), before);
  });

  it("is refused to a client that may only read where something is written, and nothing is", async () => {
    const before = content();
    for (const method of SERVICES.flatMap(({ methods }) => methods)) {
      const { least, request } = entryOf(method);
      const [code, reason] = await call(client, method, request, bearer(`Bearer ${tokens.reader}`));
      if (least === "writer") assert.deepEqual([code, reason], ["PERMISSION_DENIED", "ROLE_NOT_ALLOWED"], method.name);
      else assert.ok(!["PERMISSION_DENIED", "UNAUTHENTICATED"].includes(code), `${method.name}: ${code}`);
    }
    assert.deepEqual(content(), before);
  });

  it("is given to a client that may write, and what it does shows", async () => {
    const before = content();
    const { beginTransaction } = DriverService.method;
    const others = SERVICES.flatMap(({ methods }) => methods).filter(({ name }) => name !== beginTransaction.name);
    // The last one: all other writes would wait for the transaction.
    for (const method of [...others, beginTransaction]) {
      const { request } = entryOf(method);
      const [code, reason] = await call(client, method, request, bearer(`Bearer ${tokens.writer}`));
      assert.ok(!["ROLE_NOT_ALLOWED", "UNAUTHENTICATED"].includes(reason ?? ""), `${method.name}: ${code} ${reason}`);
    }
    assert.notDeepEqual(content(), before);
  });
});
