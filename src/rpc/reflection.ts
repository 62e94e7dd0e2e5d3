import { create, type DescFile, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import {
  type ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { decodeRequest } from "./decode.js";
import type { Handlers, ServiceDescriptor } from "./service-definition.js";

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/** Files by name and by the full names of what they declare, with their encoded descriptors. */
class FileRegistry {
  readonly #fileOfName = new Map<string, DescFile>();
  readonly #fileOfSymbol = new Map<string, DescFile>();
  readonly #messages = new Set<string>();

  constructor(files: readonly DescFile[]) {
    for (const file of files) this.#add(file);
  }

  fileByName(name: string): DescFile | undefined {
    return this.#fileOfName.get(name);
  }

  fileBySymbol(symbol: string): DescFile | undefined {
    return this.#fileOfSymbol.get(symbol);
  }

  hasMessage(typeName: string): boolean {
    return this.#messages.has(typeName);
  }

  #add(file: DescFile): void {
    if (this.#fileOfName.has(file.proto.name)) return;
    this.#fileOfName.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      this.#fileOfSymbol.set(type.typeName, file);
      if (type.kind === "message") this.#messages.add(type.typeName);
      if (type.kind === "service") {
        for (const { name } of type.methods) this.#fileOfSymbol.set(`${type.typeName}.${name}`, file);
      }
    }
    for (const dependency of file.dependencies) this.#add(dependency);
  }
}

/**
 * `grpc.reflection` (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md): answers the descriptors that the code
 * was generated from, as they were, so that clients see `optional` and everything else that a re-encoding could lose.
 *
 * The messages of v1alpha are those of v1, byte for byte; one table of handlers serves both.
 *
 * @param services what to list, and to describe with all that their files import
 * @param files further files to describe: types that only occur in `google.protobuf.Any`
 */
export function createReflectionHandlers(
  services: readonly ServiceDescriptor[],
  files: readonly DescFile[],
): Handlers<typeof ServerReflection> {
  const registry = new FileRegistry([...services.map(({ file }) => file), ...files]);
  const names = services.map(({ typeName }) => ({ name: typeName }));

  function reflect({ messageRequest }: ServerReflectionRequest): Answer {
    switch (messageRequest.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: names } };
      case "fileByFilename":
        return describe(registry.fileByName(messageRequest.value), messageRequest.value);
      case "fileContainingSymbol":
        return describe(registry.fileBySymbol(messageRequest.value), messageRequest.value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = messageRequest.value;
        return refuse(status.NOT_FOUND, `no extension ${extensionNumber} of ${containingType}`);
      }
      case "allExtensionNumbersOfType": {
        const baseTypeName = messageRequest.value;
        if (!registry.hasMessage(baseTypeName)) return refuse(status.NOT_FOUND, `no message ${baseTypeName}`);
        return { case: "allExtensionNumbersResponse", value: { baseTypeName } };
      }
      default:
        return refuse(status.INVALID_ARGUMENT, "the request asks for nothing that this version of reflection knows");
    }
  }

  return {
    serverReflectionInfo: {
      kind: "bidi_streaming",
      run: async function* (requests) {
        for await (const bytes of requests) {
          const request = decodeRequest(ServerReflectionRequestSchema, bytes);
          const response = create(ServerReflectionResponseSchema, {
            validHost: request.host,
            originalRequest: request,
            messageResponse: reflect(request),
          });
          yield toBinary(ServerReflectionResponseSchema, response);
        }
      },
    },
  };
}

function describe(file: DescFile | undefined, name: string): Answer {
  if (file === undefined) return refuse(status.NOT_FOUND, `nothing of the name ${name}`);
  const fileDescriptorProto = withImports(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

/** The file, then all that it imports, directly or not, each once. */
function withImports(file: DescFile): DescFile[] {
  const files = new Map<string, DescFile>([[file.name, file]]);
  // A map iterates over entries that are added meanwhile, too.
  for (const { dependencies } of files.values()) {
    for (const dependency of dependencies) files.set(dependency.name, dependency);
  }
  return [...files.values()];
}

function refuse(errorCode: status, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
