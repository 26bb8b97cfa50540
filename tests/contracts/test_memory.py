"""The memory store keeps the contract: this is what makes it a fake to trust."""

from __future__ import annotations

import pytest

from outrider.adapters.memory.store import MemoryStore
from outrider.testing.ambient import NOW
from outrider.testing.contracts.accounts import AccountsContract
from outrider.testing.contracts.catalogue import CatalogueContract
from outrider.testing.contracts.delivery_log import DeliveryLogContract
from outrider.testing.contracts.events import EventsContract
from outrider.testing.contracts.executions import ExecutionsContract, ExecutionSearchContract
from outrider.testing.contracts.followers import DeletedTargetContract, FollowersContract
from outrider.testing.contracts.leases import LeasesContract
from outrider.testing.contracts.public_keys import PublicKeysContract
from outrider.testing.contracts.queue import QueueContract
from outrider.testing.contracts.settling import SettlingContract
from outrider.testing.contracts.target_search import TargetSearchContract
from outrider.testing.contracts.targets import TargetsContract
from outrider.testing.contracts.tokens import TokensContract
from outrider.testing.contracts.units import UnitsContract


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


class TestFollowers(OnMemory, FollowersContract): ...


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
