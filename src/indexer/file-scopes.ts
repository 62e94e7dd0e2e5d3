import type { Definition, DefinitionKind } from "./entities.js";
import type { Language } from "./languages/language.js";

/** What the scopes around a place need to know of the rest of the file. */
export interface ScopeContext {
  readonly language: Language | null;
  /** The base classes that the file itself defines, by the index of a class. */
  readonly localBasesOf: (classIndex: number) => readonly number[];
  /** Whether an import between two lines brings `name`. */
  readonly isImportedWithin: (name: string, line: number, endLine: number) => boolean;
}

/** Members of classes by one name: the first, and whether all are of one class. */
export interface NamedMembers {
  readonly first: number;
  isOneClass: boolean;
}

/**
 * The scopes of one file: which of its definitions a name means at some place. A scope is the index of the definition that it
 * belongs to, or -1 for that of the file.
 */
export class FileScopes {
  /** Of each definition: '' at the top of the file, the class of a member, null inside a function. */
  readonly names: readonly (string | null)[];
  readonly #definitions: readonly Definition[];
  readonly #context: ScopeContext;
  /** Innermost scope around each definition. */
  readonly #parents: readonly number[];
  /** Definitions by the scope that they stand in and their name. */
  readonly #byScope = new Map<string, number[]>();
  readonly #members = new Map<string, NamedMembers>();

  constructor(definitions: readonly Definition[], context: ScopeContext) {
    this.#definitions = definitions;
    this.#context = context;
    this.#parents = parentsOf(definitions);
    this.names = definitions.map((definition, index) => this.#nameOf(definition, index));
    for (const [index, definition] of definitions.entries()) {
      const name = simpleName(definition);
      const parent = this.parentOf(index);
      // `Type.method` stands at the top of the file, but a bare `method` does not mean it.
      const key = scopeKey(parent, definition.name);
      const same = this.#byScope.get(key);
      if (same === undefined) this.#byScope.set(key, [index]);
      else same.push(index);
      if ((this.names[index] ?? "") === "") continue;
      const member = this.#members.get(name);
      if (member === undefined) this.#members.set(name, { first: index, isOneClass: true });
      else if (this.names[member.first] !== this.names[index] || this.parentOf(member.first) !== parent) {
        member.isOneClass = false;
      }
    }
  }

  /** The scope that a definition stands in. */
  parentOf(index: number): number {
    return this.#parents[index] ?? -1;
  }

  /** The members of all classes of the file that are called `name`. */
  membersNamed(name: string): NamedMembers | undefined {
    return this.#members.get(name);
  }

  /** `user`, the scopes around it from the inside out, and the file. */
  *around(user: number): Generator<number> {
    for (let at = user; at >= 0; at = this.parentOf(at)) yield at;
    yield -1;
  }

  /** The class around `user`, the innermost of that name where one is given. */
  enclosingClass(user: number, name: string | null): number | null {
    for (const at of this.around(user)) {
      const definition = this.#definitions[at];
      if (definition?.kind === "class" && (name === null || definition.name === name)) return at;
    }
    return null;
  }

  /**
   * What a bare `name` means at `user`: the definition of the innermost scope that has one, or `variable`, a value that may be
   * anything; null where the file does not say.
   *
   * @param except a definition that is not meant
   */
  visible(name: string, user: number, kinds: readonly DefinitionKind[], except?: number): number | "variable" | null {
    for (const scope of this.around(user)) {
      const found = this.#inScope(scope, name, user, kinds, except);
      if (found !== null) return found;
      if (this.#isVariable(name, scope)) return "variable";
    }
    return null;
  }

  /** A member of a class, its own or the first that its bases in this file have, each base before the next. */
  memberOf(classIndex: number, name: string, kinds?: readonly DefinitionKind[], except?: number): number | null {
    const open = [classIndex];
    const seen = new Set<number>();
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const own = this.#firstOf(at, name, kinds, except);
      if (own !== null) return own;
      open.push(...this.#context.localBasesOf(at).toReversed());
    }
    return null;
  }

  /** A member that this file gives to a type of another one. */
  memberOfOutside(type: string, name: string): number | null {
    return this.#firstOf(-1, `${type}.${name}`);
  }

  #inScope(
    scope: number,
    name: string,
    user: number,
    kinds: readonly DefinitionKind[],
    except?: number,
  ): number | null {
    const isImplicit = this.#context.language?.isReceiverImplicit === true;
    const around = this.#definitions[scope];
    if (around?.kind === "class") {
      if (isImplicit) return this.memberOf(scope, name, kinds, except);
      // The body of a class is a scope of its own for what stands in it directly, not for what its methods do.
      return scope === user ? this.#firstOf(scope, name, kinds, except) : null;
    }
    const found = this.#firstOf(scope, name, kinds, except);
    if (found !== null || !isImplicit || around === undefined || !around.name.includes(".")) return found;
    return this.memberOfOutside(around.name.slice(0, around.name.lastIndexOf(".")), name);
  }

  #firstOf(scope: number, name: string, kinds?: readonly DefinitionKind[], except?: number): number | null {
    for (const index of this.#byScope.get(scopeKey(scope, name)) ?? []) {
      const kind = this.#definitions[index]?.kind;
      if (index !== except && kind !== undefined && (kinds === undefined || kinds.includes(kind))) return index;
    }
    return null;
  }

  /** Whether the function `scope` binds `name` to a value, so that a call of it can be one of anything. */
  #isVariable(name: string, scope: number): boolean {
    const around = this.#definitions[scope];
    if (around === undefined || this.#context.language?.areVariablesCallable !== true) return false;
    if (around.parameters.includes(name)) return true;
    // `try: from m import f`, `except ImportError: f = None`: the import says what it is for.
    return around.variables.includes(name) && !this.#context.isImportedWithin(name, around.line, around.endLine);
  }

  #nameOf(definition: Definition, index: number): string | null {
    for (let at = this.parentOf(index); at >= 0; at = this.parentOf(at)) {
      if (this.#definitions[at]?.kind !== "class") return null;
    }
    const parent = this.#definitions[this.parentOf(index)];
    if (parent !== undefined) return parent.name;
    return definition.kind === "function" ? definition.name.split(".").slice(0, -1).join(".") : "";
  }
}

/** The name that other files use for a definition: `Type.method` is called `method`. */
export function simpleName(definition: Definition): string {
  return definition.kind === "function" ? (definition.name.split(".").at(-1) ?? definition.name) : definition.name;
}

function scopeKey(scope: number, name: string): string {
  return `${scope} ${name}`;
}

/** Definitions are in source order, so those around one are a stack of the ranges that are still open. */
function parentsOf(definitions: readonly Definition[]): number[] {
  const open: number[] = [];
  return definitions.map((definition, index) => {
    while (open.length > 0 && (definitions[open.at(-1) ?? 0]?.end ?? 0) <= definition.start) open.pop();
    const parent = definition.classIndex ?? open.at(-1) ?? -1;
    open.push(index);
    return parent;
  });
}
