import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { Metadata, status } from "@grpc/grpc-js";
import { DriverError } from "../errors.js";
import { type Access, type Authenticate, assertAccess, pinRole } from "./access.js";
import type { ArrivingRequests } from "./arriving-requests.js";
import { pinDeadline } from "./deadline.js";
import { type Listener, peerCertificate } from "./listener.js";
import { REQUEST_ID_KEY, requestIdOf } from "./request-id.js";
import type { CallObserver } from "./served-call.js";
import { toGrpcStatus } from "./status.js";

/** What must be known of a method before a request of it is taken in. */
export interface GatedMethod {
  readonly access: Access;
  /** The call is served from its headers on, and a `ServedCall` tells how it ends. */
  readonly hasRequestStream: boolean;
}

export interface CallGateOptions {
  readonly listener: Listener;
  /** By HTTP/2 path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, GatedMethod>;
  readonly authenticate: Authenticate;
  readonly arriving: ArrivingRequests;
  /** Told of the calls that end here. */
  readonly onCallEnd: CallObserver;
}

/** The largest request of somebody who need not say who he is: the name of a service. */
const MAX_STRANGERS_BYTES = 4 * 1024;
const ENCODING_HEADER = "grpc-encoding";
const IDENTITY = "identity";
/** The first byte of a message that is compressed (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
const COMPRESSED = 1;

/**
 * Decides from the headers of a call, before a byte of its request has been taken in, whether it may go on, and notes what they say
 * for the time when it has arrived. grpc-js calls a handler when the request is whole, and by then a stranger would have filled the
 * memory of this process.
 */
export class CallGate {
  readonly #options: CallGateOptions;

  constructor(options: CallGateOptions) {
    this.#options = options;
  }

  /** False when the call was answered, and nobody else must touch it. */
  admit(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    pinDeadline(headers);
    const { arriving, authenticate, listener, methods } = this.#options;
    const path = headers[":path"] ?? "";
    const method = methods.get(path);
    // That there is no such method grpc-js says without a look at the request.
    if (method === undefined) return true;
    const { access, hasRequestStream } = method;
    const refuse = (error: DriverError) => this.#refuse(stream, headers, error);
    if (access === "anyone") {
      // What is not told to be compressed grpc-js does not unpack, a second message that follows the first at once included.
      delete headers[ENCODING_HEADER];
      boundStrangersRequest(stream, path, refuse);
      return true;
    }
    try {
      const role = authenticate(headers.authorization, listener, () => peerCertificate(stream.session?.socket));
      assertAccess(path, access, role);
      pinRole(headers, role);
    } catch (thrown) {
      refuse(DriverError.from(thrown));
      return false;
    }
    // A stream that is served already has no place left for a status; clients take this code for RESOURCE_EXHAUSTED.
    const isCompressed = (headers[ENCODING_HEADER] ?? IDENTITY) !== IDENTITY;
    const end = hasRequestStream ? () => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM) : refuse;
    arriving.follow(stream, isCompressed, end);
    return true;
  }

  #refuse(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, error: DriverError): void {
    // What comes of a peer that goes away concerns nobody any more.
    stream.on("error", () => undefined);
    if (stream.headersSent || stream.closed) {
      // grpc-js has answered: the deadline has passed, or the request is too large.
      stream.close();
      return;
    }
    answer(stream, error);
    this.#options.onCallEnd({
      path: headers[":path"] ?? "",
      metadata: Metadata.fromHttp2Headers(headers),
      requestId: requestIdOf(headers[REQUEST_ID_KEY]),
      durationMs: 0,
      code: status[error.status],
      error,
    });
  }
}

/** Answers a call of which nobody has sent anything, and wants no more of its request (RFC 9113, section 8.1). */
function answer(stream: ServerHttp2Stream, error: DriverError): void {
  const { code, details, metadata } = toGrpcStatus(error);
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc+proto",
      "grpc-status": code,
      "grpc-message": encodeURI(details),
      ...metadata?.toHttp2Headers(),
    },
    { endStream: true },
  );
  // grpc-js calls the handler at the end of a request that is whole, and what was refused must not run.
  stream.removeAllListeners("end");
  stream.resume();
  stream.close(constants.NGHTTP2_NO_ERROR);
}

function boundStrangersRequest(stream: ServerHttp2Stream, path: string, refuse: (error: DriverError) => void): void {
  let bytes = 0;
  const look = (chunk: Buffer): void => {
    const isCompressed = bytes === 0 && chunk[0] === COMPRESSED;
    bytes += chunk.length;
    if (!isCompressed && bytes <= MAX_STRANGERS_BYTES) return;
    stream.off("data", look);
    refuse(
      isCompressed
        ? new DriverError("NOT_IMPLEMENTED", `${path} takes no compressed request.`)
        : new DriverError("LIMIT_EXCEEDED", `A request of ${path} has at most ${MAX_STRANGERS_BYTES} bytes.`),
    );
  };
  stream.on("data", look);
}
