import { Client, credentials } from "@grpc/grpc-js";

const identity = (bytes: Buffer): Buffer => bytes;

/** A bare grpc-js client that sends and receives encoded messages: the same cost for an echo and for the driver. */
export class RawClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  unary(path: string, request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(path, identity, identity, request, (error, response) => {
        if (error !== null || response === undefined) reject(error ?? new Error("no response"));
        else resolve(response);
      });
    });
  }

  /** Calls `onMessage` for every message of a stream; resolves at its end. */
  stream(path: string, request: Buffer, onMessage: (message: Buffer) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client
        .makeServerStreamRequest(path, identity, identity, request)
        .on("data", onMessage)
        .on("end", resolve)
        .on("error", reject);
    });
  }

  close(): void {
    this.#client.close();
  }
}
