import assert from "node:assert/strict";
import { ArrivingRequests } from "../../src/rpc/arriving-requests.js";

const MIB = 2 ** 20;

describe("ArrivingRequests", () => {
  it("has room for the largest request, packed and unpacked, however large that may be", () => {
    for (const maxRequestBytes of [16 * MIB, 273 * MIB, 1_024 * MIB]) {
      const refused: string[] = [];
      const arriving = new ArrivingRequests(maxRequestBytes);
      const hold = arriving.follow(() => refused.push("lone"));
      hold(maxRequestBytes);
      hold(2 * maxRequestBytes);
      assert.equal(refused.length, 0);
      hold(0);
      const names = ["first", "second", "third"];
      const [first, second, third] = names.map((name) => arriving.follow(() => refused.push(name)));
      first?.(Math.max(maxRequestBytes, 128 * MIB));
      second?.(Math.max(maxRequestBytes, 128 * MIB));
      assert.equal(refused.length, 0);
      third?.(MIB);
      assert.deepEqual(refused, ["first"]);
    }
  });

  it("says how many bytes there are, and counts one that was refused no more", () => {
    const messages: string[] = [];
    const arriving = new ArrivingRequests(MIB, MIB);
    const small = arriving.follow(() => messages.push("small"));
    const large = arriving.follow(({ message }) => messages.push(message));
    small(MIB / 4);
    large(MIB);
    large(3 * MIB);
    small(MIB);
    assert.deepEqual(messages, [`The driver has requests of ${MIB + MIB / 4} bytes under way already.`]);
  });
});
