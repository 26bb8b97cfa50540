"""Imports point inwards: this keeps the three flows straight."""

from __future__ import annotations

import subprocess
import sys

import pytest

from meta.source import RECEIVER, SERVICE, Module, modules_under

MODULES = modules_under(SERVICE)
_CORE = {"domain", "errors", "runtime"}
_INSIDE = {"usecases", *_CORE}
_SET_UP = {"observability", "config"}

# What each part of the service may know besides itself. A new part needs a line here.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "runtime": set(),
    "domain": {"errors"},
    "usecases": _CORE,
    "config": {"domain", "errors"},
    "observability": {"config", *_CORE},
    "adapters": _INSIDE,
    "testing": _INSIDE,
    "worker": {"observability", *_INSIDE},
    "api": {"observability", *_INSIDE},
    "server": {"errors"},
    "bootstrap": {"adapters", "api", "worker", "server", *_SET_UP, *_INSIDE},
    "embed": {"api", "bootstrap", *_SET_UP, *_INSIDE},
    "asgi": {"bootstrap"},
    "worker_main": {"bootstrap", "config", "errors"},
    "cli": {"bootstrap", "server", "testing", *_SET_UP, *_INSIDE},
    "__main__": {"cli"},
}
PACKAGES = {module.package for module in MODULES} - {""}

# Generated messages stop where the wire stops.
KNOWS_THE_WIRE = {"api", "cli", "bootstrap"}
# Files that only who has the package imports. Nothing else of the receiver needs anything.
RECEIVER_NEEDS = {
    "jose": {"cryptography", "joserfc"},
    "frameworks.aiohttp": {"aiohttp"},
    "frameworks.django": {"django"},
    "frameworks.flask": {"flask"},
    "frameworks.starlette": {"starlette"},
    "pytest_plugin": {"pytest"},
    "testing_jose": {"cryptography", "joserfc"},
}
STANDARD_LIBRARY_ONLY = {"errors", "runtime", "domain", "usecases"}


def packages_imported(module: Module) -> set[str]:
    """The other parts of the service that a module imports."""
    seconds = {name.split(".")[1] for name in module.imports() if name.startswith("outrider.")}
    return seconds & (PACKAGES | MAY_IMPORT.keys()) - {module.package}


def foreign(module: Module) -> set[str]:
    """The top-level packages that a module imports from outside the standard library."""
    tops = {name.partition(".")[0] for name in module.imports()}
    return tops - sys.stdlib_module_names - {"outrider"}


def adapters_imported(module: Module) -> set[str]:
    """The adapters that an adapter imports besides itself."""
    paths = [name.split(".") for name in module.imports()]
    seconds = {path[2] for path in paths if path[:2] == ["outrider", "adapters"] and path[2:]}
    return seconds - set(module.name.split(".")[2:3])


def wrong(module: Module) -> set[str]:
    """What a module imports and must not."""
    offences = packages_imported(module) - MAY_IMPORT.get(module.package, set())
    if module.package in STANDARD_LIBRARY_ONLY:
        offences |= foreign(module)
    if module.package not in KNOWS_THE_WIRE:
        offences |= foreign(module) & {"outrider_api"}
    if module.package == "adapters":
        offences |= adapters_imported(module)
    return offences


def test_every_package_has_its_place_in_the_order():
    """
    A new package without a line in MAY_IMPORT would be outside every rule.
    """
    assert PACKAGES <= MAY_IMPORT.keys()


def test_imports_point_inwards():
    """
    A part knows the parts inside it, and nothing else.
    """
    found = {module.name: wrong(module) for module in MODULES}

    assert {} == {name: offences for name, offences in found.items() if offences}


@pytest.mark.parametrize(
    ("name", "text", "offence"),
    [
        ("outrider.domain.targets.target", "import outrider.usecases.targets.targets", "usecases"),
        ("outrider.domain.targets.target", "from outrider import runtime", "runtime"),
        ("outrider.domain.targets.target", "from ...usecases import targets", "usecases"),
        ("outrider.domain.targets.target", "import joserfc.jwk", "joserfc"),
        ("outrider.usecases.targets.targets", "from outrider.adapters.sql import rows", "adapters"),
        ("outrider.usecases.targets.targets", "def f():\n    import structlog", "structlog"),
        ("outrider.usecases.targets.targets", "from outrider_api.x import y", "outrider_api"),
        (
            "outrider.adapters.sql.stores.unit_of_work",
            "from outrider.adapters.keys import s",
            "keys",
        ),
        (
            "outrider.adapters.sql.stores.unit_of_work",
            "from outrider.adapters import crypto",
            "crypto",
        ),
        ("outrider.adapters.sql.stores.unit_of_work", "from ...crypto import sealing", "crypto"),
        (
            "outrider.adapters.sql.stores.unit_of_work",
            "from outrider.worker import worker",
            "worker",
        ),
        (
            "outrider.adapters.sql.stores.unit_of_work",
            "from outrider.config.loading import S",
            "config",
        ),
        ("outrider.worker.worker", "from outrider.bootstrap import open_app", "bootstrap"),
        ("outrider.worker.worker", "import outrider_api.outrider", "outrider_api"),
        ("outrider.api.app", "from outrider.adapters.http import client", "adapters"),
        ("outrider.bootstrap", "from outrider.cli import main", "cli"),
    ],
)
def test_an_import_that_points_outwards_is_found(name, text, offence):
    """
    The check itself must be able to fail, in each way of writing an import.
    """
    assert {offence} == wrong(Module(name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("outrider.domain.targets.target", "from outrider.domain.ids import TargetId\nimport json"),
        (
            "outrider.domain.targets.target",
            "from .ids import TargetId\nfrom outrider import errors",
        ),
        (
            "outrider.adapters.sql.stores.unit_of_work",
            "from outrider import __version__\nimport structlog",
        ),
        (
            "outrider.adapters.sql.stores.unit_of_work",
            "from outrider.adapters.sql import rows\nfrom . import a",
        ),
        ("outrider.api.app", "from outrider_api.x import y\nfrom outrider.usecases import z"),
        ("outrider.cli.main", "from outrider.bootstrap import serve"),
    ],
)
def test_an_import_that_points_inwards_is_none_of_our_business(name, text):
    """
    A rule that forbids too much is soon switched off.
    """
    assert set() == wrong(Module(name, text))


def test_a_packages_own_init_resolves_its_dots():
    """
    In an `__init__` one dot is the package, elsewhere it is the package around the module.
    """
    assert {"outrider.domain", "outrider.domain.ids"} == Module(
        "outrider.domain", "from . import ids", is_package=True
    ).imports()


IMPORT_EACH_ALONE = """
import importlib, os, sys

def tried_in_a_child(names):
    if os.fork():
        return os.wait()
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException as failure:
            print(f"{name}: {failure!r}", flush=True)
    os._exit(0)

# Other people's packages, and what is generated, once for all: they are slow, and no part of the
# question.
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # a class in a module, or a package that is optional

# What the first child compiles nobody compiles again.
sys.dont_write_bytecode, sys.pycache_prefix = False, sys.argv[2]
tried_in_a_child(sys.argv[3].split())
for name in sys.argv[4].split():
    tried_in_a_child([name])
"""


def in_circles(modules: list[Module]) -> set[str]:
    """Those that are reached again from themselves by what runs while they are imported.

    A package is imported before what is in it.
    """
    names = {module.name for module in modules}
    leads_to = {
        module.name: {
            with_package
            for name in {module.name, *module.imports_at_once()}
            for with_package in with_packages(name)
            if with_package in names and with_package != module.name
        }
        for module in modules
    }
    return {name for name in names if name in reached(name, leads_to)}


def with_packages(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def reached(start: str, leads_to: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [*leads_to[start]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += leads_to[name]
    return found


def test_every_module_can_be_imported_first(tmp_path):
    """
    A circle of imports fails only for a program that enters it at the wrong place.

    A module that is in none is imported after all that it needs, in any order: once is enough.
    """
    modules = [*MODULES, *modules_under(RECEIVER)]
    ours = ("outrider.", "outrider_receiver")
    others = {name for module in modules for name in module.imports() if not name.startswith(ours)}
    circles = in_circles(modules) - {"outrider_receiver.__main__"}
    names = {module.name for module in modules if module.package != "__main__"}
    tried = subprocess.run(
        [
            *(sys.executable, "-c", IMPORT_EACH_ALONE, " ".join(others), tmp_path),
            *(" ".join(sorted(group)) for group in ({*names, "outrider.not_there"}, circles)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    expected = (
        """outrider.not_there: ModuleNotFoundError("No module named 'outrider.not_there'")\n"""
    )
    assert expected == tried.stdout
    # The package of receivers names its modules, and they are in it.
    assert "outrider_receiver" in circles


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"a": "import b", "b": "import c", "c": ""}, set()),
        ({"a": "import b", "b": "import c", "c": "import a", "d": "import a"}, {"a", "b", "c"}),
        ({"a": "from b import x", "b": "def f():\n    import a"}, set()),
        ({"a": "import b", "b": "if TYPE_CHECKING:\n    from a import A"}, set()),
        ({"a": "import b", "b": "if os.name == 'nt':\n    import a"}, {"a", "b"}),
        ({"a": "class A:\n    import b", "b": "try:\n    import a\nexcept E: ..."}, {"a", "b"}),
        ({"p": "from p import a", "p.a": "import json", "q": "import p.a"}, {"p", "p.a"}),
        ({"p": "", "p.a": "from p import b", "p.b": "from .a import x"}, {"p.a", "p.b"}),
        ({"p": "", "p.a": "from . import b", "p.b": ""}, set()),
    ],
    # Sets come in another order in every process; several collect the same tests.
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_a_circle_is_found_and_nothing_else(texts, expected):
    """
    What is not seen here is not tried.
    """
    packages = {name.partition(".")[0] for name in texts if "." in name}
    modules = [Module(name, text, name in packages) for name, text in texts.items()]

    assert expected == in_circles(modules)


def test_the_receiver_needs_nothing_but_the_standard_library():
    """
    It is installed into other people's services: each dependency would be theirs to update.
    """
    script = (
        "import sys; before = set(sys.modules)\n"
        "import outrider_receiver, outrider_receiver.testing\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert {"outrider_receiver"} == set(run.stdout.split()) - sys.stdlib_module_names


def test_the_receiver_imports_nothing_of_the_service():
    """
    It is a separate distribution, and must stay one.
    """
    needed = {
        module.name.removeprefix("outrider_receiver."): foreign(module) - {"outrider_receiver"}
        for module in modules_under(RECEIVER)
    }

    assert RECEIVER_NEEDS == {name: tops for name, tops in needed.items() if tops}
    assert not any(
        name.split(".")[0] == "outrider"
        for module in modules_under(RECEIVER)
        for name in module.imports()
    )
