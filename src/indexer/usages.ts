import type { Definition, Import, Usage } from "./entities.js";
import type { Language } from "./languages/language.js";

/** A call or instantiation as it was met, before the whole file is known. */
export interface RawUsage {
  readonly isNew: boolean;
  /** What is called or instantiated, as spelled. */
  readonly callee: string;
  /** The receiver as spelled, where it is not part of the callee. */
  readonly receiver: string | null;
  /** Line of the called name. */
  readonly line: number;
  readonly callerIndex: number | null;
  /** The class around, for a call on the receiver; null outside. */
  readonly className: string | null;
  readonly context: string;
}

/** A callee taken apart: `os.path.join` is `join` on `os.path`. */
export interface Callee {
  readonly name: string;
  /** Everything before the name, when that is a plain dotted name. */
  readonly receiver: string | null;
  /** Whether there is anything before the name, other than a namespace of PHP. */
  readonly isMember: boolean;
  /** Whether that is a path (`std::fmt::`). */
  readonly isPath: boolean;
}

const PLAIN_RECEIVER = /^[\p{ID_Continue}$@#.:\\>-]+$/u;
/** CapWords, as PEP 8 and its like name classes: upper-case first, a lower-case letter somewhere. */
const CAP_WORD = /^_*[A-Z]\w*[a-z]/;

/** Takes a callee apart at its last separator (`.`, `?.`, `::`, `->`, `\`). */
function parseCallee(callee: string): Callee {
  const nameStart = nameStartOf(callee);
  if (nameStart === 0) return { name: callee, receiver: null, isMember: false, isPath: false };
  const before = callee.slice(0, nameStart);
  const receiver = before.replace(/[\s.?:>!\\-]+$/, "");
  return {
    name: callee.slice(nameStart),
    receiver: plainReceiver(receiver),
    isMember: receiver !== "" && !before.endsWith("\\"),
    isPath: /::\s*$/.test(before),
  };
}

/** A callee without the type arguments at its end: `Map<K, V>` is `Map`. */
export function withoutTypeArguments(callee: string): string {
  if (!callee.endsWith(">")) return callee;
  let depth = 0;
  for (let index = callee.length - 1; index >= 0; index--) {
    if (callee[index] === ">") depth++;
    else if (callee[index] === "<" && --depth === 0) return callee.slice(0, index).trimEnd();
  }
  return callee;
}

/** Index in a callee at which its last name starts. */
export function nameStartOf(callee: string): number {
  let index = callee.length;
  while (index > 0 && isNameUnit(callee.charCodeAt(index - 1))) index--;
  return index;
}

function isNameUnit(unit: number): boolean {
  return (
    (unit >= 97 && unit <= 122) || // a-z
    (unit >= 65 && unit <= 90) || // A-Z
    (unit >= 48 && unit <= 57) || // 0-9
    unit === 95 || // _
    unit > 127 ||
    unit === 33 || // ! of a Ruby name
    unit === 63 || // ? of a Ruby name
    unit === 35 || // # of a JavaScript private name
    unit === 36 || // $
    unit === 64 // @
  );
}

/**
 * Decides between calls and instantiations, now that the names of the whole file are known.
 *
 * A use is an instantiation when the language says so (`new X`). Where it does not (Python), it is one when the called name
 * is bare and either a class of this file or a CapWord that is no function of this file; or when it is a CapWord reached
 * through an imported name or a class (`module.Thing()`). Everything else is a call: of a `method` where there is a
 * receiver, except on a name bound by a plain `import`, which is a module, on a namespace, and on a lower-case path
 * (`std::mem::`); else of a `function`.
 */
export function resolveUsages(
  usages: readonly RawUsage[],
  definitions: readonly Definition[],
  imports: readonly Import[],
  language: Language,
): Usage[] {
  const classes = new Set<string>();
  const functions = new Set<string>();
  for (const { kind, name } of definitions) {
    if (kind === "class") classes.add(name);
    else if (kind === "function") functions.add(name);
  }
  const modules = new Set<string>();
  const bound = new Set<string>();
  for (const { name, alias, type } of imports) {
    const local = alias ?? localNameOf(name);
    bound.add(local);
    if (type === "import" && !language.isImportOfFile) modules.add(local);
  }

  const isInstantiation = ({ name, receiver, isMember }: Callee): boolean => {
    if (!language.isCapitalCallInstantiation) return false;
    if (!isMember) return classes.has(name) || (CAP_WORD.test(name) && !functions.has(name));
    if (receiver === null || !CAP_WORD.test(name)) return false;
    const root = rootOf(receiver);
    return bound.has(root) || classes.has(root);
  };

  return usages.flatMap(({ isNew, callee: spelled, receiver: written, line, callerIndex, className, context }) => {
    const parsed = language.isCalleeWhole
      ? { name: spelled, receiver: null, isMember: false, isPath: false }
      : parseCallee(spelled);
    if (parsed.name === "") return [];
    const callee = written === null ? parsed : { ...parsed, isMember: true, receiver: plainReceiver(written) };
    const { receiver, isMember } = callee;
    const isConstructorCall = receiver !== null && callee.name === language.constructorCall;
    const isCreation = isNew || isConstructorCall || isInstantiation(callee);
    const isOnModule = receiver !== null && (callee.isPath ? isModulePath(receiver) : modules.has(rootOf(receiver)));
    const isMethod = isMember ? !isOnModule : language.isBareCallMethod === true && !functions.has(callee.name);
    const made = isConstructorCall ? parseCallee(receiver) : callee;
    return {
      line,
      type: isCreation ? "instantiation" : "call",
      targetType: isCreation ? "class" : isMethod ? "method" : "function",
      targetName: language.normalizeName?.(made.name) ?? made.name,
      targetClass: receiver !== null && language.receivers.includes(receiver) ? className : null,
      receiver: made.receiver,
      isMember: made.isMember,
      isPath: made.isPath,
      callerIndex,
      context,
    };
  });
}

/** Types are written with a capital in the languages that have paths; anything else is a module or namespace. */
function isModulePath(path: string): boolean {
  return !/^[A-Z]/.test(path.slice(path.lastIndexOf(":") + 1));
}

function plainReceiver(written: string): string | null {
  return PLAIN_RECEIVER.test(written) ? written : null;
}

/** The name that a module is used by: the first part of a dotted one, the last part of a path. */
function localNameOf(name: string): string {
  return name.includes("/") ? name.slice(name.lastIndexOf("/") + 1) : rootOf(name);
}

/** The first part of a dotted name or path. */
export function rootOf(dotted: string): string {
  const end = dotted.search(/[.:]/);
  return end === -1 ? dotted : dotted.slice(0, end);
}
