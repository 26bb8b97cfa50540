"""PostgreSQL keeps every contract that is shipped, also those that are added later."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from outrider.testing import contracts
from outrider.testing.contracts.store import StoreContract


class OnPostgres:
    @pytest.fixture
    def store(self, postgres_store):
        return postgres_store


def every_contract():
    """Every class of `outrider.testing.contracts` that has tests."""
    for module in pkgutil.iter_modules(contracts.__path__, f"{contracts.__name__}."):
        importlib.import_module(module.name)
    found, looked_at = [], [StoreContract]
    while looked_at:
        kinds = looked_at.pop().__subclasses__()
        looked_at += kinds
        found += [
            kind
            for kind in kinds
            if kind.__module__.startswith(contracts.__name__)
            and any(name.startswith("test_") for name in vars(kind))
        ]
    return sorted(found, key=lambda kind: kind.__name__)


for _contract in every_contract():
    _name = f"Test{_contract.__name__.removesuffix('Contract')}"
    globals()[_name] = type(_name, (OnPostgres, _contract), {"__module__": __name__})


def test_there_are_contracts():
    """
    Else everything above would pass.
    """
    assert len(every_contract()) > 20
