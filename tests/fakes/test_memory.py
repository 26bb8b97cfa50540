"""The memory store keeps the contract: this is what makes it a fake to trust."""

from __future__ import annotations

import pytest

from contracts.store.access.accounts import AccountsContract
from contracts.store.access.tokens import TokensContract
from contracts.store.delivery.delivery_log import DeliveryLogContract
from contracts.store.delivery.dependents import DeletedTargetContract, DependentsContract
from contracts.store.delivery.events import EventsContract
from contracts.store.delivery.leases import LeasesContract
from contracts.store.delivery.queue import QueueContract
from contracts.store.delivery.settling import SettlingContract
from contracts.store.targets.catalogue import CatalogueContract
from contracts.store.targets.executions import ExecutionsContract, ExecutionSearchContract
from contracts.store.targets.public_keys import PublicKeysContract
from contracts.store.targets.target_search import TargetSearchContract
from contracts.store.targets.targets import TargetsContract
from contracts.store.units import UnitsContract
from fakes.memory.store import MemoryStore
from support.runtime import NOW


class OnMemory:
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class TestTargetSearch(OnMemory, TargetSearchContract): ...


class TestTargets(OnMemory, TargetsContract): ...


class TestPublicKeys(OnMemory, PublicKeysContract): ...


class TestExecutions(OnMemory, ExecutionsContract): ...


class TestExecutionSearch(OnMemory, ExecutionSearchContract): ...


class TestTokens(OnMemory, TokensContract): ...


class TestAccounts(OnMemory, AccountsContract): ...


class TestEvents(OnMemory, EventsContract): ...


class TestQueue(OnMemory, QueueContract): ...


class TestSettling(OnMemory, SettlingContract): ...


class TestDependents(OnMemory, DependentsContract): ...


class TestDeletedTarget(OnMemory, DeletedTargetContract): ...


class TestLeases(OnMemory, LeasesContract): ...


class TestDeliveryLog(OnMemory, DeliveryLogContract): ...


class TestCatalogue(OnMemory, CatalogueContract): ...


class TestUnits(OnMemory, UnitsContract): ...


async def test_a_read_that_changes_something_is_refused():
    """
    A real store reads from a snapshot that cannot be written; tests must not pass without one.
    """
    store = MemoryStore()

    with pytest.raises(RuntimeError):
        await store.read(lambda unit: unit.leases.renew("worker", NOW))
    assert "<MemoryStore 0 targets, 0 executions, 0 events, 0 deliveries>" == repr(store)
