"""PostgreSQL that a test may kill, and nodes that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faults.deployment import Deployment, deployment_of
from faults.invariants import Rows
from outrider.testing.receiver import Receiver
from support.postgres import PostgresServer, postgres_server
from system.server import Server

PASSWORD = "a-password-of-the-database"
Launch = Callable[..., Server]


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    """A server of one module alone: it is killed. It writes to the disk as one in production."""
    with postgres_server(is_durable=True) as server:
        yield server


@pytest.fixture
def url(database: PostgresServer, request: pytest.FixtureRequest) -> str:
    """An empty database, with a password in its URL that the server does not check."""
    name = f"fault_{abs(hash(request.node.name))}"
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return database.url(name).replace("postgres@", f"postgres:{PASSWORD}@")


def rows_of(url: str) -> Rows:
    """Query the database."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()

    return rows


def with_password(deployment: Deployment) -> Deployment:
    """The password of the database is one more secret."""
    deployment.secrets = {**deployment.secrets, "password of the database": PASSWORD.encode()}
    return deployment


async def two_nodes(launch: Launch, url: str, receiver: Receiver, directory: Path) -> Deployment:
    """Two servers on one database, each with a separate data directory below `directory`."""
    environ = {"OUTRIDER_DATABASE_URL": url}
    first = await launch(data_dir=directory / "first", environ=environ).ready()
    deployment = with_password(await deployment_of(first, receiver))
    deployment.environ = {
        **environ,
        "OUTRIDER_MASTER_KEY": deployment.secrets["master key"].decode(),
    }
    second = await launch(data_dir=directory / "second", environ=deployment.environ).ready()
    deployment.secrets = {**deployment.secrets, "admin token of the second": second.token.encode()}
    deployment.others = [second]
    return deployment
