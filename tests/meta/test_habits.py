"""Rules that a review would have to repeat, as programs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from meta.source import RECEIVER, SERVICE, Module, modules_under

MODULES = [*modules_under(SERVICE), *modules_under(RECEIVER)]

MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400
# Names of drawers, not of things: what is put there belongs to another package.
DRAWERS = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
DOCUMENTED = (
    "outrider.domain.",
    "outrider.errors",
    "outrider.usecases.ports.",
    "outrider.api.services.",
    "outrider.embed",
    "outrider_receiver",
)
# Where a docstring also names the errors of a function.
RAISING = (
    "outrider.domain.",
    "outrider.usecases.ports.",
    "outrider.api.services.",
    "outrider.embed",
    "outrider_receiver",
)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def long_functions(module: Module) -> Iterator[str]:
    for function in module.functions():
        lines = function.end_lineno - function.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield f"{module.name}.{function.name}: {lines} lines"


def long_modules(module: Module) -> Iterator[str]:
    lines = module.text.count("\n")
    if lines > MAX_MODULE_LINES:
        yield f"{module.name}: {lines} lines"


def drawers(module: Module) -> Iterator[str]:
    if DRAWERS & {part.strip("_") for part in module.name.split(".")}:
        yield module.name


def bare_keys(module: Module) -> Iterator[str]:
    """Variables, parameters and fields called `key`; passing one as `key=` is another's name."""
    for node in ast.walk(module.tree):
        is_variable = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        name = node.id if is_variable else getattr(node, "arg", None)
        if name == "key" and not isinstance(node, ast.keyword):
            yield f"{module.name}:{node.lineno}"


def undocumented(module: Module) -> Iterator[str]:
    """Public classes, functions and methods without a docstring."""
    if module.name.startswith(DOCUMENTED):
        for name, node in definitions(module.tree, module.name):
            if not ast.get_docstring(node) and not is_bare(node):
                yield name


def definitions(parent: ast.AST, path: str) -> Iterator[tuple[str, Definition]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield f"{path}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, f"{path}.{node.name}")


def silent_errors(module: Module) -> Iterator[str]:
    """Public functions that raise, without a word about it in their docstrings."""
    if module.name.startswith(RAISING) and not module.name.rpartition(".")[2].startswith("_"):
        for name, node in definitions(module.tree, module.name):
            docstring = ast.get_docstring(node) or ""
            if raises(node) and not re.search(r"\b[Rr]aises?\b", docstring):
                yield name


def raises(node: Definition) -> bool:
    """Whether a function raises an error itself, not in a function inside it."""
    is_function = not isinstance(node, ast.ClassDef)
    return is_function and any(isinstance(part, ast.Raise) and part.exc for part in parts_of(node))


def parts_of(node: ast.AST) -> Iterator[ast.AST]:
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, Definition | ast.Lambda):
            yield part
            yield from parts_of(part)


def is_bare(node: Definition) -> bool:
    """Whether the body is `...`: a protocol's property, or an overload. Their types say it all."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    return ast.unparse(node.body) == "..." and bool({"property", "overload"} & decorators)


def offences(rule) -> list[str]:
    return [offence for module in MODULES for offence in rule(module)]


def test_no_function_is_longer_than_a_screen():
    """
    Short functions separate the tidy projects from the others more than anything else.
    """
    assert [] == offences(long_functions)


def test_no_module_is_longer_than_a_sitting():
    """
    The one long file of a project is the one that contributors fear.
    """
    assert [] == offences(long_modules)


def test_no_module_is_a_drawer():
    """
    They grow for ever. Name the concept, and put the code into the package that owns it.
    """
    assert [] == offences(drawers)


def test_nothing_is_called_just_key():
    """
    There are signing keys, web keys, public keys and sealing keys: mixing them up is a leak.
    """
    assert [] == offences(bare_keys)


def test_what_others_rely_on_says_what_they_may_rely_on():
    """
    The domain, the errors, the ports and the receiver are read by developers who build on them.
    """
    assert [] == offences(undocumented)


def test_docstrings_name_the_errors():
    """
    A signature in Python does not say what a function raises.
    """
    assert [] == offences(silent_errors)


@pytest.mark.parametrize(
    ("rule", "text", "offence"),
    [
        (long_functions, "def f():\n" + "    a = 1\n" * 60, "outrider.domain.a.f: 61 lines"),
        (long_functions, "class C:\n async def f(self):\n" + "  a = 1\n" * 60, "61 lines"),
        (long_modules, "a = 1\n" * 401, "outrider.domain.a: 401 lines"),
        (bare_keys, "key = 1", "outrider.domain.a:1"),
        (bare_keys, "\nfor key, value in (): ...", "outrider.domain.a:2"),
        (bare_keys, "a = {key: 1 for key in ()}", "outrider.domain.a:1"),
        (bare_keys, "def f(*, key=None): ...", "outrider.domain.a:1"),
        (bare_keys, "class C:\n    key: str", "outrider.domain.a:2"),
        (bare_keys, "f = lambda key: 1", "outrider.domain.a:1"),
        (undocumented, "class C:\n    'x'\n    def f(self): ...", "outrider.domain.a.C.f"),
        (undocumented, "async def f(): ...", "outrider.domain.a.f"),
        (undocumented, "class C: ...", "outrider.domain.a.C"),
        (undocumented, "class C:\n 'x'\n @property\n def f(self): return 1", "a.C.f"),
        (silent_errors, "def f():\n 'x'\n raise A", "outrider.domain.a.f"),
        (silent_errors, "class C:\n async def f(self):\n  'x'\n  if 1: raise A('b')", "a.C.f"),
    ],
)
def test_an_offence_is_found(rule, text, offence):
    """
    A rule whose check cannot fail is a wish.
    """
    assert [found.endswith(offence) for found in rule(Module("outrider.domain.a", text))] == [True]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (long_functions, "def f():\n" + "    a = 1\n" * 59),
        (long_modules, "a = 1\n" * 400),
        (bare_keys, "sorted(a, key=len)\nsigning_key = a['key']\nprint(a.key)"),
        (undocumented, "class C:\n 'x'\n @property\n def f(self): ..."),
        (undocumented, "@overload\ndef f(a: int) -> int: ..."),
        (silent_errors, "def f():\n 'Raise `A` if so.'\n raise A"),
        (silent_errors, "def f():\n def g(): raise A\n try: pass\n except B: raise"),
        (undocumented, "def _f(): ...\nclass C:\n    'x'\n    def __len__(self): ..."),
    ],
)
def test_what_is_no_offence_is_left_alone(rule, text):
    """
    A rule that forbids too much is soon switched off.
    """
    assert [] == list(rule(Module("outrider.domain.a", text)))


@pytest.mark.parametrize("name", ["outrider.domain.utils", "outrider.common.a", "outrider._base"])
def test_a_drawer_is_found(name):
    """
    Wherever in the path, and with an underscore too.
    """
    assert [name] == list(drawers(Module(name, "")))


def test_all_sources_are_read():
    """
    If the folders moved, every rule above would hold for nothing.
    """
    names = {module.name for module in MODULES}

    assert {
        "outrider.errors",
        "outrider.domain.routing.router",
        "outrider_receiver._verify",
    } <= names
