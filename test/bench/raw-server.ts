import { Server, ServerCredentials } from "@grpc/grpc-js";

const identity = (bytes: Buffer): Buffer => bytes;

/** A bare grpc-js server with one unary method, encoded messages in and out; prints its address when it serves. */
export function serveUnary(path: string, address: string, answer: (request: Buffer) => Buffer): void {
  const server = new Server();
  server.addService(
    {
      method: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    {
      method: (call: { request: Buffer }, respond: (error: null, response: Buffer) => void) =>
        respond(null, answer(call.request)),
    },
  );
  server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
    if (error !== null) throw error;
    process.stdout.write(`listening ${address}\n`);
  });
}
