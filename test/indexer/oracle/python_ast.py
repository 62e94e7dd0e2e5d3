"""What CPython's own parser finds in files: one JSON object a line for each path on standard input."""

import ast
import json
import sys
import warnings

warnings.simplefilter("ignore")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCHES = (
    ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.ExceptHandler, ast.With, ast.IfExp, ast.match_case,
)


def complexity(function):
    total = 1
    for statement in [function.args, function.returns, *function.body]:
        for node in ast.walk(statement) if statement else ():
            if isinstance(node, BRANCHES):
                total += 1
            elif isinstance(node, ast.BoolOp):
                total += len(node.values) - 1
    return total


def parameters(function, kind):
    spec = function.args
    names = [argument.arg for argument in spec.posonlyargs + spec.args]
    if kind == "method" and names[:1] == ["self"]:
        del names[0]
    if spec.vararg:
        names.append(spec.vararg.arg)
    names += [argument.arg for argument in spec.kwonlyargs]
    if spec.kwarg:
        names.append(spec.kwarg.arg)
    return names


def definitions(tree):
    found = []

    def visit(node, scope):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                found.append({
                    "kind": "class", "name": child.name, "line": child.lineno, "endLine": child.end_lineno,
                    "docstring": ast.get_docstring(child, clean=False), "parameters": [], "complexity": 0,
                    "bases": len(child.bases), "hasPass": False,
                })
                visit(child, child)
            elif isinstance(child, FUNCTIONS):
                kind = "method" if isinstance(scope, ast.ClassDef) else "function"
                found.append({
                    "kind": kind, "name": child.name, "line": child.lineno, "endLine": child.end_lineno,
                    "docstring": ast.get_docstring(child, clean=False), "parameters": parameters(child, kind),
                    "complexity": complexity(child), "bases": 0,
                    "hasPass": any(isinstance(statement, ast.Pass) for statement in child.body),
                })
                visit(child, child)
            else:
                visit(child, scope)

    visit(tree, None)
    return sorted(found, key=lambda item: (item["line"], item["name"]))


def imports(tree):
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(["import", alias.name, alias.name, alias.asname, node.lineno])
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = "." * node.level + (node.module or "")
                found.append(["import_from", module, alias.name, alias.asname, node.lineno])
    return sorted(found, key=lambda item: item[4])


def calls(tree):
    """Names and lines of what is called, where it has a name."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            found.append([node.func.end_lineno, name])
    return sorted(found)


for line in sys.stdin:
    path = line.rstrip("\n")
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(), path)
        answer = {
            "path": path, "docstring": ast.get_docstring(tree, clean=False), "definitions": definitions(tree),
            "imports": imports(tree), "calls": calls(tree),
        }
    except (SyntaxError, ValueError) as error:
        answer = {"path": path, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))
