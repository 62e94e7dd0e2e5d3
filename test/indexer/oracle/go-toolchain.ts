import { spawnSync } from "node:child_process";

/** A variable of the installed Go (`go env NAME`); empty when there is none. */
export function goEnv(name: "GOROOT" | "GOVERSION"): string {
  return spawnSync("go", ["env", name], { encoding: "utf8" }).stdout?.trim() ?? "";
}
