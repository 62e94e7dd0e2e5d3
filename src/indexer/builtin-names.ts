/**
 * Names that a language's own types and its global scope define. A use of one of them whose receiver or import says nothing is
 * far more likely the language's than the only definition of that name in a project, so it gets no edge by name alone.
 */

interface BuiltinNames {
  readonly functions: ReadonlySet<string>;
  readonly members: ReadonlySet<string>;
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

/** https://docs.python.org/3/library/functions.html and the methods of str, bytes, list, dict, set and files. */
const PYTHON: BuiltinNames = {
  functions: words(`
    abs aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex delattr dict dir
    divmod enumerate eval exec filter float format frozenset getattr globals hasattr hash help hex id input int isinstance
    issubclass iter len list locals map max memoryview min next object oct open ord pow print property range repr reversed
    round set setattr slice sorted staticmethod str sum super tuple type vars zip`),
  members: words(`
    add append capitalize casefold center clear close copy count decode difference discard encode endswith expandtabs extend
    find fileno flush format get hex index insert intersection isalnum isalpha isdigit islower isspace issubset issuperset
    istitle isupper items join keys ljust lower lstrip partition pop popitem read readable readline readlines remove replace
    reverse rfind rindex rjust rpartition rsplit rstrip seek setdefault sort split splitlines startswith strip swapcase tell
    title translate truncate union update upper values writable write writelines zfill`),
};

/** https://developer.mozilla.org/docs/Web/JavaScript/Reference/Global_Objects: functions, and members of the common types. */
const SCRIPT: BuiltinNames = {
  functions: words(`
    Array Atomics BigInt Boolean Buffer Date Error Intl JSON Map Math Number Object Promise Proxy Reflect RegExp Set String Symbol
    WeakMap WeakSet clearInterval clearTimeout console decodeURIComponent document encodeURIComponent fetch globalThis isFinite
    isNaN localStorage parseFloat parseInt performance process queueMicrotask require setImmediate setInterval setTimeout
    structuredClone window`),
  members: words(`
    add apply at bind call catch charAt charCodeAt clear concat delete endsWith entries every exec fill filter finally find
    findIndex flat flatMap forEach get has hasOwnProperty includes indexOf join keys lastIndexOf map match matchAll next padEnd
    padStart pop push reduce repeat replace replaceAll reverse set shift slice some sort splice split startsWith substring test
    then toFixed toLowerCase toString toUpperCase trim trimEnd trimStart unshift valueOf values`),
};

/** What is in the namespace of the library is none of a project's: `std::move`. */
const CPP: BuiltinNames = { functions: words("std"), members: new Set() };

const BUILTINS_OF_LANGUAGE: Readonly<Record<string, BuiltinNames>> = {
  python: PYTHON,
  javascript: SCRIPT,
  typescript: SCRIPT,
  tsx: SCRIPT,
  cpp: CPP,
};

/** True when `name`, used bare (`functions`) or on some object (`members`), is one of the language's own. */
export function isBuiltinName(language: string | null, kind: keyof BuiltinNames, name: string): boolean {
  return BUILTINS_OF_LANGUAGE[language ?? ""]?.[kind].has(name) ?? false;
}
