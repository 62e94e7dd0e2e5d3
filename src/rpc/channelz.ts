import {
  getChannelzHandlers,
  getChannelzServiceDefinition,
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import type { Channelz } from "../../gen/grpc/channelz/v1/channelz_pb.js";
import { DriverError } from "../errors.js";
import type { Handlers, UnaryHandler } from "./service-definition.js";

type ChannelzMethod = keyof ReturnType<typeof getChannelzHandlers> & string;

/**
 * `grpc.channelz.v1` (https://github.com/grpc/proposal/blob/master/A14-channelz.md): what grpc-js counts of its connections and
 * calls, answered by its own handlers.
 *
 * Subtle: these take messages of another protobuf library, which costs a start of the driver a tenth of a second to load. So
 * bytes pass here like everywhere, and the first call loads what makes messages of them.
 */
export function createChannelzHandlers(): Handlers<typeof Channelz> {
  const of = (method: ChannelzMethod): UnaryHandler => ({ kind: "unary", run: (request) => ask(method, request) });
  return {
    getTopChannels: of("GetTopChannels"),
    getServers: of("GetServers"),
    getServer: of("GetServer"),
    getServerSockets: of("GetServerSockets"),
    getChannel: of("GetChannel"),
    getSubchannel: of("GetSubchannel"),
    getSocket: of("GetSocket"),
  };
}

async function ask(method: ChannelzMethod, bytes: Buffer): Promise<Uint8Array> {
  const definition = (getChannelzServiceDefinition() as ServiceDefinition)[method];
  const handler = getChannelzHandlers()[method] as handleUnaryCall<object, object>;
  if (definition === undefined) throw new DriverError("INTERNAL", `grpc-js does not define ${method}.`);
  let request: object;
  try {
    request = definition.requestDeserialize(bytes);
  } catch (cause) {
    throw new DriverError("INVALID_REQUEST", `The request is no request of ${method}.`, { cause });
  }
  return await new Promise((resolve, reject) => {
    handler({ request } as ServerUnaryCall<object, object>, (error, answer) => {
      // The only error these handlers know is an id that is not there.
      if (error !== null) reject(new DriverError("ENTITY_NOT_FOUND", error.details ?? "There is no such object."));
      else resolve(definition.responseSerialize(answer));
    });
  });
}
