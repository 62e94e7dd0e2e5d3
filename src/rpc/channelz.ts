import { getChannelzHandlers, type handleUnaryCall, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { Channelz } from "../../gen/grpc/channelz/v1/channelz_pb.js";
import { DriverError } from "../errors.js";
import { ServedCall, type ServedMethod } from "./served-call.js";
import { toGrpcStatus } from "./status.js";

/**
 * `grpc.channelz.v1` (https://github.com/grpc/proposal/blob/master/A14-channelz.md): what grpc-js counts of its connections and
 * calls, answered by its own handlers behind our access check.
 */
export function createChannelzImplementation(service: Omit<ServedMethod, "path">): UntypedServiceImplementation {
  const handlers = getChannelzHandlers();
  const of = (method: string): ServedMethod => ({ ...service, path: `/${Channelz.typeName}/${method}` });
  return {
    GetChannel: guard(handlers.GetChannel, of("GetChannel")),
    GetTopChannels: guard(handlers.GetTopChannels, of("GetTopChannels")),
    GetServer: guard(handlers.GetServer, of("GetServer")),
    GetServers: guard(handlers.GetServers, of("GetServers")),
    GetSubchannel: guard(handlers.GetSubchannel, of("GetSubchannel")),
    GetSocket: guard(handlers.GetSocket, of("GetSocket")),
    GetServerSockets: guard(handlers.GetServerSockets, of("GetServerSockets")),
  };
}

function guard<Request, Answer>(
  handler: handleUnaryCall<Request, Answer>,
  method: ServedMethod,
): handleUnaryCall<Request, Answer> {
  return (call, respond) => {
    const served = new ServedCall(call, method);
    const fail = (error: DriverError) => {
      if (served.end(error)) respond(toGrpcStatus(error));
    };
    try {
      served.admit();
    } catch (thrown) {
      fail(DriverError.from(thrown));
      return;
    }
    handler(call, (error, answer) => {
      // The only error these handlers know is an id that is not there.
      if (error !== null) fail(new DriverError("ENTITY_NOT_FOUND", error.details ?? "There is no such object."));
      else if (served.end()) respond(null, answer);
    });
  };
}
