import type { Node } from "web-tree-sitter";
import type { Import } from "../entities.js";

/** An imported name without its line, which is that of the statement. */
export type ImportedName = Omit<Import, "line">;

/** How comments before a definition become its docstring. */
export interface DocComments {
  /** Which comments document something; the others are passed over. */
  readonly pattern: RegExp;
  /** Whether a run of adjacent one-line comments is one text. */
  readonly isRun: boolean;
}

/** A correct shape of source that the grammar takes for an error, or for something else. */
export interface GrammarGap {
  /** Global, without groups; starts with a keyword, a sign or a name. */
  readonly pattern: RegExp;
  /** What the grammar reads instead: a text of the same length, with the same definitions in it. */
  readonly substitute: (shape: string) => string;
  /**
   * Whether the grammar misread the shape that starts with this token. Where absent, that is what an error around the token
   * says, and the shape is looked for only in a file that has one.
   */
  readonly isMisread?: (token: Node) => boolean;
}

/**
 * Where a language looks for a bare name that its file neither defines nor imports by name: only in what wildcard imports bring
 * (`imports`), in other scripts, but nowhere from a module (`scripts`), in the files of the directory (`directory`) or of the
 * package that the file says it belongs to (`package`) and in wildcard imports, or in the whole project (`project`).
 */
export type Reach = "imports" | "scripts" | "directory" | "package" | "project";

/**
 * What a language needs beside its grammar and its query. The captures that a query may use, and what the extraction makes of
 * them, are listed in README.md of this folder.
 */
export interface Language {
  /** Stored in `indexed_files.language`. */
  readonly name: string;
  /** Shared by languages whose code can use each other's names; a use never means a definition of another family. */
  readonly family: string;
  /** File name endings with the dot, lower case. */
  readonly extensions: readonly string[];
  /** Whole file names. */
  readonly filenames: readonly string[];
  /** Programs that a `#!` line may name, without a version number. */
  readonly interpreters: readonly string[];
  /** Files of another language's extension that belong to this one, by their text. */
  readonly claims?: { readonly extension: string; readonly pattern: RegExp };
  /** Files beside this one: the compiled grammar, and the queries, which are read as one. */
  readonly grammar: string;
  readonly queries: readonly string[];
  readonly grammarGaps?: readonly GrammarGap[];

  /** Which line is a definition's: that of its node (its keyword), or that of its name where modifiers come first. */
  readonly lineOf: "node" | "name";
  /** Spellings of the object a method was called on. */
  readonly receivers: readonly string[];
  /** Name to leave out of a method's parameters when it comes first. */
  readonly receiverParameter?: string;
  /** Whether an upper-case name that is called is a class; false where `new` or its like says so. */
  readonly isCapitalCallInstantiation: boolean;
  /** The method whose call on a type makes an instance of it. */
  readonly constructorCall?: string;
  /** Whether a called name has no parts: a shell command. */
  readonly isCalleeWhole?: boolean;
  /** Whether a call without a receiver is a method call, because there are no functions. */
  readonly isBareCallMethod?: boolean;
  /** Whether a bare name in a class also means its members, its own and those that it inherits. */
  readonly isReceiverImplicit?: boolean;
  /** Names that in a class mean the class itself: `Self`. */
  readonly selfTypes?: readonly string[];
  /** Whether parameters and variables can be called by their bare name, and so hide functions of that name. */
  readonly areVariablesCallable?: boolean;
  readonly reach: Reach;
  /** What in its text, beside imports, makes a file a module, where `reach` is `scripts`. */
  readonly moduleMark?: RegExp;
  /** The clause in which a file says to which package or namespace it belongs; its first group is the name. */
  readonly packageClause?: RegExp;
  /** Whether an import without `from` takes in a file and binds no name: `#include`, `require`. */
  readonly isImportOfFile?: boolean;
  /** What an explicit "not implemented" looks like, tested against the text of each `@raise`. */
  readonly notImplemented?: RegExp;
  /** What a function's text ends with when its body is empty; such a function counts as one that only passes. */
  readonly emptyBody?: RegExp;
  /** What makes a definition abstract in the text between its outer start and its name (decorators, modifiers). */
  readonly abstractMark?: RegExp;
  /** Whether PEP 263 applies. */
  readonly hasEncodingCookie?: boolean;
  /** The text of an identifier as the language compares it; the text itself where absent. */
  readonly normalizeName?: (name: string) => string;
  /** A base class as it is stored, from the text of its `@base`; the text itself where absent. */
  readonly baseOf?: (spelled: string) => string;
  /** The name of a parameter, from the text of its `@param`; the text itself where absent. */
  readonly parameterOf?: (spelled: string) => string;
  /** Takes a qualified name (`Type::method`) apart; a name is whole where absent. */
  readonly splitName?: (spelled: string) => { readonly name: string; readonly owner: string | null };
  /** The value of a captured docstring literal; null when it is not one (bytes, say). */
  readonly docstringOf?: (literal: string) => string | null;
  readonly docComments?: DocComments;
  /** The names that an import statement brings; `[]` for a statement that turns out to be none. */
  readonly importsOf: (statement: string) => readonly ImportedName[];
}
