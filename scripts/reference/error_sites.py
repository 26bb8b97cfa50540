"""Every place in the source that makes an error for a reader, and the error made there.

The expression of the place is evaluated: constants are what they are, and a value that only a
running process knows is a placeholder, such as `{target_id}`. A function that makes an error of its
parameters is entered with the arguments of each of its callers.
"""

from __future__ import annotations

import ast
import builtins
import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import outrider
from outrider import errors

SOURCE = Path(outrider.__file__).parent
OF_CALLERS = frozenset(
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.OutriderError)
)
OTHERS = frozenset(
    {
        "BadParameter",
        "BadRequestError",
        "CommandError",
        "GrantError",
        "InvalidUrl",
        "NotJsonError",
        "SettingsError",
        "StartupError",
    }
)
_SENT = "send_error"
_DEPTH = 3
# A function that makes errors of its parameters is entered when it is no longer than this.
_MAX_LINES = 30


class Placeholder(str):
    """A value that is known at run time only: whatever is done with it, it stays its name."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder(f"{{{name.strip('_')}}}")

    def __getitem__(self, _index: Any) -> Placeholder:
        return self

    def __iter__(self) -> Iterator[str]:
        return iter((self,))

    def __call__(self, *_arguments: Any, **_options: Any) -> Placeholder:
        """Return a placeholder, for any arguments."""
        return self

    def __format__(self, _spec: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"'{self}'" if self.startswith("{") else str.__repr__(self)

    def __add__(self, other: Any) -> Any:
        return str.__add__(self, other) if isinstance(other, str) else self

    def _is_less(self, _other: Any) -> bool:
        return False

    __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __call__
    __lt__ = __le__ = __gt__ = __ge__ = _is_less


@dataclass(frozen=True)
class Made:
    """An error as its place makes it; `variant` tells two of one place apart."""

    path: str
    line: int
    error: Any = field(compare=False)
    name: str


@dataclass(frozen=True)
class Sent:
    """An answer that no exception stands for: `text` with a code of Connect."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Place:
    """An expression that makes an error, in the function around it."""

    path: str
    call: ast.Call
    around: ast.FunctionDef | ast.AsyncFunctionDef | None


@cache
def made_errors() -> Sequence[Made]:
    """Every error, in the order of files and lines."""
    found: dict[tuple[str, int, str], Made] = {}
    for place in places():
        for made in _made_at(place):
            found.setdefault((made.path, made.line, _texts(made.error)), made)
    return sorted(found.values(), key=lambda made: (made.path, made.line))


@cache
def places() -> tuple[_Place, ...]:
    """Every place, whether or not its error can be made here."""
    return tuple(
        place
        for name in sorted(OF_CALLERS | OTHERS | {_SENT})
        for place in _calls_by_name().get(name, ())
        if name != _SENT
        or (place.path.startswith("api/") and isinstance(place.call.func, ast.Name))
    )


@cache
def _modules() -> Mapping[str, ast.Module]:
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }


@cache
def _calls_by_name() -> Mapping[str, Sequence[_Place]]:
    """Every call of the source by the name that it calls, in the order of files and lines."""
    found: dict[str, list[_Place]] = {}
    for path, module in _modules().items():
        for call, around in _calls(module, None):
            found.setdefault(_called(call.func), []).append(_Place(path, call, around))
    return found


def _calls(node: ast.AST, around: Any) -> Iterator[tuple[ast.Call, Any]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, around
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _calls(child, child if is_function else around)


def _called(called: ast.expr) -> str:
    if isinstance(called, ast.Name):
        return called.id
    return called.attr if isinstance(called, ast.Attribute) else ""


def _made_at(place: _Place) -> Iterator[Made]:
    for arguments in _entries(place, _DEPTH):
        for call in _variants(place.call):
            names = _Names(place.path, place.around, arguments)
            for chosen, named in _choices(call, names):
                error = eval(_compiled(chosen), names.module_globals, named)  # noqa: S307 - our own source
                yield Made(place.path, place.call.lineno, error, type(error).__name__)


def _choices(call: ast.Call, names: _Names) -> Iterator[tuple[ast.Call, _Names]]:
    """The call for each key of the tables that it looks up in, where a running process knows the key."""
    looked_up = {
        ast.unparse(node.slice): table
        for node in ast.walk(call)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and isinstance(table := names.module_globals.get(node.value.id), dict)
        and isinstance(_value(node.slice, names), Placeholder)
    }
    if not looked_up:
        yield call, names
        return
    ((expression, table),) = looked_up.items()
    for chosen in table:
        named = copy.copy(names)
        named[_CHOSEN] = chosen
        yield _Replaced(expression).visit(copy.deepcopy(call)), named


_CHOSEN = "chosen_key"


class _Replaced(ast.NodeTransformer):
    """Puts what was chosen in place of every expression that reads so."""

    def __init__(self, expression: str) -> None:
        self._expression = expression

    def visit(self, node: ast.AST) -> Any:
        """Replace it, or what is in it."""
        if isinstance(node, ast.expr) and ast.unparse(node) == self._expression:
            return ast.Name(_CHOSEN, ast.Load())
        return self.generic_visit(node)


def _entries(place: _Place, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the values of the enclosing function's parameters: one for each caller, where they matter."""
    callers = list(_callers(place)) if depth and _uses_parameters(place) else []
    if not callers or place.around is None:
        yield {}
        return
    for caller in callers:
        for arguments in _entries(caller, depth - 1):
            for call in _variants(caller.call):
                names = _Names(caller.path, caller.around, arguments)
                yield _bound(place.around, call, names)


def _uses_parameters(place: _Place) -> bool:
    if place.around is None or not _is_maker(place):
        return False
    parameters = {argument.arg for argument in _parameters(place.around)}
    return any(
        isinstance(node, ast.Name) and node.id in parameters for node in ast.walk(place.call)
    )


def _is_maker(place: _Place) -> bool:
    """Return whether the function makes errors and does little else."""
    around = place.around
    if around is None:
        return False
    return (
        (around.end_lineno or 0) - around.lineno <= _MAX_LINES and around.name.startswith("_")
    ) or (around.name.endswith(("_not_found", "_denied", "_condition", "_failed")))


def _parameters(function: Any) -> list[ast.arg]:
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


def _callers(place: _Place) -> Iterator[_Place]:
    name = place.around.name if place.around else ""
    is_private = name.startswith("_")
    for caller in _calls_by_name().get(name, ()):
        if caller.around is not place.around and not (is_private and caller.path != place.path):
            yield caller


def _bound(function: Any, call: ast.Call, names: _Names) -> Mapping[str, Any]:
    parameters = [parameter.arg for parameter in _parameters(function)]
    if parameters[:1] in (["self"], ["cls"]):
        parameters = parameters[1:]
    bound: dict[str, Any] = {}
    for name, argument in zip(parameters, call.args, strict=False):
        if not isinstance(argument, ast.Starred):
            bound[name] = _value(argument, names)
    for keyword in call.keywords:
        if keyword.arg:
            bound[keyword.arg] = _value(keyword.value, names)
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults = function.args.defaults
    with_default = zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
    for parameter, default in with_default if defaults else ():
        bound.setdefault(parameter.arg, _value(default, names))
    return bound


def _value(expression: ast.expr, names: _Names) -> Any:
    try:
        return eval(_compiled(expression), names.module_globals, names)  # noqa: S307 - our own source
    except Exception:  # noqa: BLE001 - what cannot be known here is named
        return Placeholder(f"{{{ast.unparse(expression)}}}")


def _compiled(expression: ast.expr) -> Any:
    return compile(ast.fix_missing_locations(ast.Expression(expression)), "<error>", "eval")


def _safe(name: str, value: Any) -> Any:
    """Constants and classes as they are; no function runs, and nothing of this machine is read."""
    if isinstance(value, ModuleType) and value.__name__ in sys.stdlib_module_names:
        return Placeholder(f"{{{name}}}")
    if callable(value) and not isinstance(value, type):
        return lambda *arguments, **_options: next(
            (given for given in arguments if isinstance(given, str)), Placeholder(f"{{{name}}}")
        )
    return value


def _sent(_scope: Any, _send: Any, code: Any, text: str, **_options: Any) -> Sent:
    return Sent(getattr(code, "value", str(code)), text)


class _Names(dict[str, Any]):
    """The meaning of names in a place: an argument, a constant of the module, or a placeholder."""

    def __init__(self, path: str, around: Any, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        module = "outrider." + path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self.module_globals = vars(import_module(module))
        self._around = around
        self[_SENT] = _sent
        self["len"] = lambda value: (
            Placeholder("{number}") if isinstance(value, Placeholder) else len(value)
        )

    def __missing__(self, name: str) -> Any:
        if name == "self":
            return Placeholder("{self}")
        assigned = self._assigned(name)
        if assigned is not None:
            return assigned
        if name in self._locals():
            return Placeholder(f"{{{name}}}")
        if name in self.module_globals:
            return _safe(name, self.module_globals[name])
        return getattr(builtins, name, Placeholder(f"{{{name}}}"))

    def _locals(self) -> set[str]:
        if self._around is None:
            return set()
        stored = (
            node.id
            for node in ast.walk(self._around)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        )
        return {*stored, *(parameter.arg for parameter in _parameters(self._around))}

    def _assigned(self, name: str) -> Any:
        """The only value that the function gives to the name, if that is known before it runs."""
        if self._around is None:
            return None
        values = [
            node.value
            for node in ast.walk(self._around)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        ]
        if len(values) != 1:
            return None
        if isinstance(values[0], ast.JoinedStr):
            return eval(_compiled(values[0]), self.module_globals, self)  # noqa: S307 - our own source
        try:
            constant = eval(_compiled(values[0]), {**self.module_globals})  # noqa: S307 - our own source
        except Exception:  # noqa: BLE001 - it depends on what runs
            return None
        return constant if isinstance(constant, str) else None


def _variants(call: ast.Call) -> Iterator[ast.Call]:
    """The call with one side of each condition, then with the other."""
    conditions = [node for node in ast.walk(call) if isinstance(node, ast.IfExp)]
    if not conditions:
        yield call
        return
    for takes_first in (True, False):
        yield _Choice(takes_first=takes_first).visit(copy.deepcopy(call))


class _Choice(ast.NodeTransformer):
    def __init__(self, *, takes_first: bool) -> None:
        self._takes_first = takes_first

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        return self.visit(node.body if self._takes_first else node.orelse)


def _texts(error: Any) -> str:
    return f"{error} {getattr(error, 'reason', '')} {getattr(error, 'hint', '')}"
