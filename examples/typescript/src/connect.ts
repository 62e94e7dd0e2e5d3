import { readFileSync } from "node:fs";
import { createClient, type DriverClient } from "code-analysis-driver";

/** A client of the driver that the environment names. */
export function connect(): DriverClient {
  const {
    CODE_ANALYSIS_DRIVER_ADDRESS: address = "unix:data/code_analysis.db.sock",
    CODE_ANALYSIS_DRIVER_TOKEN: token,
    CODE_ANALYSIS_DRIVER_TLS_CA: authority,
  } = process.env;
  return createClient({ address, token, tls: authority === undefined ? undefined : { ca: readFileSync(authority) } });
}
