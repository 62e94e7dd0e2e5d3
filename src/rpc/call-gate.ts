import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { Metadata, status } from "@grpc/grpc-js";
import { DriverError } from "../errors.js";
import { type Access, type Authenticate, assertAccess, pinRole } from "./access.js";
import type { ArrivingRequests, Hold } from "./arriving-requests.js";
import { pinDeadline } from "./deadline.js";
import { type Listener, peerCertificate } from "./listener.js";
import { REQUEST_ID_KEY, requestIdOf } from "./request-id.js";
import { isUnpacked, RequestReader } from "./request-reader.js";
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
  /** The largest request, packed and unpacked. */
  readonly maxRequestBytes: number;
  /** Told of the calls that end here. */
  readonly onCallEnd: CallObserver;
}

/** The largest request of somebody who need not say who he is, packed and unpacked: the name of a service. */
const MAX_STRANGERS_BYTES = 4 * 1024;
const ENCODING_HEADER = "grpc-encoding";

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

  /** Has the call served by `serve`, which makes grpc-js listen to its stream, or answers it. */
  admit(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, serve: () => void): void {
    pinDeadline(headers);
    const { authenticate, listener, methods } = this.#options;
    const path = headers[":path"] ?? "";
    const method = methods.get(path);
    // That there is no such method grpc-js says without a look at the request.
    if (method === undefined) {
      serve();
      return;
    }
    const refuse = (error: DriverError) => this.#refuse(stream, headers, error);
    if (method.access !== "anyone") {
      try {
        const role = authenticate(headers.authorization, listener, () => peerCertificate(stream.session?.socket));
        assertAccess(path, method.access, role);
        pinRole(headers, role);
      } catch (thrown) {
        refuse(DriverError.from(thrown));
        return;
      }
    }
    this.#takeIn(stream, headers, method, serve, refuse);
  }

  #takeIn(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    { access, hasRequestStream }: GatedMethod,
    serve: () => void,
    answer: (error: DriverError) => void,
  ): void {
    const { arriving, maxRequestBytes } = this.#options;
    // A stream that is served already has no place left for a status.
    const refuse = hasRequestStream ? (error: DriverError) => stream.close(closeCodeOf(error)) : answer;
    const hold = access === "anyone" ? boundStrangersRequest(refuse) : arriving.follow(refuse);
    const encoding = encodingOf(headers);
    if (encoding !== undefined) delete headers[ENCODING_HEADER];
    if (encoding !== undefined || hasRequestStream) {
      new RequestReader(stream, { encoding, maxMessageBytes: maxRequestBytes, hasRequestStream, hold, refuse }, serve);
      return;
    }
    count(stream, hold);
    serve();
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

/** What the messages of a call may be packed with; another encoding grpc-js refuses, and unpacks nothing. */
function encodingOf(headers: IncomingHttpHeaders): string | undefined {
  const encoding = headers[ENCODING_HEADER];
  return typeof encoding === "string" && isUnpacked(encoding) ? encoding : undefined;
}

/** Clients take these codes for RESOURCE_EXHAUSTED and INTERNAL. */
function closeCodeOf({ reason }: DriverError): number {
  return reason === "INVALID_REQUEST" ? constants.NGHTTP2_PROTOCOL_ERROR : constants.NGHTTP2_ENHANCE_YOUR_CALM;
}

function boundStrangersRequest(refuse: (error: DriverError) => void): Hold {
  return (bytes) => {
    if (bytes <= MAX_STRANGERS_BYTES) return;
    refuse(
      new DriverError(
        "LIMIT_EXCEEDED",
        `A request for which no token is needed has at most ${MAX_STRANGERS_BYTES} bytes.`,
      ),
    );
  };
}

/** Counts the bytes of a request that stays as it arrives, until it has ended. */
function count(stream: ServerHttp2Stream, hold: Hold): void {
  let bytes = 0;
  const look = (chunk: Buffer): void => {
    bytes += chunk.length;
    hold(bytes);
  };
  const leave = (): void => {
    stream.off("data", look);
    hold(0);
  };
  stream.on("data", look).on("end", leave).on("close", leave);
}
