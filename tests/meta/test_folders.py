"""The folders show the flows: small, and each imports only those that come before it."""

from __future__ import annotations

from collections import Counter

from meta.source import SERVICE, Module, modules_under

MODULES = modules_under(SERVICE)
MAX_MODULES = 12

# Folders with more modules than MAX_MODULES, each with the reason.
LARGER: dict[str, str] = {}

# The folders of each layer, inner first: a folder imports folders before it, never one after it.
# Folders in one tuple do not import each other.
ORDER: dict[str, list[tuple[str, ...]]] = {
    "domain": [
        ("domain", "domain.formats", "domain.net"),
        ("domain.access", "domain.targets"),
        ("domain.calls", "domain.events"),
        ("domain.delivery", "domain.routing"),
        ("domain.interception",),
    ],
    "usecases": [
        ("usecases.ports",),
        ("usecases",),
        ("usecases.calls", "usecases.routing"),
        ("usecases.access", "usecases.interception"),
        ("usecases.delivery",),
        ("usecases.targets",),
    ],
    "adapters": [
        ("adapters", "adapters.crypto", "adapters.tunnel"),
        (
            "adapters.http.connect",
            "adapters.sql",
            "adapters.sql.schema",
            "adapters.sql.schema.migrations_pg",
            "adapters.sql.schema.migrations_sql",
        ),
        (
            "adapters.http",
            "adapters.sql.access",
            "adapters.sql.delivery",
            "adapters.sql.postgres",
        ),
        ("adapters.sql.targets",),
        ("adapters.sql.stores",),
    ],
    "api": [
        ("api.asgi", "api.services", "api.services.messages", "api.validation"),
        ("api.rpc",),
        ("api.rest", "api.services.outrider", "api.services.zitadel"),
        ("api.direct", "api.endpoints"),
        ("api",),
    ],
    "cli": [
        ("cli.catalogue", "cli.commands", "cli.terminal"),
        ("cli.remote",),
        (
            "cli.commands.access",
            "cli.commands.routing",
            "cli.commands.targets",
            "cli.doctor",
            "cli.receive",
        ),
        ("cli.commands.delivery",),
        ("cli.dashboard", "cli.demo"),
        ("cli.commands.server", "cli.dev"),
        ("cli.commands.local",),
        ("cli",),
    ],
    "embed": [("embed",), ("embed.asgi",), ("embed.grpc",)],
}


def folder_of(module: Module) -> str:
    """The package that a module lies in: `domain.targets` for `outrider.domain.targets.target`."""
    parts = module.name.split(".")[1:]
    return ".".join(parts if module.is_package else parts[:-1])


FOLDERS = {folder_of(module) for module in MODULES} - {""}


def layer_of(folder: str) -> str:
    return folder.partition(".")[0]


def rank_of(folder: str) -> int:
    """Where a folder stands in the order of its layer."""
    ranks = ORDER[layer_of(folder)]
    return next(rank for rank, folders in enumerate(ranks) if folder in folders)


def folders_imported(module: Module) -> set[str]:
    """The other folders of the same layer that a module imports."""
    own = folder_of(module)
    names = (name.removeprefix("outrider.") for name in module.imports())
    found = {
        next((folder for folder in (name, name.rpartition(".")[0]) if folder in FOLDERS), "")
        for name in names
    }
    return {folder for folder in found - {own, ""} if layer_of(folder) == layer_of(own)}


def outward(module: Module) -> set[str]:
    """The folders that a module imports and must not: those not before its own."""
    own = folder_of(module)
    if layer_of(own) not in ORDER:
        return set()
    return {folder for folder in folders_imported(module) if rank_of(folder) >= rank_of(own)}


def test_every_folder_of_an_ordered_layer_has_its_place():
    """
    A new folder that is not in the order would be outside the rule.
    """
    ordered = [folder for ranks in ORDER.values() for folders in ranks for folder in folders]
    expected = {folder for folder in FOLDERS if layer_of(folder) in ORDER}

    assert sorted(expected) == sorted(ordered)


def test_folders_import_in_one_direction():
    """
    A reader who follows a flow never comes back to a folder by its imports.
    """
    found = {module.name: outward(module) for module in MODULES}

    assert {} == {name: offences for name, offences in found.items() if offences}


def test_folders_are_small():
    """
    About a dozen files are seen at a glance; more need a folder between.
    """
    sizes = Counter(folder_of(module) for module in MODULES if not module.is_package)

    assert LARGER.keys() == {folder for folder, size in sizes.items() if size > MAX_MODULES}


def test_an_import_against_the_order_is_found():
    """
    The check itself must be able to fail.
    """
    module = Module("outrider.domain.net.x", "from outrider.domain.targets.target import Target")

    assert {"domain.targets"} == outward(module)
