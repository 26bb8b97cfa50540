"""ZITADEL's own client library for Python, imported when a test uses it: its import takes seconds."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from types import ModuleType
from typing import Any


@cache
def _imported(name: str) -> ModuleType:
    with warnings.catch_warnings():
        # The library imports a part of its dependency that is deprecated; it is the library's to
        # fix. The dependency adds its own filter before all others when it is imported.
        importlib.import_module("authlib.deprecate")
        warnings.filterwarnings("ignore", message="authlib.jose module is deprecated")
        return importlib.import_module(name)


class _Late:
    """A module that is imported when one of its names is read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if not name[0].isupper():
            # pytest asks everything in a module of tests whether it is a fixture.
            raise AttributeError(name)
        return getattr(_imported(self._name), name)


zitadel: Any = _Late("zitadel_client")
models: Any = _Late("zitadel_client.models")
