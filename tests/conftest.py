"""What every test gets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from outrider.adapters.sql.stores.postgres import PostgresStore
    from support.postgres_databases import SharedStore

# Before anything imports them: their assertions are the tests'.
pytest.register_assert_rewrite(
    "api.access.external.trust", "api.calls.runner", "api.endpoints.oauth.issuer", "contracts.store"
)

settings.register_profile(
    "project", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs so. The commands that tests start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --backwards tests/worker`: no test may need what an earlier one left."""
    parser.addoption("--backwards", action="store_true", help="run tests in reversed order")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Turn the order around when that is asked for."""
    if config.getoption("--backwards"):
        items.reverse()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server, started when the first test needs it."""
    from support.postgres_databases import a_server

    with a_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A separate, empty database."""
    from support.postgres_databases import a_database

    with a_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def shared_postgres(postgres_server: str) -> Iterator[SharedStore]:
    """One open store for all tests that only need an empty one."""
    from support.postgres_databases import SharedStore, a_database

    with a_database(postgres_server) as url:
        shared = SharedStore(url)
        try:
            yield shared
        finally:
            shared.close()


@pytest.fixture
def postgres_store(shared_postgres: SharedStore) -> PostgresStore:
    """An empty store on PostgreSQL."""
    return shared_postgres.emptied()
