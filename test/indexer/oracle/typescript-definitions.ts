import ts from "typescript";

/** A definition as both parsers can be asked for it: `kind name line-endLine (parameters)`. */
export type DefinitionText = string;

const SCRIPT_KINDS: Readonly<Record<string, ts.ScriptKind>> = {
  tsx: ts.ScriptKind.TSX,
  ts: ts.ScriptKind.TS,
  mts: ts.ScriptKind.TS,
  cts: ts.ScriptKind.TS,
};

type Scope = "class" | "function" | null;

/** Every definition that the TypeScript compiler sees in a file, by the rules of languages/README.md, sorted. */
export function typeScriptDefinitions(file: string, text: string): DefinitionText[] {
  const extension = file.slice(file.lastIndexOf(".") + 1);
  const kind = SCRIPT_KINDS[extension] ?? ts.ScriptKind.JSX;
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, kind);
  const found: DefinitionText[] = [];
  const lineOf = (index: number): number => source.getLineAndCharacterOfPosition(index).line + 1;
  const textOf = (node: ts.Node): string => {
    const literal = ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node);
    return literal ? node.text : node.getText(source).replace(/\s+/g, " ");
  };
  const add = (
    kind: string,
    name: ts.Node,
    whole: ts.Node,
    parameters: readonly ts.ParameterDeclaration[] = [],
  ): void => {
    const names = parameters.map((parameter) => textOf(parameter.name)).filter((parameter) => parameter !== "this");
    const spelled = name.kind === ts.SyntaxKind.DefaultKeyword ? "default" : textOf(name);
    found.push(`${kind} ${spelled} ${lineOf(name.getStart(source))}-${lineOf(whole.getEnd())} (${names.join(", ")})`);
  };
  const defaultKeyword = (node: ts.FunctionDeclaration | ts.ClassDeclaration): ts.Node | undefined =>
    node.modifiers?.find((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword);

  const visit = (node: ts.Node, scope: Scope): void => {
    let inner = scope;
    if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isEnumDeclaration(node)) {
      const name = node.name ?? (ts.isClassDeclaration(node) ? defaultKeyword(node) : undefined);
      if (name !== undefined) add("class", name, node);
      inner = "class";
    } else if (ts.isClassExpression(node)) {
      const [name, whole] = node.name ? [node.name, node] : assignmentOf(node, source);
      if (name !== undefined && whole !== undefined) add("class", name, whole);
      if (name !== undefined) inner = "class";
    } else if (ts.isFunctionDeclaration(node)) {
      const name = node.name ?? defaultKeyword(node);
      if (name !== undefined) add("function", name, node, node.parameters);
      inner = "function";
    } else if (ts.isMethodDeclaration(node) || ts.isAccessor(node)) {
      const isMember = scope === "class" && !ts.isObjectLiteralExpression(node.parent);
      if (!ts.isTypeLiteralNode(node.parent)) add(isMember ? "method" : "function", node.name, node, node.parameters);
      inner = "function";
    } else if (ts.isMethodSignature(node) && ts.isInterfaceDeclaration(node.parent)) {
      add("method", node.name, node, node.parameters);
    } else if (ts.isConstructorDeclaration(node)) {
      const keyword = node.getChildren(source).find((child) => child.kind === ts.SyntaxKind.ConstructorKeyword);
      add("method", keyword ?? node, node, node.parameters);
      inner = "function";
    } else if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) {
      const isField = scope === "class" && ts.isPropertyDeclaration(node.parent) && node.name === undefined;
      const [name, whole] = node.name ? [node.name, node] : assignmentOf(node, source);
      if (name !== undefined && whole !== undefined) add(isField ? "method" : "function", name, whole, node.parameters);
      if (name !== undefined) inner = "function";
    }
    ts.forEachChild(node, (child) => visit(child, inner));
  };
  visit(source, null);
  return found.sort();
}

/** What an anonymous function or class expression is assigned to: the name, and the node that stands for the definition. */
function assignmentOf(node: ts.Expression, source: ts.SourceFile): [(ts.Node | undefined)?, ts.Node?] {
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent)) {
    return parent.initializer === node ? [parent.name, parent] : [];
  }
  if (ts.isExportAssignment(parent) && !parent.isExportEquals) {
    return [parent.getChildren(source).find((child) => child.kind === ts.SyntaxKind.DefaultKeyword), parent];
  }
  if (!ts.isBinaryExpression(parent) || parent.right !== node) return [];
  if (parent.operatorToken.kind !== ts.SyntaxKind.EqualsToken) return [];
  const { left } = parent;
  if (ts.isIdentifier(left)) return [left, parent];
  if (ts.isPropertyAccessExpression(left)) return [left.name, parent];
  return ts.isElementAccessExpression(left) ? [left.argumentExpression, parent] : [];
}
