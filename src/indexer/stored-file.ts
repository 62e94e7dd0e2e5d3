import type { DefinitionKind, ParsedFile } from "./entities.js";

/** One file as it is to be stored. */
export interface StoredFileInput {
  readonly projectId: string;
  /** Absolute path, links resolved: the key of the file in its project. */
  readonly path: string;
  /** Path from the root directory of the project, divided by `/`. */
  readonly relativePath: string;
  /** In bytes, as read. */
  readonly size: number;
  /** Of the bytes as read. */
  readonly contentHash: string;
  /** Seconds since 1970, with fractions. */
  readonly lastModified: number;
  readonly parsed: ParsedFile;
  /** By which rules `parsed` was made: `extractionRules` of its language. */
  readonly rules: string;
}

/** A definition as other files name it. */
export interface NamedDefinition {
  /** The family of its file's language. */
  readonly family: string;
  readonly type: DefinitionKind;
  readonly name: string;
  /** Its class, or empty at the top of the file. */
  readonly scope: string;
}
