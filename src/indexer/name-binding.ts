import { isBuiltinName } from "./builtin-names.js";
import type { Definition, Import, ParsedFile, Usage } from "./entities.js";
import type { Language } from "./languages/language.js";
import { languageNamed } from "./languages/registry.js";
import {
  anyOrigin,
  extendOrigin,
  originOfDirectory,
  originOfModule,
  originOfNamespace,
  originOfPackage,
  packageName,
} from "./module-path.js";

/**
 * What a file alone tells about the names that it uses: which of its own definitions a name means, or under which name and from
 * which module to look for it in other files. A function of the file's content and path only, so that it is computed once, when
 * the file is stored; what other files define comes in later (`cross-references.ts`).
 */

/** What a name stands for: a definition of the same file, a name to look for in others, or nothing that can be known. */
export type Binding =
  | { readonly kind: "local"; readonly definition: number }
  /** `origin` null: any file of the project may define it. */
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

/** The origin of names that may come from outside of a file, null for any; `NOWHERE` where none does. */
type Outside = string | null | typeof NOWHERE;
const NOWHERE = Symbol("nowhere");

const TYPES: readonly Definition["kind"][] = ["class"];
const FUNCTIONS: readonly Definition["kind"][] = ["function", "class"];
const ANY: readonly Definition["kind"][] = ["function", "class", "method"];

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
  readonly #file: ParsedFile;
  readonly #definitions: readonly Definition[];
  readonly #language: Language | null;
  readonly #path: string;
  /** Innermost definition around each definition, -1 at the top. */
  readonly #parents: readonly number[];
  /** Definitions by the one around them and their name. */
  readonly #byScope = new Map<string, number[]>();
  /** Members of classes by name: the first, and whether all are of one class. */
  readonly #members = new Map<string, { first: number; isOneClass: boolean }>();
  readonly #imports = new Map<string, Import>();
  readonly #bases = new Map<number, readonly Binding[]>();
  /** Where bare names come from that the file neither defines nor imports; undefined before anybody asked. */
  #outside: Outside | undefined;
  /** As `packageClause` says; undefined before anybody asked. */
  #ownPackage: string | undefined;

  constructor(parsed: ParsedFile, relativePath: string) {
    this.#file = parsed;
    this.#definitions = parsed.definitions;
    this.#language = languageNamed(parsed.language);
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
      const bound = boundName(entry, this.#language);
      if (bound !== null && !this.#imports.has(bound)) this.#imports.set(bound, entry);
    }
  }

  bindUsage(usage: Usage): Binding {
    // At the top of a file there is no entity that an edge could begin at.
    if (usage.callerIndex === null) return UNKNOWN;
    const { targetName: name, targetType: target, callerIndex: caller, receiver } = usage;
    if (!usage.isMember) {
      if (this.#language?.selfTypes?.includes(name)) return localOrUnknown(this.#enclosingClass(caller, null));
      return this.#bindBare(name, caller, target);
    }
    if (usage.targetClass !== null || receiver === "cls") {
      const owner = this.#enclosingClass(caller, usage.targetClass);
      if (owner !== null) return this.#bindOwn(owner, name);
      return localOrUnknown(usage.targetClass === null ? null : this.#memberOfOutside(usage.targetClass, name));
    }
    if (receiver !== null) return this.#bindQualified(receiver, name, caller, target);
    return target === "method" ? this.#bindOnUnknown(name, caller) : UNKNOWN;
  }

  bindBase(base: string, classIndex: number): Binding {
    const spelled = LEADING_NAME.exec(base)?.[0];
    if (spelled === undefined) return UNKNOWN;
    const nameStart = spelled.length - (spelled.split(QUALIFIER).at(-1)?.length ?? 0);
    const name = spelled.slice(nameStart);
    const qualifier = spelled.slice(0, nameStart).replace(/[.:\\]+$/, "");
    if (qualifier !== "") return this.#bindQualified(qualifier, name, classIndex, "class");
    // A class is not its own base (`class Reader(Reader)` means another one), nor does it inherit from what is inside of it.
    return this.#bindBare(name, this.#parents[classIndex] ?? -1, "class", classIndex);
  }

  /** A name without a receiver: what is visible at `user` in this file, then what is imported, then what others may define. */
  #bindBare(name: string, user: number, target: Usage["targetType"], except?: number): Binding {
    const visible = this.#visible(name, user, target === "class" ? TYPES : this.#callables(), except);
    if (visible !== null) return visible;
    const imported = this.#imports.get(name);
    if (imported !== undefined) return this.#bindImported(imported, [], name);
    if (isBuiltinName(this.#file.language, "functions", name)) return UNKNOWN;
    // Not said where it is to be found: it is inherited. In a package whose classes inherit nothing more there is no such name.
    if (target === "method" && (this.#language?.reach !== "package" || this.#inheritsFromOutside(user)))
      return { kind: "foreign", name, origin: null };
    const outside = this.#origins();
    return outside === NOWHERE ? UNKNOWN : { kind: "foreign", name, origin: outside };
  }

  /** `receiver.name`: a class of this file, an imported module or class, else an object that nothing is known of. */
  #bindQualified(spelled: string, name: string, user: number, target: Usage["targetType"]): Binding {
    const [first = "", ...members] = spelled.split(QUALIFIER);
    const visible = this.#visible(first, user, TYPES);
    if (visible?.kind === "local" && members.length === 0) return this.#bindOwn(visible.definition, name);
    const imported = visible?.kind === "unknown" ? undefined : this.#imports.get(first);
    if (imported !== undefined) return this.#bindImported(imported, members, name);
    if (visible === null && isBuiltinName(this.#file.language, "functions", first)) return UNKNOWN;
    // A path (`crate::store::open`) says itself where it leads.
    const isPath =
      visible === null && this.#language?.reach === "imports" && (target === "function" || spelled.includes("::"));
    if (isPath) return { kind: "foreign", name, origin: this.#originOf(spelled) };
    if (target === "method") return this.#bindOnUnknown(name, user);
    return visible === null && this.#origins() === null ? { kind: "foreign", name, origin: null } : UNKNOWN;
  }

  /** A method of the class around: its own, that of its bases in this file, else one that only one class has. */
  #bindOwn(classIndex: number, name: string): Binding {
    const member = this.#memberOf(classIndex, name, ANY);
    return member === null ? { kind: "foreign", name, origin: null } : { kind: "local", definition: member };
  }

  /** A method of an object of unknown type: this file's, if one class of it alone has such a method. */
  #bindOnUnknown(name: string, user: number): Binding {
    if (isBuiltinName(this.#file.language, "members", name)) return UNKNOWN;
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
    const origin = this.#originOf(module);
    const bound = boundName(entry, this.#language) ?? entry.name;
    if (isModule) {
      // `import a.b` binds `a`: the receiver, not the import, says which module is meant.
      const isFirstPart = entry.alias === null && entry.name.startsWith(`${bound}.`);
      return { kind: "foreign", name, origin: extendOrigin(isFirstPart ? bound : origin, members) };
    }
    // A default export is imported under any name; most give it its own.
    const exported = entry.name === "default" ? bound : entry.name;
    if (members.length === 0 && name === bound) return { kind: "foreign", name: exported, origin };
    return { kind: "foreign", name, origin: extendOrigin(origin, [exported, ...members]) };
  }

  #originOf(module: string): string {
    if (this.#language?.name === "php" && !module.includes("/")) return originOfNamespace(module, this.#package());
    return originOfModule(module, this.#path, this.#file.language);
  }

  /** The package or namespace that the file says it belongs to; empty without one. */
  #package(): string {
    this.#ownPackage ??= this.#language?.packageClause?.exec(this.#file.text)?.[1] ?? "";
    return this.#ownPackage;
  }

  /** Where the bare names of the file come from that it neither defines nor imports by name. */
  #origins(): Outside {
    this.#outside ??= this.#findOrigins();
    return this.#outside;
  }

  #findOrigins(): Outside {
    const { imports, text } = this.#file;
    const reach = this.#language?.reach ?? "project";
    if (reach === "project") return null;
    if (reach === "scripts") return imports.length > 0 || this.#language?.moduleMark?.test(text) ? NOWHERE : null;
    const wildcards = imports.flatMap(({ name, module }) =>
      name === "*" && module !== null ? [this.#originOf(module)] : [],
    );
    if (reach === "imports") return wildcards.length === 0 ? NOWHERE : anyOrigin(wildcards);
    const own = this.#package() === "" ? originOfDirectory(this.#path) : originOfPackage(this.#package());
    return anyOrigin([own, ...wildcards]);
  }

  /** What a call of a bare name can mean. */
  #callables(): readonly Definition["kind"][] {
    return this.#language?.isReceiverImplicit ? ANY : FUNCTIONS;
  }

  /** What a bare `name` means at `user`: the definition of the innermost scope that has one, or a variable, or null. */
  #visible(name: string, user: number, kinds: readonly Definition["kind"][], except?: number): Binding | null {
    for (const scope of this.#scopesAround(user)) {
      const found = this.#inScope(scope, name, user, kinds, except);
      if (found !== null) return { kind: "local", definition: found };
      if (this.#isVariable(name, scope)) return UNKNOWN;
    }
    return null;
  }

  #inScope(
    scope: number,
    name: string,
    user: number,
    kinds: readonly Definition["kind"][],
    except?: number,
  ): number | null {
    const isImplicit = this.#language?.isReceiverImplicit === true;
    const around = this.#definitions[scope];
    // The body of a class is a scope of its own for what stands in it directly, not for what its methods do.
    if (around?.kind === "class" && !isImplicit && scope !== user) return null;
    if (around?.kind === "class" && isImplicit) return this.#memberOf(scope, name, kinds);
    const found = this.#firstOf(scope, name, kinds, except);
    if (found !== null || !isImplicit || around?.kind !== "function" || !around.name.includes(".")) return found;
    return this.#memberOfOutside(around.name.slice(0, around.name.lastIndexOf(".")), name);
  }

  #firstOf(scope: number, name: string, kinds: readonly Definition["kind"][], except?: number): number | null {
    const found = this.#byScope.get(scopeKey(scope, name))?.find((index) => {
      const kind = this.#definitions[index]?.kind;
      return index !== except && kind !== undefined && kinds.includes(kind);
    });
    return found ?? null;
  }

  /** A member that this file gives to a type of another one. */
  #memberOfOutside(type: string, name: string): number | null {
    return this.#byScope.get(scopeKey(-1, `${type}.${name}`))?.[0] ?? null;
  }

  /** Whether the function `scope` binds `name` to a value, so that a call of it can be one of anything. */
  #isVariable(name: string, scope: number): boolean {
    const around = this.#definitions[scope];
    if (around === undefined || this.#language?.areVariablesCallable !== true) return false;
    if (around.parameters.includes(name)) return true;
    if (!around.variables.includes(name)) return false;
    // `try: from m import f`, `except ImportError: f = None`: the import says what it is for.
    const imported = this.#imports.get(name);
    return imported === undefined || imported.line < around.line || imported.line > around.endLine;
  }

  /** `user`, the definitions around it from the inside out, and the file (-1). */
  *#scopesAround(user: number): Generator<number> {
    for (let at = user; at >= 0; at = this.#parents[at] ?? -1) yield at;
    yield -1;
  }

  /** A member of a class, its own or the first that its bases in this file have, each base before the next. */
  #memberOf(classIndex: number, name: string, kinds: readonly Definition["kind"][]): number | null {
    const open = [classIndex];
    const seen = new Set<number>();
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const own = this.#firstOf(at, name, kinds);
      if (own !== null) return own;
      open.push(...this.#localBasesOf(at).toReversed());
    }
    return null;
  }

  /** Whether a class around `user` has a base, of its own or inherited, that this file does not define. */
  #inheritsFromOutside(user: number): boolean {
    const open = [...this.#scopesAround(user)].filter((at) => this.#definitions[at]?.kind === "class");
    const seen = new Set<number>();
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      if (this.#basesOf(at).some(({ kind }) => kind !== "local")) return true;
      open.push(...this.#localBasesOf(at));
    }
    return false;
  }

  #localBasesOf(classIndex: number): number[] {
    return this.#basesOf(classIndex).flatMap((base) => (base.kind === "local" ? [base.definition] : []));
  }

  /** Kept: every use of an inherited member asks for the bases of all classes above. */
  #basesOf(classIndex: number): readonly Binding[] {
    const known = this.#bases.get(classIndex);
    if (known !== undefined) return known;
    // To find `Outer.Inner` the bases of `Outer` are looked through, and nonsense can make that a circle.
    this.#bases.set(classIndex, []);
    const bases = (this.#definitions[classIndex]?.bases ?? []).map((base) => this.bindBase(base, classIndex));
    this.#bases.set(classIndex, bases);
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

function localOrUnknown(definition: number | null): Binding {
  return definition === null ? UNKNOWN : { kind: "local", definition };
}

/** The name that an import brings into its file; null where it takes in a file and binds none. */
function boundName({ type, name, alias }: Import, language: Language | null): string | null {
  if (alias !== null) return alias;
  if (type === "import_from") return name;
  return language?.name === "go" ? packageName(name) : (name.split(".")[0] ?? name);
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
