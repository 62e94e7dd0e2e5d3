import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createFileRegistry, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { type Client, status } from "@grpc/grpc-js";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { decode, encode, engineOf, isServiceError, TestBench } from "./support.js";

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SERVICES = [
  "code_analysis.driver.v1.DriverService",
  "grpc.channelz.v1.Channelz",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
];

for (const service of [ServerReflection, ServerReflectionAlpha]) {
  describe(service.typeName, () => {
    let bench: TestBench;
    let client: Client;
    beforeEach(async () => {
      bench = new TestBench();
      client = await bench.serve(engineOf({}));
    });
    afterEach(() => bench.close());

    /** Asks all questions on one stream. */
    const ask = async (...questions: Question[]): Promise<ServerReflectionResponse["messageResponse"][]> => {
      const { path, requestSerialize, responseDeserialize } = methodDefinition(service.method.serverReflectionInfo);
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
      for (const messageRequest of questions) stream.write(encode(ServerReflectionRequestSchema, { messageRequest }));
      stream.end();
      const answers: Buffer[] = await stream.toArray();
      return answers.map((answer) => decode(ServerReflectionResponseSchema, answer).messageResponse);
    };

    const files = async (question: Question): Promise<Uint8Array[]> => {
      const [answer] = await ask(question);
      assert.equal(answer?.case, "fileDescriptorResponse");
      assert.ok(answer.case === "fileDescriptorResponse");
      return answer.value.fileDescriptorProto;
    };

    it("lists all services that are served", async () => {
      const [answer] = await ask({ case: "listServices", value: "*" });
      assert.ok(answer?.case === "listServicesResponse");
      assert.deepEqual(answer.value.service.map(({ name }) => name).sort(), SERVICES);
    });

    it("describes each service with everything that its file imports, as the compiler wrote it", async () => {
      const image = execFileSync(
        `${ROOT}node_modules/.bin/buf`,
        ["build", "--as-file-descriptor-set", "--exclude-source-info", "-o", "-#format=binpb"],
        { cwd: ROOT },
      );
      const compiled = new Map(
        decode(FileDescriptorSetSchema, image).file.map((file) => [file.name, encode(FileDescriptorProtoSchema, file)]),
      );
      for (const symbol of SERVICES) {
        const described = await files({ case: "fileContainingSymbol", value: symbol });
        const parsed = described.map((bytes) => decode(FileDescriptorProtoSchema, bytes));
        const registry = createFileRegistry({
          $typeName: "google.protobuf.FileDescriptorSet",
          file: parsed.toReversed(),
        });
        assert.ok(registry.getService(symbol) !== undefined);
        for (const [i, { name }] of parsed.entries()) {
          if (name.startsWith("google/protobuf/")) continue;
          assert.deepEqual(Buffer.from(described[i] ?? []), Buffer.from(compiled.get(name) ?? []), name);
        }
      }
    });

    it("keeps what marks optional fields", async () => {
      const [sql] = (await files({ case: "fileByFilename", value: "code_analysis/driver/v1/sql.proto" })).map((bytes) =>
        decode(FileDescriptorProtoSchema, bytes),
      );
      const response = sql?.messageType.find(({ name }) => name === "ExecuteResponse");
      const field = response?.field.find(({ name }) => name === "last_insert_rowid");
      assert.equal(field?.proto3Optional, true);
    });

    it("finds methods, messages and the types of error details", async () => {
      for (const [symbol, file] of [
        ["code_analysis.driver.v1.DriverService.Execute", "code_analysis/driver/v1/driver_service.proto"],
        ["code_analysis.driver.v1.ErrorReason", "code_analysis/driver/v1/error.proto"],
        ["google.rpc.ErrorInfo", "google/rpc/error_details.proto"],
        ["google.rpc.BadRequest.FieldViolation", "google/rpc/error_details.proto"],
      ] as const) {
        const [first] = await files({ case: "fileContainingSymbol", value: symbol });
        assert.equal(decode(FileDescriptorProtoSchema, first ?? new Uint8Array()).name, file);
      }
    });

    it("answers INVALID_ARGUMENT for bytes that are no request", async () => {
      const { path, requestSerialize, responseDeserialize } = methodDefinition(service.method.serverReflectionInfo);
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
      stream.write(Buffer.of(0x0a, 0x7f));
      const error: unknown = await stream.toArray().catch((thrown: unknown) => thrown);
      assert.ok(isServiceError(error));
      assert.equal(error.code, status.INVALID_ARGUMENT);
    });

    it("says so of what it does not know, and answers the next question", async () => {
      const answers = await ask(
        { case: "fileByFilename", value: "no/such.proto" },
        { case: "fileContainingSymbol", value: "no.such.Symbol" },
        { case: "fileContainingExtension", value: { containingType: "google.rpc.Status", extensionNumber: 7 } },
        { case: "allExtensionNumbersOfType", value: "no.such.Type" },
        { case: "allExtensionNumbersOfType", value: "google.rpc.ErrorInfo" },
      );
      assert.deepEqual(
        answers.map((answer) => (answer.case === "errorResponse" ? answer.value.errorCode : answer.case)),
        [...Array<status>(4).fill(status.NOT_FOUND), "allExtensionNumbersResponse"],
      );
    });
  });
}
