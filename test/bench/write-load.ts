/** `write-load.js ADDRESS METHOD`: calls of a durable insert, 64 in flight, from the line that it prints until its input ends. */
import { RawClient } from "./raw-client.js";
import { INSERT } from "./requests.js";

const IN_FLIGHT = 64;
const [, , address = "", method = ""] = process.argv;
const client = new RawClient(address);
let isOver = false;
process.stdin.on("end", () => {
  isOver = true;
});
process.stdin.resume();
await client.unary(method, INSERT);
process.stdout.write("writing\n");
await Promise.all(
  Array.from({ length: IN_FLIGHT }, async () => {
    while (!isOver) await client.unary(method, INSERT);
  }),
);
client.close();
