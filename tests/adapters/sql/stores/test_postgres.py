"""PostgreSQL keeps every contract, also those that are added later."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from contracts.store.store import StoreContract

CONTRACTS = Path(__file__).parents[3] / "contracts" / "store"


class OnPostgres:
    @pytest.fixture
    def store(self, postgres_store):
        return postgres_store


def every_contract():
    """Every class of `contracts.store` that has tests."""
    for path in sorted(CONTRACTS.rglob("*.py")):
        parts = path.relative_to(CONTRACTS).with_suffix("").parts
        importlib.import_module(".".join(["contracts.store", *parts]))
    found, looked_at = [], [StoreContract]
    while looked_at:
        kinds = looked_at.pop().__subclasses__()
        looked_at += kinds
        found += [
            kind
            for kind in kinds
            if kind.__module__.startswith("contracts.store")
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
