"""The source of the project as syntax trees, for the tests that read it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SERVICE = REPOSITORY / "src" / "outrider"
RECEIVER = REPOSITORY / "packages" / "receiver" / "src" / "outrider_receiver"


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, and its text."""

    name: str
    text: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.text)

    @property
    def package(self) -> str:
        """The part of the service it belongs to: `domain` for `outrider.domain.targets.target`."""
        return self.name.split(".")[1] if "." in self.name else ""

    def imports(self) -> set[str]:
        """The dotted names it imports, wherever in the file.

        `from a import b` is `a` and `a.b`: whether `b` is a module cannot be seen here.
        """
        return self._named_by(ast.walk(self.tree))

    def imports_at_once(self) -> set[str]:
        """Those that happen while it is imported: none in functions, none for type checkers."""
        return self._named_by(_run_at_once(self.tree))

    def _named_by(self, nodes: Iterable[ast.AST]) -> set[str]:
        names: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
        return names

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        # From within a package's __init__ the first dot is the package itself.
        above = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*above, node.module] if node.module else above)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def modules_under(package: Path) -> list[Module]:
    """Every module of an installed package, by name."""
    modules = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return modules


def _run_at_once(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        is_later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not is_later and not is_for_types:
            yield child
            yield from _run_at_once(child)


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)
