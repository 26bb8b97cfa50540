"""The test modules whose rows make up the one table of calls."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

_TESTS = Path(__file__).parents[2]
_FOLDERS = ("api/calls", "api/services/zitadel", "api/services/outrider")


def modules_with_rows(*without: str) -> Iterator[ModuleType]:
    """Import every test module of the table, except those `without` a row, in order of path."""
    for folder in _FOLDERS:
        for path in sorted(_TESTS.joinpath(folder).glob("test_*.py")):
            if path.stem not in without:
                yield import_module(f"{folder.replace('/', '.')}.{path.stem}")
