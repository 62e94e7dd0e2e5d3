/** `write-load.js ADDRESS`: durable inserts, 64 in flight, from the line that it prints until its input ends. */
import { RawClient } from "./raw-client.js";
import { EXECUTE, INSERT } from "./requests.js";

const IN_FLIGHT = 64;
const client = new RawClient(process.argv[2] ?? "");
let isOver = false;
process.stdin.on("end", () => {
  isOver = true;
});
process.stdin.resume();
await client.unary(EXECUTE, INSERT);
process.stdout.write("writing\n");
await Promise.all(
  Array.from({ length: IN_FLIGHT }, async () => {
    while (!isOver) await client.unary(EXECUTE, INSERT);
  }),
);
client.close();
