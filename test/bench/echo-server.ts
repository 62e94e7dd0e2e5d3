/** `echo-server.js ADDRESS`: sends the request back. The ceiling for anything that speaks gRPC here. */
import { serveUnary } from "./raw-server.js";

serveUnary("/bench.Echo/Echo", process.argv[2] ?? "127.0.0.1:0", (request) => request);
