import { getChannelzHandlers, type handleUnaryCall, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { DriverError } from "../errors.js";
import { ServedCall, type ServedMethod } from "./served-call.js";
import { toGrpcStatus } from "./status.js";

/**
 * `grpc.channelz.v1` (https://github.com/grpc/proposal/blob/master/A14-channelz.md): what grpc-js counts of its connections and
 * calls, answered by its own handlers behind our access check.
 */
export function createChannelzImplementation(method: ServedMethod): UntypedServiceImplementation {
  const handlers = getChannelzHandlers();
  return {
    GetChannel: guard(handlers.GetChannel, method),
    GetTopChannels: guard(handlers.GetTopChannels, method),
    GetServer: guard(handlers.GetServer, method),
    GetServers: guard(handlers.GetServers, method),
    GetSubchannel: guard(handlers.GetSubchannel, method),
    GetSocket: guard(handlers.GetSocket, method),
    GetServerSockets: guard(handlers.GetServerSockets, method),
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
      served.authorize(call.metadata);
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
