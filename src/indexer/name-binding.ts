import { isBuiltinName } from "./builtin-names.js";
import type { Definition, Import, ParsedFile, Usage } from "./entities.js";
import { extendOrigin, originOfModule } from "./module-path.js";

/**
 * What a file alone tells about the names that it uses: which of its own definitions a name means, or under which name and from
 * which module to look for it in other files. A function of the file's content and path only, so that it is computed once, when
 * the file is stored; what other files define comes in later (`cross-references.ts`).
 */

/** What a name stands for: a definition of the same file, a name to look for in others, or nothing that can be known. */
export type Binding =
  | { readonly kind: "local"; readonly definition: number }
  /** `origin` null: not imported, so any file may define it. */
  | { readonly kind: "foreign"; readonly name: string; readonly origin: string | null }
  | { readonly kind: "unknown" };

/** The bindings of one file. */
export interface FileBindings {
  /** One for each of `ParsedFile.usages`. */
  readonly usages: readonly Binding[];
  /** Of each definition: '' at the top of the file, the class of a member, null inside a function. */
  readonly scopes: readonly (string | null)[];
  /** The base classes of each class, by the index of its definition. */
  readonly bases: ReadonlyMap<number, readonly Binding[]>;
}

const UNKNOWN: Binding = { kind: "unknown" };

/** A dotted name at the beginning of a base class as it is spelled: `mod.Base[T]`, `Base<T>`, `Base(args)` → `mod.Base`. */
const LEADING_NAME = /^[\p{L}_$][\p{L}\p{N}_$]*(?:(?:\.|::|\\)[\p{L}_$][\p{L}\p{N}_$]*)*/u;

const QUALIFIER = /\.|::|->|\\/;

/** The name that other files use for a definition: `Type.method` is called `method`. */
export function simpleName(definition: Definition): string {
  return definition.kind === "function" ? (definition.name.split(".").at(-1) ?? definition.name) : definition.name;
}

/** Binds every use and every base class of `parsed`, the file at `relativePath` in its project. */
export function bindNames(parsed: ParsedFile, relativePath: string): FileBindings {
  const names = new FileNames(parsed, relativePath);
  const bases = new Map<number, Binding[]>();
  for (const [index, definition] of parsed.definitions.entries()) {
    if (definition.bases.length > 0) {
      bases.set(
        index,
        definition.bases.map((base) => names.bindBase(base, index)),
      );
    }
  }
  return { usages: parsed.usages.map((usage) => names.bindUsage(usage)), scopes: names.scopes, bases };
}

class FileNames {
  readonly scopes: readonly (string | null)[];
  readonly #definitions: readonly Definition[];
  readonly #language: string | null;
  readonly #path: string;
  /** Innermost definition around each definition, -1 at the top. */
  readonly #parents: readonly number[];
  /** Definitions by the one around them and their name. */
  readonly #byScope = new Map<string, number[]>();
  /** Members of classes by name: the first, and whether all are of one class. */
  readonly #members = new Map<string, { first: number; isOneClass: boolean }>();
  readonly #imports = new Map<string, Import>();
  readonly #localBases = new Map<number, readonly number[]>();

  constructor(parsed: ParsedFile, relativePath: string) {
    this.#definitions = parsed.definitions;
    this.#language = parsed.language;
    this.#path = relativePath;
    this.#parents = parentsOf(parsed.definitions);
    this.scopes = parsed.definitions.map((definition, index) => this.#scopeOf(definition, index));
    for (const [index, definition] of parsed.definitions.entries()) {
      const name = simpleName(definition);
      const parent = this.#parents[index] ?? -1;
      // `Type.method` stands at the top of the file, but a bare `method` does not mean it.
      const key = scopeKey(parent, definition.name);
      const same = this.#byScope.get(key);
      if (same === undefined) this.#byScope.set(key, [index]);
      else same.push(index);
      if ((this.scopes[index] ?? "") === "") continue;
      const member = this.#members.get(name);
      if (member === undefined) this.#members.set(name, { first: index, isOneClass: true });
      else if (this.scopes[member.first] !== this.scopes[index] || this.#parents[member.first] !== parent) {
        member.isOneClass = false;
      }
    }
    for (const entry of parsed.imports) {
      const bound = entry.alias ?? (entry.type === "import" ? (entry.name.split(".")[0] ?? entry.name) : entry.name);
      if (!this.#imports.has(bound)) this.#imports.set(bound, entry);
    }
  }

  bindUsage(usage: Usage): Binding {
    // At the top of a file there is no entity that an edge could begin at.
    if (usage.callerIndex === null) return UNKNOWN;
    const { targetName: name, callerIndex: caller, receiver } = usage;
    if (usage.targetClass !== null || receiver === "cls") {
      const owner = this.#enclosingClass(caller, usage.targetClass);
      return owner === null ? UNKNOWN : this.#bindOwn(owner, name);
    }
    if (receiver !== null) return this.#bindQualified(receiver.split(QUALIFIER), name, caller, usage.targetType);
    if (usage.targetType === "method") return this.#bindOnUnknown(name, caller);
    return this.#bindBare(name, caller, usage.targetType === "class" ? ["class"] : ["function", "class"]);
  }

  bindBase(base: string, classIndex: number): Binding {
    const spelled = LEADING_NAME.exec(base)?.[0];
    if (spelled === undefined) return UNKNOWN;
    const path = spelled.split(QUALIFIER);
    const name = path.pop() ?? spelled;
    if (path.length > 0) return this.#bindQualified(path, name, classIndex, "class");
    return this.#bindBare(name, classIndex, ["class"]);
  }

  /** A name without a receiver: what is visible at `user` in this file, then what is imported, then any file's. */
  #bindBare(name: string, user: number, kinds: readonly Definition["kind"][]): Binding {
    const local = this.#visible(name, user, kinds);
    if (local !== null) return { kind: "local", definition: local };
    const imported = this.#imports.get(name);
    if (imported !== undefined) return this.#bindImported(imported, [], name);
    return isBuiltinName(this.#language, "functions", name) ? UNKNOWN : { kind: "foreign", name, origin: null };
  }

  /** `receiver.name`: a class of this file, an imported module or class, else an object that nothing is known of. */
  #bindQualified(receiver: readonly string[], name: string, user: number, target: Usage["targetType"]): Binding {
    const last = receiver.at(-1) ?? "";
    const owner = this.#visible(last, user, ["class"]);
    if (owner !== null && receiver.length === 1) return this.#bindOwn(owner, name);
    const imported = this.#imports.get(receiver[0] ?? "");
    if (imported !== undefined) return this.#bindImported(imported, receiver.slice(1), name);
    return target === "method" ? this.#bindOnUnknown(name, user) : { kind: "foreign", name, origin: null };
  }

  /** A method of the class around: its own, that of its bases in this file, else one that only one class has. */
  #bindOwn(classIndex: number, name: string): Binding {
    const member = this.#memberOf(classIndex, name);
    return member === null ? { kind: "foreign", name, origin: null } : { kind: "local", definition: member };
  }

  /** A method of an object of unknown type: this file's, if one class of it alone has such a method. */
  #bindOnUnknown(name: string, user: number): Binding {
    if (isBuiltinName(this.#language, "members", name)) return UNKNOWN;
    const member = this.#members.get(name);
    if (member === undefined) return { kind: "foreign", name, origin: null };
    const caller = this.#definitions[user];
    // `def close(self): self.socket.close()` hands on to another object; it does not call itself.
    const isItself =
      caller !== undefined && caller.name === name && this.#parents[user] === this.#parents[member.first];
    return member.isOneClass && !isItself ? { kind: "local", definition: member.first } : UNKNOWN;
  }

  #bindImported(entry: Import, members: readonly string[], name: string): Binding {
    const isModule = entry.type === "import" || entry.name === "*";
    const module = entry.module ?? (entry.type === "import" ? entry.name : null);
    if (module === null) return UNKNOWN;
    const origin = originOfModule(module, this.#path, this.#language);
    const bound = entry.alias ?? entry.name;
    if (isModule) {
      // `import a.b` binds `a`: the receiver, not the import, says which module is meant.
      const isFirstPart = entry.type === "import" && entry.alias === null && bound.includes(".");
      const from = isFirstPart ? extendOrigin(bound.split(".")[0] ?? bound, members) : extendOrigin(origin, members);
      return { kind: "foreign", name, origin: from };
    }
    // A default export is imported under any name; most give it its own.
    const exported = entry.name === "default" ? bound : entry.name;
    if (members.length === 0 && name === bound) return { kind: "foreign", name: exported, origin };
    return { kind: "foreign", name, origin: extendOrigin(origin, [exported, ...members]) };
  }

  /** The definition that a bare `name` means at `user`: that of the innermost scope around it, the first of several. */
  #visible(name: string, user: number, kinds: readonly Definition["kind"][]): number | null {
    for (const scope of this.#scopesAround(user)) {
      for (const index of this.#byScope.get(scopeKey(scope, name)) ?? []) {
        const definition = this.#definitions[index];
        // A class is not its own base: `class Reader(Reader)` means another one.
        const isItself = index === user && definition?.kind === "class";
        if (definition !== undefined && kinds.includes(definition.kind) && !isItself) return index;
      }
    }
    return null;
  }

  /** `user`, the definitions around it from the inside out, and the file (-1). */
  *#scopesAround(user: number): Generator<number> {
    for (let at = user; at >= 0; at = this.#parents[at] ?? -1) yield at;
    yield -1;
  }

  /** A member of a class, its own or the first that its bases in this file have, each base before the next. */
  #memberOf(classIndex: number, name: string): number | null {
    const open = [classIndex];
    const seen = new Set<number>();
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const own = this.#byScope.get(scopeKey(at, name))?.[0];
      if (own !== undefined) return own;
      open.push(...this.#localBasesOf(at).toReversed());
    }
    return null;
  }

  /** The base classes in this file. Kept: every use of an inherited member asks for those of all classes above. */
  #localBasesOf(classIndex: number): readonly number[] {
    const known = this.#localBases.get(classIndex);
    if (known !== undefined) return known;
    // To find `Outer.Inner` the bases of `Outer` are looked through, and nonsense can make that a circle.
    this.#localBases.set(classIndex, []);
    const bases = (this.#definitions[classIndex]?.bases ?? [])
      .map((base) => this.bindBase(base, classIndex))
      .flatMap((binding) => (binding.kind === "local" ? [binding.definition] : []));
    this.#localBases.set(classIndex, bases);
    return bases;
  }

  #enclosingClass(user: number, name: string | null): number | null {
    for (const at of this.#scopesAround(user)) {
      const definition = this.#definitions[at];
      if (definition?.kind === "class" && (name === null || definition.name === name)) return at;
    }
    return null;
  }

  #scopeOf(definition: Definition, index: number): string | null {
    for (let at = this.#parents[index] ?? -1; at >= 0; at = this.#parents[at] ?? -1) {
      if (this.#definitions[at]?.kind !== "class") return null;
    }
    const parent = this.#definitions[this.#parents[index] ?? -1];
    if (parent !== undefined) return parent.name;
    return definition.kind === "function" ? definition.name.split(".").slice(0, -1).join(".") : "";
  }
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
