import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";
import ts from "typescript";

/** One import of a module: static, `export … from`, dynamic or `import("…")` as a type. */
export interface ModuleImport {
  /** Path from the source root (`sqlite/errors.ts`, `../gen/…`) for a relative import, else the package's name. */
  readonly target: string;
  readonly isPackage: boolean;
  /** True when nothing of it is left in the compiled file. */
  readonly isTypeOnly: boolean;
}

/** What the architecture rules need to know about one source file. */
export interface SourceModule {
  /** Path from the source root, with forward slashes: `sqlite/errors.ts`. */
  readonly path: string;
  readonly imports: readonly ModuleImport[];
  /** True when the file calls or hands on `process.exit`. */
  readonly usesProcessExit: boolean;
}

/** All TypeScript files under `directory`, parsed; sorted by path. */
export function readModules(directory: string): SourceModule[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .sort()
    .map((file) => {
      const path = relative(directory, join(directory, file)).split(sep).join("/");
      return parseModule(path, readFileSync(join(directory, file), "utf8"));
    });
}

/** Reads the imports of one file's text; a `new URL("./worker.js", import.meta.url)` is no import. */
export function parseModule(path: string, text: string): SourceModule {
  const imports: ModuleImport[] = [];
  let usesProcessExit = false;

  function addImport(specifier: ts.Node | undefined, isTypeOnly: boolean): void {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const isPackage = !specifier.text.startsWith(".");
    const target = isPackage
      ? packageName(specifier.text)
      : posix.join(posix.dirname(path), specifier.text).replace(/\.js$/, ".ts");
    imports.push({ target, isPackage, isTypeOnly });
  }

  function visit(node: ts.Node): void {
    if (ts.isImportDeclaration(node)) {
      addImport(node.moduleSpecifier, isTypeOnlyImport(node.importClause));
      if (importsExit(node)) usesProcessExit = true;
    } else if (ts.isExportDeclaration(node)) {
      addImport(node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      addImport(node.argument.literal, true);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      addImport(node.arguments[0], false);
    } else if (ts.isPropertyAccessExpression(node) && node.getText() === "process.exit") {
      usesProcessExit = true;
    }
    ts.forEachChild(node, visit);
  }

  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return { path, imports, usesProcessExit };
}

/** `zod` for `zod`, `@grpc/grpc-js` for `@grpc/grpc-js/build/src`, `node:fs` for `node:fs/promises`. */
function packageName(specifier: string): string {
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}

function isTypeOnlyImport(clause: ts.ImportClause | undefined): boolean {
  // A bare `import "x"` runs the module.
  return clause !== undefined && clause.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

function importsExit(node: ts.ImportDeclaration): boolean {
  if (!ts.isStringLiteral(node.moduleSpecifier) || packageName(node.moduleSpecifier.text) !== "node:process")
    return false;
  const bindings = node.importClause?.namedBindings;
  return (
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.some((element) => (element.propertyName ?? element.name).text === "exit")
  );
}

/** Import cycles as lists of paths, each starting at its alphabetically first module; type-only imports count too. */
export function findCycles(modules: readonly SourceModule[]): string[][] {
  const edges = new Map(modules.map((module) => [module.path, localTargets(module)]));
  return stronglyConnected(edges)
    .filter((component) => component.length > 1 || edges.get(component[0] ?? "")?.includes(component[0] ?? ""))
    .map((component) => component.sort());
}

/** Every module that is loaded when `entry` runs, `entry` included: imports that are only types are not followed. */
export function reachableAtRunTime(modules: readonly SourceModule[], entry: string): Set<string> {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const reached = new Set<string>();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const module = byPath.get(path);
    if (module === undefined || reached.has(path)) continue;
    reached.add(path);
    waiting.push(...module.imports.filter((it) => !it.isPackage && !it.isTypeOnly).map((it) => it.target));
  }
  return reached;
}

function localTargets(module: SourceModule): string[] {
  return module.imports.filter((it) => !it.isPackage).map((it) => it.target);
}

/** Tarjan's algorithm (SIAM J. Comput. 1 (2), 1972). */
function stronglyConnected(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const components: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];

  function connect(node: string): number {
    const index = order.size;
    order.set(node, index);
    stack.push(node);
    let low = index;
    for (const next of edges.get(node) ?? []) {
      if (!order.has(next)) low = Math.min(low, connect(next));
      else if (stack.includes(next)) low = Math.min(low, lowest.get(next) ?? order.get(next) ?? low);
    }
    lowest.set(node, low);
    if (low === index) components.push(stack.splice(stack.indexOf(node)));
    return low;
  }

  for (const node of edges.keys()) {
    if (!order.has(node)) connect(node);
  }
  return components;
}
