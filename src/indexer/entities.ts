/**
 * What a parser finds in one source file, before it becomes rows. Plain data: it crosses a process border between the parser
 * that makes it and the writer that stores it.
 */

export type DefinitionKind = "class" | "method" | "function";

/** A class, a method, or any other function, nested ones included; in source order, a class before its methods. */
export interface Definition {
  readonly kind: DefinitionKind;
  readonly name: string;
  /** Line of the defining keyword, not of a decorator; 1-based. */
  readonly line: number;
  /** Last line of code of the definition, trailing comments excluded; 1-based. */
  readonly endLine: number;
  /** The definition's text is `text.slice(start, end)` of the file, decorators included; UTF-16 code units. */
  readonly start: number;
  readonly end: number;
  readonly docstring: string | null;
  /** For a method, the index of its class in `ParsedFile.definitions`; null for the others. */
  readonly classIndex: number | null;
  /** For a class, the base classes as they are spelled in the source; empty for the others. */
  readonly bases: readonly string[];
  /** Names of all parameters in source order, without the receiver (`self`, `this`); empty for a class. */
  readonly parameters: readonly string[];
  /** Other names that a function binds, those of the functions in it that have no name too, as far as the file calls them or on them. */
  readonly variables: readonly string[];
  /** Cyclomatic complexity; 0 for a class. */
  readonly complexity: number;
  readonly isAbstract: boolean;
  readonly hasPass: boolean;
  readonly hasNotImplemented: boolean;
}

/** One imported name. */
export interface Import {
  /** The name as the module exports it; for `import a.b` the module itself. `*` for a wildcard. */
  readonly name: string;
  /** The name it is bound to in this file, when that differs from `name` (`import x as y`). */
  readonly alias: string | null;
  /** The module as written, relative dots kept; null where the language has none. */
  readonly module: string | null;
  readonly type: "import" | "import_from";
  readonly line: number;
}

/** One use of a name: a call or an instantiation. */
export interface Usage {
  readonly line: number;
  readonly type: "call" | "instantiation";
  readonly targetType: "function" | "method" | "class";
  readonly targetName: string;
  /** The enclosing class, only when the receiver is exactly `self` or `this`; else null. */
  readonly targetClass: string | null;
  /** The receiver as written when it is a plain dotted name (`os.path` in `os.path.join()`); else null. */
  readonly receiver: string | null;
  /** Whether there is a receiver, plain or not; false for a bare name. */
  readonly isMember: boolean;
  /** Whether the receiver is the path of a type or module (`std::mem::`), as far as its spelling shows. */
  readonly isPath: boolean;
  /** Index in `ParsedFile.definitions` of the innermost definition around the use; null at module level. */
  readonly callerIndex: number | null;
  /** Innermost class and function around the use, `Class.method`, `function`, `Class` or empty. */
  readonly context: string;
}

/** Why a file could not be indexed, or not completely: the values of `indexing_errors.error_type`. */
export type IndexingErrorType =
  | "syntax_error"
  | "decode_error"
  | "too_large"
  | "binary"
  | "timeout"
  | "crash"
  | "io_error"
  | "db_error";

/** Something wrong with a file that does not stop it from being indexed. */
export interface Problem {
  readonly type: "syntax_error" | "decode_error";
  readonly message: string;
  /** The first line at fault, or the narrowest; 1-based. */
  readonly line: number;
}

/** Everything that is stored of one file. */
export interface ParsedFile {
  /** Name in the language registry; null for a file that is stored as text only. */
  readonly language: string | null;
  /** The decoded source, line ends as in the file, without a byte order mark. */
  readonly text: string;
  readonly lineCount: number;
  /** The file's own docstring (Python: the module's); null where there is none. */
  readonly docstring: string | null;
  readonly definitions: readonly Definition[];
  readonly imports: readonly Import[];
  readonly usages: readonly Usage[];
  readonly problems: readonly Problem[];
}
