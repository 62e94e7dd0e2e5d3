import assert from "node:assert/strict";
import { checkLanguage, missingToolchain } from "./check-language.js";
import { LANGUAGES } from "./languages.js";
import { compareReport, EXPECTED_REPORT } from "./scenario.js";

/** Those that are built in seconds; `npm run conformance` has all. */
const QUICK = ["typescript", "python"];

describe("conformance", () => {
  for (const language of LANGUAGES.filter(({ name }) => QUICK.includes(name))) {
    it(`finds every value, error and stream as it should be, and the example works: ${language.name}`, async function () {
      this.timeout(300_000);
      if ((await missingToolchain(language)) !== undefined) this.skip();
      const { problems } = await checkLanguage(language, ["unix"]);
      assert.deepEqual(problems, []);
    });
  }

  it("notices one value that is not as it should be, and another layout", () => {
    const wrong = EXPECTED_REPORT.replace("integer:9223372036854775807", "integer:9223372036854775800");
    assert.equal(compareReport(wrong).differences.length, 2);
    assert.equal(compareReport(`${EXPECTED_REPORT}\n`).differences.length, 1);
    assert.deepEqual(compareReport(EXPECTED_REPORT).differences, []);
  });
});
