#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists the test files that start no server, one a line, for `make check`.

A file starts one if it uses something of the module ``servers``, itself or by way of another module
of the tests, or takes a fixture of a conftest.py that does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = tuple(
    ROOT / folder for folder in ("scripts/tests", "bindings/cpp/tests", "bindings/python/tests")
)
#: Where helpers of the tests stand, besides the folders of tests.
HELPERS = (ROOT / "bindings/python/tests/chaos", ROOT / "bindings/python/benchmarks")
SERVERS = "servers"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    """All functions of a file."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def parameters(function: Function) -> set[str]:
    """The names of what a function takes."""
    arguments = function.args
    return {one.arg for one in arguments.posonlyargs + arguments.args + arguments.kwonlyargs}


def named(node: ast.AST) -> set[str]:
    """The names that stand in a piece of code."""
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def imports(statement: ast.stmt) -> Iterator[tuple[str, str | None]]:
    """The modules that a statement imports, and the names from them; None: all of it."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module.partition(".")[0], alias.name) for alias in node.names)


def defined(statement: ast.stmt) -> set[str]:
    """The names that a statement gives a meaning; ``""`` if there are none."""
    if isinstance(statement, Function | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return named(statement)
    return {""}


class Files:
    """Files of tests, and what they need."""

    def __init__(self, folders: tuple[Path, ...], helpers: tuple[Path, ...]) -> None:
        self.folders = folders
        self.modules = {
            path.stem: path for folder in (*folders, *helpers) for path in folder.glob("*.py")
        }
        self.trees: dict[Path, ast.Module] = {}
        self.fixtures = {
            name
            for folder in folders
            if (folder / "conftest.py").is_file()
            for name in self.server_fixtures(self.tree(folder / "conftest.py"))
        }

    def tree(self, path: Path) -> ast.Module:
        """The parsed file, which is kept."""
        if path not in self.trees:
            self.trees[path] = ast.parse(path.read_text(), str(path))
        return self.trees[path]

    def server_fixtures(self, conftest: ast.Module) -> set[str]:
        """The fixtures that name what comes from ``servers``, or take another one that does."""
        starts = {
            alias.asname or alias.name
            for node in ast.walk(conftest)
            if isinstance(node, ast.ImportFrom) and node.module == SERVERS
            for alias in node.names
        }
        found: set[str] = set()
        while True:
            more = {
                function.name
                for function in functions(conftest)
                if named(function) & starts or parameters(function) & found
            }
            if more <= found:
                return found
            found |= more

    def definitions(self, path: Path) -> dict[str, list[ast.stmt]]:
        """What a file defines or imports at its top, by name; other statements under ``""``."""
        found: dict[str, list[ast.stmt]] = {}
        for node in self.tree(path).body:
            for name in defined(node):
                found.setdefault(name, []).append(node)
        return found

    def starts_server(self, path: Path) -> bool:
        """Follows every name that a test file uses to where it is defined."""
        takes = {name for function in functions(self.tree(path)) for name in parameters(function)}
        if takes & self.fixtures:
            return True
        ahead = [(path, name) for name in self.definitions(path)]
        seen = set(ahead)
        while ahead:
            file, name = ahead.pop()
            for node in self.definitions(file).get(name, []):
                uses = [(file, other) for other in named(node)]
                for module, imported in imports(node):
                    if module == SERVERS:
                        return True
                    if module in self.modules:
                        source = self.modules[module]
                        if imported is None or imported == "*":
                            uses += [(source, other) for other in self.definitions(source)]
                        else:
                            uses.append((source, imported))
                ahead += [use for use in uses if use not in seen]
                seen.update(uses)
        return False

    def without_server(self) -> list[Path]:
        """The test files that start none."""
        files = (path for folder in self.folders for path in sorted(folder.glob("test_*.py")))
        return [path for path in files if not self.starts_server(path)]


def main() -> None:
    """Prints the files of this checkout."""
    for path in Files(FOLDERS, HELPERS).without_server():
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
