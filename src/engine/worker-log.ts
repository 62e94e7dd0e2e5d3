import type { LogLevel } from "../workers/events.js";

/** Where the engine and its workers write their log lines. */
export type EngineLog = (level: LogLevel, message: string, fields: object) => void;
