import { createRequire } from "node:module";
import { pino, stdTimeFunctions } from "pino";
import { redactFields, redactText } from "./redaction.js";

/** From the most talkative to the quietest. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What a record says beside its message. An error goes under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What every folder may ask of a logger. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each of its records. */
  child(fields: LogFields): Logger;
  /** False when a record of this level would be dropped: it need not be made. */
  isEnabled(level: Exclude<LogLevel, "silent">): boolean;
}

/** How `createLogger` writes. */
export interface LoggerOptions {
  readonly level: LogLevel;
  /** For people instead of one JSON object a line. Default: true when stderr is a terminal. */
  readonly isPretty?: boolean;
  /** Takes each finished line. Default: stderr. */
  readonly write?: (line: string) => void;
}

/**
 * A logger to stderr: one JSON object a line with `time` (ISO 8601), `level` (a name), `msg` and the fields; tokens and bound
 * values are redacted. It writes synchronously, because the last record before a crash is the one that matters.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { level, isPretty = process.stderr.isTTY, write } = options;
  const settings = {
    level,
    // Host and process id are known to whoever collects the logs of a single process.
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const destination = write === undefined ? pino.destination({ dest: 2, sync: true }) : { write };
  if (!isPretty) return wrap(pino(settings, destination));
  // Loaded only for people: it costs every start otherwise.
  const require = createRequire(import.meta.url);
  const { prettyFactory } = require("pino-pretty") as typeof import("pino-pretty");
  const format = prettyFactory({});
  return wrap(pino(settings, { write: (line: string) => destination.write(format(line)) }));
}

/** A logger that drops everything. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
  isEnabled: () => false,
};

function wrap(target: pino.Logger): Logger {
  return {
    debug: (message, fields = {}) => target.debug(redactFields(fields), redactText(message)),
    info: (message, fields = {}) => target.info(redactFields(fields), redactText(message)),
    warn: (message, fields = {}) => target.warn(redactFields(fields), redactText(message)),
    error: (message, fields = {}) => target.error(redactFields(fields), redactText(message)),
    child: (fields) => wrap(target.child(redactFields(fields))),
    isEnabled: (level) => target.isLevelEnabled(level),
  };
}
