/** `echo-server.js ADDRESS`: sends the request back. The ceiling for anything that speaks gRPC here. */
import { serveUnary } from "./raw-server.js";
import { ECHO } from "./requests.js";

serveUnary(ECHO, process.argv[2] ?? "127.0.0.1:0", (request) => request);
