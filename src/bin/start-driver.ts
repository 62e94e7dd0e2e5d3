import { DriverError } from "../errors.js";
import type { StartDriver } from "./serve.js";

/** Wires engine and gRPC server. */
export const startDriver: StartDriver = async () => {
  throw new DriverError("NOT_IMPLEMENTED", "This build of the driver cannot serve.");
};
