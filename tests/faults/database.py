"""PostgreSQL that a test may kill, and nodes that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faults.invariants import Rows
from faults.subject import Subject, owing
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
    """An empty database, with a password in its URL that nobody asks for."""
    name = f"fault_{abs(hash(request.node.name))}"
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return database.url(name).replace("postgres@", f"postgres:{PASSWORD}@")


def rows_of(url: str) -> Rows:
    """Ask the database."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()

    return rows


def with_password(subject: Subject) -> Subject:
    """The password of the database is one more secret."""
    subject.secrets = {**subject.secrets, "password of the database": PASSWORD.encode()}
    return subject


async def two_nodes(launch: Launch, url: str, receiver: Receiver, place: Path) -> Subject:
    """Two servers on one database, each with a data directory of its own below `place`."""
    environ = {"OUTRIDER_DATABASE_URL": url}
    first = await launch(data_dir=place / "first", environ=environ).ready()
    subject = with_password(await owing(first, receiver))
    subject.environ = {**environ, "OUTRIDER_MASTER_KEY": subject.secrets["master key"].decode()}
    second = await launch(data_dir=place / "second", environ=subject.environ).ready()
    subject.secrets = {**subject.secrets, "admin token of the second": second.token.encode()}
    subject.others = [second]
    return subject
