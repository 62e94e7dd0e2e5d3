import { isBuiltinName } from "./builtin-names.js";
import type { DefinitionKind, Import, ParsedFile, Usage } from "./entities.js";
import { FileScopes } from "./file-scopes.js";
import type { Language } from "./languages/language.js";
import { languageNamed } from "./languages/registry.js";
import {
  anyOrigin,
  boundName,
  extendOrigin,
  type Importer,
  originOfModule,
  originOfOwnPackage,
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

const TYPES: readonly DefinitionKind[] = ["class"];
const CALLABLES: readonly DefinitionKind[] = ["function", "class"];
const CALLABLES_AND_MEMBERS: readonly DefinitionKind[] = ["function", "class", "method"];

/** A dotted name at the beginning of a base class as it is spelled: `mod.Base[T]`, `Base<T>`, `Base(args)` → `mod.Base`. */
const LEADING_NAME = /^[\p{L}_$][\p{L}\p{N}_$]*(?:(?:\.|::|\\)[\p{L}_$][\p{L}\p{N}_$]*)*/u;

const QUALIFIER = /\.|::|->|\\/;

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
  return { usages: parsed.usages.map((usage) => names.bindUsage(usage)), scopes: names.scopes.names, bases };
}

class FileNames {
  readonly scopes: FileScopes;
  readonly #file: ParsedFile;
  readonly #language: Language | null;
  readonly #importer: Importer;
  readonly #imports = new Map<string, Import>();
  readonly #bases = new Map<number, readonly Binding[]>();
  /** Where bare names come from that the file neither defines nor imports; undefined before anybody asked. */
  #outside: Outside | undefined;

  constructor(parsed: ParsedFile, relativePath: string) {
    this.#file = parsed;
    this.#language = languageNamed(parsed.language);
    const namespace = this.#language?.packageClause?.exec(parsed.text)?.[1] ?? null;
    this.#importer = { path: relativePath, language: parsed.language, namespace };
    for (const entry of parsed.imports) {
      const bound = boundName(entry, parsed.language);
      if (bound !== null && !this.#imports.has(bound)) this.#imports.set(bound, entry);
    }
    this.scopes = new FileScopes(parsed.definitions, {
      language: this.#language,
      localBasesOf: (index) => this.#localBasesOf(index),
      isImportedWithin: (name, line, endLine) => {
        const imported = this.#imports.get(name);
        return imported !== undefined && imported.line >= line && imported.line <= endLine;
      },
    });
  }

  bindUsage(usage: Usage): Binding {
    // At the top of a file there is no entity that an edge could begin at.
    if (usage.callerIndex === null) return UNKNOWN;
    const { targetName: name, targetType: target, callerIndex: caller, receiver } = usage;
    if (!usage.isMember) {
      if (this.#language?.selfTypes?.includes(name)) return localOrUnknown(this.scopes.enclosingClass(caller, null));
      return this.#bindBare(name, caller, target);
    }
    if (usage.targetClass !== null || receiver === "cls") {
      const owner = this.scopes.enclosingClass(caller, usage.targetClass);
      if (owner !== null) return this.#bindOwn(owner, name);
      return localOrUnknown(usage.targetClass === null ? null : this.scopes.memberOfOutside(usage.targetClass, name));
    }
    if (receiver !== null) return this.#bindQualified(receiver, usage.isPath, name, caller, target);
    return target === "method" ? this.#bindOnUnknown(name, caller) : UNKNOWN;
  }

  bindBase(base: string, classIndex: number): Binding {
    const spelled = LEADING_NAME.exec(base)?.[0];
    if (spelled === undefined) return UNKNOWN;
    const nameStart = spelled.length - (spelled.split(QUALIFIER).at(-1)?.length ?? 0);
    const name = spelled.slice(nameStart);
    const qualifier = spelled.slice(0, nameStart).replace(/[.:\\]+$/, "");
    if (qualifier !== "") return this.#bindQualified(qualifier, spelled.includes("::"), name, classIndex, "class");
    // A class is not its own base (`class Reader(Reader)` means another one), nor does it inherit from what is inside of it.
    return this.#bindBare(name, this.scopes.parentOf(classIndex), "class", classIndex);
  }

  /** A name without a receiver: what is visible at `user` in this file, then what is imported, then what others may define. */
  #bindBare(name: string, user: number, target: Usage["targetType"], except?: number): Binding {
    const kinds = target === "class" ? TYPES : this.#language?.isReceiverImplicit ? CALLABLES_AND_MEMBERS : CALLABLES;
    const visible = this.scopes.visible(name, user, kinds, except);
    if (visible !== null) return visible === "variable" ? UNKNOWN : { kind: "local", definition: visible };
    const imported = this.#imports.get(name);
    if (imported !== undefined) return this.#bindImported(imported, [], name);
    if (isBuiltinName(this.#file.language, "functions", name)) return UNKNOWN;
    // A method that the file does not have is inherited; a class of Java is whole in its file, so that its bases tell.
    const isInherited = target === "method" && (this.#language?.reach !== "package" || this.#inheritsFromOutside(user));
    if (isInherited) return { kind: "foreign", name, origin: null };
    const outside = this.#origins();
    return outside === NOWHERE ? UNKNOWN : { kind: "foreign", name, origin: outside };
  }

  /** `receiver.name`: a class of this file, an imported module or class, else an object that nothing is known of. */
  #bindQualified(spelled: string, isPath: boolean, name: string, user: number, target: Usage["targetType"]): Binding {
    const [first = "", ...members] = spelled.split(QUALIFIER);
    const visible = this.scopes.visible(first, user, TYPES);
    // A path never begins with a variable.
    if (visible === "variable" && !isPath) return target === "method" ? this.#bindOnUnknown(name, user) : UNKNOWN;
    if (typeof visible === "number" && members.length === 0) return this.#bindOwn(visible, name);
    const imported = this.#imports.get(first);
    if (imported !== undefined) return this.#bindImported(imported, members, name);
    if (visible === null && isBuiltinName(this.#file.language, "functions", first)) return UNKNOWN;
    // Where modules are files, a path (`crate::store::open`) says itself where it leads.
    if (isPath && this.#language?.reach === "imports")
      return { kind: "foreign", name, origin: originOfModule(spelled, this.#importer) };
    if (target === "method") return this.#bindOnUnknown(name, user);
    return visible === null && this.#origins() === null ? { kind: "foreign", name, origin: null } : UNKNOWN;
  }

  /** A method of the class around: its own, that of its bases in this file, else one that only one class has. */
  #bindOwn(classIndex: number, name: string): Binding {
    const member = this.scopes.memberOf(classIndex, name);
    return member === null ? { kind: "foreign", name, origin: null } : { kind: "local", definition: member };
  }

  /** A method of an object of unknown type: this file's, if one class of it alone has such a method. */
  #bindOnUnknown(name: string, user: number): Binding {
    if (isBuiltinName(this.#file.language, "members", name)) return UNKNOWN;
    const member = this.scopes.membersNamed(name);
    if (member === undefined) return { kind: "foreign", name, origin: null };
    const caller = this.#file.definitions[user];
    // `def close(self): self.socket.close()` hands on to another object; it does not call itself.
    const isItself =
      caller !== undefined && caller.name === name && this.scopes.parentOf(user) === this.scopes.parentOf(member.first);
    return member.isOneClass && !isItself ? { kind: "local", definition: member.first } : UNKNOWN;
  }

  #bindImported(entry: Import, members: readonly string[], name: string): Binding {
    const isModule = entry.type === "import" || entry.name === "*";
    const module = entry.module ?? (entry.type === "import" ? entry.name : null);
    if (module === null) return UNKNOWN;
    const origin = originOfModule(module, this.#importer);
    const bound = boundName(entry, this.#file.language) ?? entry.name;
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
      name === "*" && module !== null ? [originOfModule(module, this.#importer)] : [],
    );
    if (reach === "imports") return wildcards.length === 0 ? NOWHERE : anyOrigin(wildcards);
    return anyOrigin([originOfOwnPackage(this.#importer), ...wildcards]);
  }

  /** Whether a class around `user` has a base, of its own or inherited, that this file does not define. */
  #inheritsFromOutside(user: number): boolean {
    const open = [...this.scopes.around(user)].filter((at) => this.#file.definitions[at]?.kind === "class");
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
    const bases = (this.#file.definitions[classIndex]?.bases ?? []).map((base) => this.bindBase(base, classIndex));
    this.#bases.set(classIndex, bases);
    return bases;
  }
}

function localOrUnknown(definition: number | null): Binding {
  return definition === null ? UNKNOWN : { kind: "local", definition };
}
