import { availableParallelism } from "node:os";
import { LOG_LEVELS } from "../observability/logger.js";
import {
  address,
  addressList,
  boolean,
  count,
  duration,
  type OptionType,
  oneOf,
  path,
  size,
  text,
  textList,
  url,
} from "./option-types.js";

/** Where the value of an option can come from; a source beats those after it. */
export type OptionSource = "flag" | "environment" | "file";

/** Which programs' `--help` shows an option: the driver process or the commands that call one. */
export type OptionAudience = "driver" | "client";

/** The headings of `--help`. */
export type OptionGroup =
  | "General"
  | "Connections"
  | "Security"
  | "Observability"
  | "Processes"
  | "SQL"
  | "Indexing"
  | "Storage";

/** One option: everything that `--help`, the three sources and the checks need to know about it. */
export interface Option<T> {
  readonly group: OptionGroup;
  readonly audience: readonly OptionAudience[];
  /**
   * Words of the name: `["drain", "timeout"]` is `--drain-timeout`, `CODE_ANALYSIS_DRIVER_DRAIN_TIMEOUT` and, in the config
   * file, `code_analysis.driver.drain_timeout`.
   */
  readonly words: readonly string[];
  readonly type: OptionType<NonNullable<T>>;
  /** The value when no source gives one; a function when it follows from the path of the database. */
  readonly default: T | ((databasePath: string) => T);
  /** The default in words, where the value itself does not tell. */
  readonly defaultText?: string;
  readonly description: string;
  /** Why the default is what it is. */
  readonly reason?: string;
  /** Default: all. */
  readonly sources?: readonly OptionSource[];
}

function option<T>(definition: Option<T>): Option<T> {
  return definition;
}

const DRIVER: readonly OptionAudience[] = ["driver"];
const CLIENT: readonly OptionAudience[] = ["client"];
const BOTH: readonly OptionAudience[] = ["driver", "client"];

/** The database when nothing names one, relative to the working directory. */
export const DEFAULT_DATABASE = "data/code_analysis.db";

const MAX_COUNT = 1_000_000;
const ONE_DAY_MS = 86_400_000;
const ONE_GIB = 2 ** 30;

/** Every option of the driver process and of its commands, in the order in which `--help` shows them. */
export const OPTIONS = {
  db: option<string>({
    group: "General",
    audience: BOTH,
    words: ["db"],
    type: path,
    default: DEFAULT_DATABASE,
    description: "The SQLite database; a driver makes it where it is missing.",
  }),
  config: option<string | undefined>({
    group: "General",
    audience: BOTH,
    words: ["config"],
    type: path,
    default: undefined,
    defaultText: "config.json where it exists",
    description: "JSON file with options under code_analysis.driver and the database under code_analysis.db_path.",
    sources: ["flag", "environment"],
  }),
  index: option<string | undefined>({
    group: "General",
    audience: DRIVER,
    words: ["index"],
    type: path,
    default: undefined,
    defaultText: "none",
    description: "Index this folder as soon as the driver serves, then go on serving.",
  }),
  logLevel: option<(typeof LOG_LEVELS)[number]>({
    group: "General",
    audience: DRIVER,
    words: ["log", "level"],
    type: oneOf(LOG_LEVELS),
    default: "info",
    description: `Log records of this level and above: ${LOG_LEVELS.join(", ")}.`,
  }),

  listen: option<readonly string[]>({
    group: "Connections",
    audience: DRIVER,
    words: ["listen"],
    type: addressList,
    default: (databasePath) => [`unix:${databasePath}.sock`],
    defaultText: "unix:<db>.sock",
    description: "unix:/path/to.sock or host:port (port 0: a free one); repeat for several.",
    reason: "reached only by who may open the database's folder",
  }),
  address: option<string | undefined>({
    group: "Connections",
    audience: CLIENT,
    words: ["address"],
    type: address,
    default: undefined,
    defaultText: "the first address the driver of --db listens on, unix:<db>.sock",
    description: "The driver to call: unix:/path/to.sock or host:port.",
  }),
  drainTimeoutMs: option<number>({
    group: "Connections",
    audience: DRIVER,
    words: ["drain", "timeout"],
    type: duration({ minMs: 0, maxMs: ONE_DAY_MS }),
    default: 10_000,
    description: "How long running calls may go on after SIGTERM or SIGINT.",
    reason: "below the 30s after which Kubernetes kills and the 90s of systemd",
  }),
  maxRequestBytes: option<number>({
    group: "Connections",
    audience: DRIVER,
    words: ["max", "request", "bytes"],
    type: size({ minBytes: 2 ** 10, maxBytes: ONE_GIB }),
    default: 16 * 2 ** 20,
    description: "Largest request, and largest row of a Query or Select.",
    reason: "some 100,000 rows in one ExecuteBatch",
  }),
  maxStreams: option<number>({
    group: "Connections",
    audience: DRIVER,
    words: ["max", "streams"],
    type: count({ min: 1, max: MAX_COUNT }),
    default: 1_000,
    description: "Calls that one client connection may have open at once.",
    reason: "more wait in the client and cost the driver nothing",
  }),

  tokenFile: option<string>({
    group: "Security",
    audience: BOTH,
    words: ["token", "file"],
    type: path,
    default: (databasePath) => `${databasePath}.token`,
    defaultText: "<db>.token",
    description:
      "Bearer token of TCP connections; the driver creates the file (mode 0600). A new content counts from the next call on, and the old one no longer.",
  }),
  readTokenFile: option<string | undefined>({
    group: "Security",
    audience: DRIVER,
    words: ["read", "token", "file"],
    type: path,
    default: undefined,
    defaultText: "no such token",
    description:
      "Second bearer token, for TCP clients that may only read; created and replaced like --token-file, and given as that by clients.",
  }),
  token: option<string | undefined>({
    group: "Security",
    audience: BOTH,
    words: ["token"],
    type: text,
    default: undefined,
    defaultText: "content of the token file",
    description: "Bearer token itself, instead of a file.",
    // On a command line every user of the machine could read it.
    sources: ["environment"],
  }),
  tlsCert: option<string | undefined>({
    group: "Security",
    audience: BOTH,
    words: ["tls", "cert"],
    type: path,
    default: undefined,
    defaultText: "no TLS",
    description:
      "Certificate chain (PEM): the driver's, or the client's own for a driver that asks for one. The driver sees within a second when one of its TLS files changes; new connections get the new certificate.",
  }),
  tlsKey: option<string | undefined>({
    group: "Security",
    audience: BOTH,
    words: ["tls", "key"],
    type: path,
    default: undefined,
    defaultText: "none",
    description: "Private key of --tls-cert (PEM).",
  }),
  tlsCa: option<string | undefined>({
    group: "Security",
    audience: BOTH,
    words: ["tls", "ca"],
    type: path,
    default: undefined,
    defaultText: "none",
    description:
      "Certificate authority (PEM). Driver: clients must show a certificate it signed (mTLS). Client: the one that signed the driver's.",
  }),
  tlsWriters: option<readonly string[] | undefined>({
    group: "Security",
    audience: DRIVER,
    words: ["tls", "writers"],
    type: textList,
    default: undefined,
    defaultText: "all clients that --tls-ca admits",
    description:
      "Names of client certificates (common name, or alternative name of kind DNS, URI or email) that may write; others may only read. Needs --tls-ca; repeat for several.",
  }),
  insecureNoAuth: option<boolean>({
    group: "Security",
    audience: DRIVER,
    words: ["insecure", "no", "auth"],
    type: boolean,
    default: false,
    description: "Serve TCP on a loopback address without a token: every user of this machine can then read and write.",
  }),

  metricsListen: option<string | undefined>({
    group: "Observability",
    audience: DRIVER,
    words: ["metrics", "listen"],
    type: address,
    default: undefined,
    defaultText: "none",
    description:
      "Serve Prometheus metrics over HTTP at /metrics on unix:/path/to.sock or host:port; the token and TLS rules of --listen hold.",
  }),
  traceEndpoint: option<string | undefined>({
    group: "Observability",
    audience: DRIVER,
    words: ["trace", "endpoint"],
    type: url,
    default: undefined,
    defaultText: "none",
    description:
      "Send a span for each call to this OpenTelemetry collector (OTLP over HTTP), http://localhost:4318/v1/traces.",
  }),

  readers: option<number>({
    group: "Processes",
    audience: DRIVER,
    words: ["readers"],
    type: count({ min: 1, max: 256 }),
    default: Math.max(2, availableParallelism()),
    defaultText: "one per CPU core, at least 2",
    description: "Processes that answer queries.",
    reason: "one long query does not hold up the others",
  }),
  parsers: option<number>({
    group: "Processes",
    audience: DRIVER,
    words: ["parsers"],
    type: count({ min: 1, max: 256 }),
    default: Math.max(1, availableParallelism() - 1),
    defaultText: "one per CPU core, less one for the writer",
    description: "Processes that parse source files.",
    reason: "parsing is limited by the CPU, and storing takes nearly as much of it as parsing",
  }),
  maxQueueLength: option<number>({
    group: "Processes",
    audience: DRIVER,
    words: ["max", "queue", "length"],
    type: count({ min: 1, max: MAX_COUNT }),
    default: 1_024,
    description:
      "Calls that may wait for the writer, and as many for readers and parsers; further ones get OVERLOADED.",
    reason: "less than a second of work",
  }),

  statementTimeoutMs: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["statement", "timeout"],
    type: duration({ minMs: 1, maxMs: ONE_DAY_MS }),
    default: 30_000,
    description: "Longest run of one statement; a call's own deadline can only shorten it.",
    reason: "a statement without an end does not occupy a process for ever",
  }),
  lockTimeoutMs: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["lock", "timeout"],
    type: duration({ minMs: 1, maxMs: ONE_DAY_MS }),
    default: 60_000,
    description: "Longest wait of a write while another process holds the database; then it gets DATABASE_BUSY.",
    reason: "writes wait out a migration with --online, and are answered when it takes for ever",
  }),
  executeMaxRows: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["execute", "max", "rows"],
    type: count({ min: 1, max: MAX_COUNT }),
    default: 10_000,
    description: "Most rows in an answer of Execute; it says when it left some out. Query streams all.",
    reason: "an answer is built in memory",
  }),
  executeMaxBytes: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["execute", "max", "bytes"],
    type: size({ minBytes: 2 ** 10, maxBytes: ONE_GIB }),
    default: 3 * 2 ** 20,
    description: "Most bytes in an answer of Execute.",
    reason: "gRPC clients refuse more than 4 MiB unless told otherwise",
  }),
  maxBatchStatements: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["max", "batch", "statements"],
    type: count({ min: 1, max: MAX_COUNT }),
    default: 10_000,
    description: "Most statements in one ExecuteBatch.",
    reason: "all other writes wait for a batch",
  }),
  maxTransactions: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["max", "transactions"],
    type: count({ min: 1, max: 1_000 }),
    default: 16,
    description: "Interactive transactions that may be open or waiting at once.",
    reason: "only one of them can write at a time",
  }),
  transactionTtlMs: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["transaction", "ttl"],
    type: duration({ minMs: 10, maxMs: ONE_DAY_MS }),
    default: 30_000,
    description: "Lease of a transaction whose client asked for none; an expired one is rolled back.",
    reason: "a client that vanished holds up other writers no longer than this",
  }),
  transactionTtlMaxMs: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["transaction", "ttl", "max"],
    type: duration({ minMs: 10, maxMs: ONE_DAY_MS }),
    default: 300_000,
    description: "Longest lease a client may ask for.",
  }),
  maxQueryStreams: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["max", "query", "streams"],
    type: count({ min: 1, max: 256 }),
    default: 8,
    description: "Query and Select streams that run at once; as many may wait, further ones get OVERLOADED.",
    reason: "each has a process of some 60 MB to itself",
  }),
  snapshotMaxAgeMs: option<number>({
    group: "SQL",
    audience: DRIVER,
    words: ["snapshot", "max", "age"],
    type: duration({ minMs: 100, maxMs: ONE_DAY_MS }),
    default: 60_000,
    description: "Longest life of one Query stream; a slower reader gets SNAPSHOT_EXPIRED.",
    reason: "the write-ahead log grows for as long as its oldest reader reads",
  }),

  maxFileBytes: option<number>({
    group: "Indexing",
    audience: DRIVER,
    words: ["max", "file", "bytes"],
    type: size({ minBytes: 1, maxBytes: ONE_GIB }),
    default: 5_000_000,
    description: "Larger source files are not indexed; each gets a too_large row in indexing_errors.",
    reason: "what people write by hand is far smaller",
  }),
  fileTimeoutMs: option<number>({
    group: "Indexing",
    audience: DRIVER,
    words: ["file", "timeout"],
    type: duration({ minMs: 10, maxMs: 3_600_000 }),
    default: 10_000,
    description: "Longest parse of one file; a longer one gets a timeout row in indexing_errors.",
    reason: "several times what a file of 5 MB takes",
  }),

  walTruncateBytes: option<number>({
    group: "Storage",
    audience: DRIVER,
    words: ["wal", "truncate", "bytes"],
    type: size({ minBytes: 2 ** 16, maxBytes: 64 * ONE_GIB }),
    default: 64 * 2 ** 20,
    description: "Size of the write-ahead log past which it is cut to nothing.",
    reason: "a burst of writes does not leave a large file behind for ever",
  }),
} as const;

/** The name of an option in the program: a field of `Config`. */
export type OptionName = keyof typeof OPTIONS;

/** Names of all options, in the order of `--help`. */
export const OPTION_NAMES: readonly OptionName[] = Object.keys(OPTIONS).filter((name) => isOptionName(name));

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

/** How the option is called in each source. */
export function spellings({ words }: Pick<Option<unknown>, "words">): Readonly<Record<OptionSource, string>> {
  return {
    flag: `--${words.join("-")}`,
    environment: `CODE_ANALYSIS_DRIVER_${words.join("_").toUpperCase()}`,
    file: words.join("_"),
  };
}

/** True when the option can be set in `source`. */
export function isSetIn({ sources }: Pick<Option<unknown>, "sources">, source: OptionSource): boolean {
  return sources === undefined || sources.includes(source);
}
