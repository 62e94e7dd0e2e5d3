import type { QueryCapture } from "web-tree-sitter";
import { type CommentRange, commentAbove } from "./doc-comments.js";
import { arrangeDrafts, type Draft } from "./drafts.js";
import type { Definition, Import, ParsedFile, Usage } from "./entities.js";
import type { Language } from "./languages/language.js";
import type { SourceText } from "./source-text.js";
import { nameStartOf, type RawUsage, resolveUsages, rootOf, withoutTypeArguments } from "./usages.js";

/** How much of the text before a called name is looked at for its receiver, in UTF-16 code units. */
const MAX_TOKEN_RECEIVER_UNITS = 200;

/** Names with their separators, or the end of what is no name: `self.items.`, `std::mem::`, `).`. */
const TOKEN_RECEIVER = /(?:\w+|[)\]}?>])(?:::<[^<>]*>)?(?:\.|::)(?:\w+(?:::<[^<>]*>)?(?:\.|::))*$/;

/** What makes of a name with parentheses something else than a call: a definition, an attribute. */
const NO_TOKEN_CALL = /(?:\b(?:fn|struct)\s+|#!?\[)$/;

/** What the captures of one file say. */
export type Extraction = Pick<ParsedFile, "docstring" | "definitions" | "imports" | "usages">;

/** A definition, or a region whose functions belong to a type named elsewhere (`impl T`), that contains the current point. */
interface Scope {
  readonly draft: Draft | null;
  /** Index of the draft among the definitions; null for a region. */
  readonly index: number | null;
  readonly end: number;
  /** Bases of the owner, named by the region. */
  readonly bases: string[];
  /** The type named by the region, or by a method itself (`func (t *T) m()`). */
  owner: string | null;
  /** The innermost scope around this one that names a class. */
  readonly classScope: Scope | null;
  /** Where the name starts, when that is before the node captured as one. */
  nameStart: number | null;
  /** Where the parameter list ends; 0 before it was met. */
  parametersEnd: number;
  /** Where the last region ends whose parameters are not the scope's: functions in default values and in types. */
  foreignParametersEnd: number;
  branches: number;
  context: string | null;
}

/**
 * Builds entities from captures in one pass. Captures come in the order of their start; what contains the current point is
 * kept on a stack, so that no node is ever asked for its parent, its children or its text: each of those crosses into WASM.
 */
export class Extractor {
  readonly #language: Language;
  readonly #source: SourceText;
  readonly #text: string;

  readonly #drafts: Draft[] = [];
  readonly #owners: (string | null)[] = [];
  readonly #imports: Import[] = [];
  readonly #usages: RawUsage[] = [];
  readonly #comments: CommentRange[] = [];
  /** Receivers whose call is still to come. Each lies in the one before it, which ends later. */
  readonly #receivers: CommentRange[] = [];
  /** Bases that a region gives to its owner. */
  readonly #ownerBases: { readonly owner: string; readonly bases: readonly string[] }[] = [];
  readonly #scopes: Scope[] = [];
  /** The last wrapper around a definition, and the last run of decorators in front of one. */
  #outer: CommentRange = { start: 0, end: -1 };
  #decorators: CommentRange = { start: 0, end: -1 };
  #docstring: string | null = null;

  /** @param text what the grammar read: that of `source`, but for gaps in the grammar */
  constructor(language: Language, source: SourceText, text: string) {
    this.#language = language;
    this.#source = source;
    this.#text = text;
  }

  /** Takes the next captures; their starts must not go back. */
  add(captures: readonly QueryCapture[]): void {
    for (const { name, node } of captures) {
      const start = node.startIndex;
      let scope = this.#scopes.at(-1);
      while (scope !== undefined && scope.end <= start) {
        this.#close(scope);
        scope = this.#scopes.at(-1);
      }
      if (name === "branch" || name === "sync-branch") {
        const isCounted = name === "branch" || !this.#text.startsWith("async", start);
        if (scope !== undefined && isCounted) scope.branches++;
      } else {
        this.#take(name, start, node.endIndex, node.startPosition.row + 1, scope);
      }
    }
  }

  /** Everything found; call once, after the last `add`. */
  finish(): Extraction {
    for (let scope = this.#scopes.at(-1); scope !== undefined; scope = this.#scopes.at(-1)) this.#close(scope);
    this.#settleOwners();
    const { definitions, indexOf } = arrangeDrafts(this.#drafts);
    const usages = resolveUsages(this.#usages, definitions, this.#imports, this.#language);
    return {
      docstring: this.#docstring,
      definitions: withUsedVariables(definitions, usages),
      imports: this.#imports,
      usages:
        indexOf === null
          ? usages
          : usages.map((usage) => ({
              ...usage,
              callerIndex: usage.callerIndex === null ? null : (indexOf[usage.callerIndex] ?? null),
            })),
    };
  }

  #take(capture: string, start: number, end: number, line: number, scope: Scope | undefined): void {
    const draft = scope?.draft;
    switch (capture) {
      case "call":
      case "new":
        this.#addUsage(capture === "new", start, end, line);
        break;
      case "token-call":
        this.#addTokenCall(start, end, line);
        break;
      case "comment":
        this.#comments.push({ start, end });
        break;
      case "class":
      case "function":
        this.#open(capture, start, end, line);
        break;
      case "name":
        if (scope !== undefined && draft?.name === "") {
          this.#setName(scope, this.#name(scope.nameStart ?? start, end));
          if (this.#language.lineOf === "name") draft.line = line;
        }
        break;
      case "name-start":
        if (scope !== undefined) scope.nameStart ??= start;
        break;
      case "params":
        if (scope === undefined || start < scope.foreignParametersEnd) break;
        if (scope.parametersEnd === 0) scope.parametersEnd = end;
        else scope.foreignParametersEnd = end;
        break;
      case "foreign-params":
        if (scope !== undefined && end > scope.foreignParametersEnd) scope.foreignParametersEnd = end;
        break;
      case "param":
        if (!draft || draft.kind === "class") break;
        if (start < scope.parametersEnd && start >= scope.foreignParametersEnd) {
          this.#addParameter(draft, this.#parameter(start, end));
        } else {
          draft.variables.push(this.#parameter(start, end));
        }
        break;
      case "variable":
        if (draft && draft.kind !== "class") draft.variables.push(this.#name(start, end));
        break;
      case "base":
        if (draft?.kind === "class") draft.bases.push(this.#base(start, end));
        else scope?.bases.push(this.#base(start, end));
        break;
      case "doc":
        this.#setDocstring(draft, this.#text.slice(start, end));
        break;
      case "import":
        for (const name of this.#language.importsOf(this.#text.slice(start, end)))
          this.#imports.push({ ...name, line });
        break;
      case "outer":
        // Of wrappers around one definition (an export around a declaration) the outermost counts, and that comes first.
        if (start >= this.#outer.end || !isBlankOrSemicolon(this.#text, end, this.#outer.end))
          this.#outer = { start, end };
        break;
      case "decorator":
        this.#decorators = {
          start: isBlankOrSemicolon(this.#text, this.#decorators.end, start) ? this.#decorators.start : start,
          end,
        };
        break;
      case "region":
        this.#push(null, end);
        break;
      case "owner":
        if (scope !== undefined) {
          this.#setOwner(scope, this.#name(start, end));
        }
        break;
      case "receiver":
        this.#addReceiver(start, end);
        break;
      case "pass":
        if (draft) draft.hasPass = true;
        break;
      case "abstract":
        if (draft) draft.isAbstract = true;
        break;
      case "raise":
        if (draft && this.#language.notImplemented?.test(this.#text.slice(start, end))) draft.hasNotImplemented = true;
        break;
    }
  }

  #open(capture: "class" | "function", start: number, end: number, line: number): void {
    const parent = this.#scopes.at(-1);
    const isWrapped = this.#outer.start <= start && isBlankOrSemicolon(this.#text, end, this.#outer.end);
    const isDecorated = isBlankOrSemicolon(this.#text, this.#decorators.end, start);
    const first = isWrapped ? this.#outer.start : isDecorated ? this.#decorators.start : start;
    const { abstractMark, docComments } = this.#language;
    const isMethod = capture === "function" && parent?.draft?.kind === "class";
    const draft: Draft = {
      kind: isMethod ? "method" : capture,
      name: "",
      line,
      endLine: line,
      start: first,
      end,
      docstring: docComments ? commentAbove(this.#text, this.#comments, first, docComments) : null,
      classIndex: isMethod ? parent.index : null,
      bases: [],
      parameters: [],
      variables: [],
      complexity: 0,
      isAbstract: first < start && abstractMark !== undefined && abstractMark.test(this.#text.slice(first, start)),
      hasPass: false,
      hasNotImplemented: false,
    };
    this.#owners.push(parent?.draft === null ? parent.owner : null);
    this.#push(draft, end);
    this.#drafts.push(draft);
  }

  #push(draft: Draft | null, end: number): void {
    const parent = this.#scopes.at(-1);
    this.#scopes.push({
      draft,
      index: draft === null ? null : this.#drafts.length,
      end,
      bases: [],
      owner: null,
      classScope: parent === undefined ? null : namesClass(parent) ? parent : parent.classScope,
      nameStart: null,
      parametersEnd: 0,
      foreignParametersEnd: 0,
      branches: 0,
      context: null,
    });
  }

  #base(start: number, end: number): string {
    const spelled = collapse(this.#text.slice(start, end));
    return this.#language.baseOf?.(spelled) ?? spelled;
  }

  #close(scope: Scope): void {
    this.#scopes.pop();
    const parent = this.#scopes.at(-1);
    if (parent !== undefined) parent.branches += scope.branches;
    const { draft, owner, bases } = scope;
    if (draft === null) {
      if (owner !== null && bases.length > 0) this.#ownerBases.push({ owner, bases });
      return;
    }
    const end = this.#endOfCode(draft.end);
    if (draft.kind !== "class") {
      draft.complexity = 1 + scope.branches;
      draft.hasPass ||=
        this.#language.emptyBody?.test(this.#text.slice(Math.max(draft.start, end - 200), end)) ?? false;
    }
    draft.endLine = this.#source.lineAt(Math.max(end - 1, draft.start));
    draft.start = this.#source.originalIndex(draft.start);
    draft.end = this.#source.originalIndex(end);
  }

  /** `end` moved back over blanks and comments: some grammars count the comments after a body to it. */
  #endOfCode(end: number): number {
    let last = trimmedEnd(this.#text, end);
    for (let index = this.#comments.length - 1; index >= 0; index--) {
      const comment = this.#comments[index];
      if (comment === undefined || comment.end < last) break;
      if (comment.start < last) last = trimmedEnd(this.#text, comment.start);
    }
    return last;
  }

  #name(start: number, end: number): string {
    const name = this.#text.slice(start, end);
    return this.#language.normalizeName?.(name) ?? name;
  }

  #setName(scope: Scope, spelled: string): void {
    const { name, owner } = this.#language.splitName?.(spelled) ?? { name: spelled, owner: null };
    if (scope.draft !== null) scope.draft.name = collapse(name);
    if (owner !== null) this.#setOwner(scope, owner);
  }

  #setOwner(scope: Scope, owner: string): void {
    scope.owner ??= owner;
    if (scope.index !== null) this.#owners[scope.index] ??= scope.owner;
  }

  #parameter(start: number, end: number): string {
    const spelled = this.#name(start, end);
    return collapse(this.#language.parameterOf?.(spelled) ?? spelled);
  }

  #addParameter(draft: Draft, name: string): void {
    const isReceiver =
      draft.kind === "method" && draft.parameters.length === 0 && name === this.#language.receiverParameter;
    // Told apart from a second parameter of that name by its place: a receiver is the first.
    if (!isReceiver) draft.parameters.push(name);
  }

  #setDocstring(draft: Draft | null | undefined, literal: string): void {
    const value = this.#language.docstringOf?.(literal) ?? null;
    if (draft) draft.docstring = value;
    else this.#docstring = value;
  }

  #addUsage(isNew: boolean, start: number, end: number, line: number): void {
    const callee = withoutTypeArguments(this.#text.slice(start, end));
    const nameStart = this.#language.isCalleeWhole ? 0 : nameStartOf(callee);
    const caller = this.#scopes.findLast(({ draft }) => draft !== null);
    this.#usages.push({
      isNew,
      callee,
      receiver: this.#receiverBefore(start),
      line: nameStart === 0 ? line : this.#source.lineAt(start + nameStart),
      callerIndex: caller?.index ?? null,
      className: this.#innermostClass(),
      context: this.#context(),
    });
  }

  /** A called name among tokens that the grammar did not read: what it is called on stands in the text before it. */
  #addTokenCall(start: number, end: number, line: number): void {
    const before = this.#text.slice(Math.max(0, start - MAX_TOKEN_RECEIVER_UNITS), start);
    if (NO_TOKEN_CALL.test(before)) return;
    const receiver = TOKEN_RECEIVER.exec(before)?.[0] ?? "";
    this.#addUsage(false, start - receiver.length, end, line);
  }

  /** Keeps the innermost last: of receivers that start at one place (`a` and `a.b()` in `a.b().c()`) either may come first. */
  #addReceiver(start: number, end: number): void {
    let index = this.#receivers.length;
    while (index > 0 && (this.#receivers[index - 1]?.end ?? end) < end) index--;
    this.#receivers.splice(index, 0, { start, end });
  }

  /** The receiver captured for the call whose name starts here: the innermost, when it ends before the name. */
  #receiverBefore(start: number): string | null {
    const last = this.#receivers.at(-1);
    if (last === undefined || last.end > start) return null;
    this.#receivers.pop();
    return this.#text.slice(last.start, last.end);
  }

  /** The name of the class around the current point; null outside of any. */
  #innermostClass(): string | null {
    const top = this.#scopes.at(-1);
    if (top === undefined) return null;
    const scope = namesClass(top) ? top : top.classScope;
    return scope?.owner ?? scope?.draft?.name ?? null;
  }

  #context(): string {
    const top = this.#scopes.at(-1);
    if (top === undefined) return "";
    // Not kept before the name is known: a decorator may stand inside the definition that it decorates.
    if (top.context === null && top.draft?.name !== "") top.context = this.#contextOf(top);
    return top.context ?? "";
  }

  #contextOf({ draft }: Scope): string {
    const owner = this.#innermostClass();
    if (draft === null || draft.kind === "class") return owner ?? "";
    return owner === null ? draft.name : `${owner}.${draft.name}`;
  }

  /** Functions that name their type become its methods where this file defines it, else functions called `Type.method`. */
  #settleOwners(): void {
    const classes = new Map<string, number>();
    this.#drafts.forEach((draft, index) => {
      if (draft.kind === "class" && !classes.has(draft.name)) classes.set(draft.name, index);
    });
    for (const { owner, bases } of this.#ownerBases) this.#drafts[classes.get(owner) ?? -1]?.bases.push(...bases);
    this.#drafts.forEach((draft, index) => {
      const owner = this.#owners[index];
      if (draft.kind !== "function" || !owner || draft.name === "") return;
      const classIndex = classes.get(owner);
      if (classIndex === undefined) {
        draft.name = `${owner}.${draft.name}`;
      } else {
        draft.kind = "method";
        draft.classIndex = classIndex;
        if (draft.parameters[0] === this.#language.receiverParameter) draft.parameters.shift();
      }
    });
  }
}

/** Few of all variables are ever called; only these matter. */
function withUsedVariables(definitions: readonly Definition[], usages: readonly Usage[]): Definition[] {
  const used = new Set(usages.map(({ targetName, receiver }) => (receiver === null ? targetName : rootOf(receiver))));
  return definitions.map((definition) => {
    const { name, variables } = definition;
    if (variables.length === 0) return definition;
    // The variable that a function is the value of is its name.
    const kept = new Set(variables.filter((variable) => variable !== name && used.has(variable)));
    return { ...definition, variables: [...kept] };
  });
}

function namesClass({ draft, owner }: Scope): boolean {
  return owner !== null || draft?.kind === "class";
}

function collapse(spelled: string): string {
  return spelled.includes("\n") || spelled.includes("  ") ? spelled.replace(/\s+/g, " ") : spelled;
}

function trimmedEnd(text: string, end: number): number {
  let last = end;
  while (last > 0 && text.charCodeAt(last - 1) <= 32) last--;
  return last;
}

/** Whether nothing but blanks and semicolons stands in a range; false for a range that ends before it starts. */
function isBlankOrSemicolon(text: string, from: number, to: number): boolean {
  if (to < from) return false;
  for (let index = from; index < to; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 32 && unit !== 59) return false;
  }
  return true;
}
