/** A bare grpc-js server that sends the request back; prints its address. The ceiling for anything that speaks gRPC here. */
import { Server, ServerCredentials } from "@grpc/grpc-js";

const identity = (bytes: Buffer): Buffer => bytes;
const server = new Server();
server.addService(
  {
    echo: {
      path: "/bench.Echo/Echo",
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  {
    echo: (call: { request: Buffer }, callback: (error: null, response: Buffer) => void) =>
      callback(null, call.request),
  },
);
const address = process.argv[2] ?? "127.0.0.1:0";
server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write(`listening ${address}\n`);
});
