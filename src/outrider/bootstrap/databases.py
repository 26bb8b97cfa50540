"""Which database the settings name, and the master key that belongs to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from outrider.adapters.crypto.sealing import Sealing, WrongMasterKey, load_master_key
from outrider.adapters.sql.schema.connection import Secrets
from outrider.adapters.sql.schema.migrations import SchemaTooNew
from outrider.adapters.sql.stores.group_commit import Watch
from outrider.adapters.sql.stores.sqlite import CannotOpen, open_sqlite
from outrider.adapters.sql.stores.sqlite_failures import advice_of
from outrider.config.loading import Settings
from outrider.domain.ids import InstanceId
from outrider.errors import StartupError, Unavailable
from outrider.runtime import Runtime
from outrider.server.data_directory import MASTER_KEY_FILE
from outrider.usecases.ports.store import Store, WriteRefused

if TYPE_CHECKING:
    from outrider.adapters.sql.stores.postgres_inspect import (
        DatabaseInspection as DatabaseInspection,  # noqa: PLC0414 - its importers name it from here
    )

Announce = Callable[[str], None]

# The driver of PostgreSQL is an extra, and half of a start on SQLite would be spent on importing
# it: what needs it is imported where it is used.
_NO_DRIVER = (
    "database_url names PostgreSQL, whose driver is not installed: pip install 'outrider[postgres]'"
)


class OpenStore(Store, Protocol):
    """A store with the questions that are asked once, at the start; these block."""

    @property
    def secrets(self) -> Secrets:
        """What seals the secrets in it, and makes its digests."""
        ...

    @property
    def node(self) -> int | None:
        """A number that no other process on the same store has; None: the store has none to give."""
        ...

    def check_secrets(self) -> None:
        """Raise `WrongMasterKey` when another key sealed this store's secrets."""
        ...

    def last_identifier(self) -> int:
        """The largest identifier in use that `Runtime.new_id` made; 0 in a new store."""
        ...

    def last_sonyflake(self) -> int:
        """The largest identifier that `Runtime.new_sonyflake` made; 0 in a new store."""
        ...

    def default_instance(self, runtime: Runtime) -> InstanceId:
        """The instance that exists from the first start on."""
        ...

    def close(self) -> None:
        """Finish all units that were passed in, then close."""
        ...

    def watch_commits(self, watch: Watch) -> None:
        """Tell it of every commit from now on."""
        ...


@asynccontextmanager
async def open_database(
    settings: Settings,
    *,
    now: datetime,
    announce: Announce,
    processes: int = 1,
    beside_tables: bool = False,
) -> AsyncIterator[OpenStore]:
    """Open what `settings` name, with its secrets checked. It must do for so many `processes`.

    `beside_tables`: a database of PostgreSQL is an application's, and has tables of its own.

    Raise `StartupError` for a wrong or lost master key, for a database that cannot be used, or not
    within half a minute, and for data of a newer release.
    """
    try:
        async with await _choose_store(
            settings, now, announce, processes=processes, beside_tables=beside_tables
        ) as store:
            await asyncio.to_thread(store.check_secrets)
            yield store
    except WrongMasterKey as failure:
        raise StartupError(
            f"{failure}: give the key that this data was made with, in OUTRIDER_MASTER_KEY or in"
            f" {settings.data_dir / MASTER_KEY_FILE}"
        ) from None
    except SchemaTooNew as failure:
        raise StartupError(f"{_database_name(settings)}: {failure}") from None
    except CannotOpen as failure:
        raise StartupError(_cannot_open(settings, failure)) from None


@contextmanager
def as_startup_errors(settings: Settings) -> Iterator[None]:
    """What an operator reads when the database or the disk fails during the start.

    Raise `StartupError` for a store that takes no writes, and for a file that cannot be made.
    """
    try:
        yield
    except WriteRefused as refused:
        text = f"{_database_name(settings)} takes no writes: {refused.reason}"
        raise StartupError(f"{text}; {refused.advice}" if refused.advice else text) from None
    except Unavailable as failure:
        raise StartupError(f"{_database_name(settings)}: {failure.message}") from None
    except OSError as failure:
        path = failure.filename or settings.data_dir
        otherwise = "choose another --data-dir"
        raise StartupError(
            f"{path}: {failure.strerror}; {advice_of(failure.errno, otherwise)}"
        ) from None


def postgres_driver() -> str:
    """The driver's name and version. Raise `StartupError` when there is none."""
    try:
        from outrider.adapters.sql.stores import postgres_inspect  # noqa: PLC0415
    except ImportError:
        raise StartupError(_NO_DRIVER) from None
    return postgres_inspect.driver()


def inspect_postgres(url: str, schema: str | None = None) -> DatabaseInspection:
    """What the database says of itself; nothing is changed. Call `postgres_driver` before.

    Raise `StartupError`, without secrets, when it cannot be reached.
    """
    from outrider.adapters.sql.stores import postgres_inspect  # noqa: PLC0415

    try:
        return postgres_inspect.inspect(url, schema)
    except CannotOpen as failure:
        text = f"{failure}; {failure.advice}" if failure.advice else str(failure)
        raise StartupError(text) from None


async def _choose_store(
    settings: Settings, now: datetime, announce: Announce, *, processes: int, beside_tables: bool
) -> AbstractAsyncContextManager[OpenStore]:
    url = settings.postgres_url
    if url is not None:
        return await _postgres_store(
            settings, url, now, announce, processes=processes, beside_tables=beside_tables
        )
    sealing = Sealing(_sqlite_master_key(settings))
    # After the search for the key: a database without one is data that cannot be read.
    _make_private(settings.database_file)
    return open_sqlite(settings.database_file, sealing, now=now)


async def _postgres_store(
    settings: Settings,
    url: str,
    now: datetime,
    announce: Announce,
    *,
    processes: int,
    beside_tables: bool,
) -> AbstractAsyncContextManager[OpenStore]:
    try:
        from outrider.adapters.sql.stores import postgres_open  # noqa: PLC0415
    except ImportError:
        raise StartupError(_NO_DRIVER) from None
    path = settings.data_dir / MASTER_KEY_FILE
    if settings.master_key is None and not path.exists():
        is_sealed = await asyncio.to_thread(
            postgres_open.is_sealed,
            url,
            announce=announce,
            schema=settings.database_schema,
            beside_tables=beside_tables,
        )
        if is_sealed:
            raise StartupError(
                f"{_database_name(settings)} was sealed with a master key that this node has not:"
                " give it in OUTRIDER_MASTER_KEY, the same on every node, or copy the first node's"
                f" {MASTER_KEY_FILE} to {settings.data_dir}"
            )
    sealing = Sealing(settings.master_key or _master_key_in_file(path))
    return postgres_open.open_postgres(
        url,
        sealing,
        now=now,
        announce=announce,
        processes=processes,
        schema=settings.database_schema,
        beside_tables=beside_tables,
    )


def _sqlite_master_key(settings: Settings) -> bytes:
    if settings.master_key is not None:
        return settings.master_key
    path = settings.data_dir / MASTER_KEY_FILE
    # A new key would not open what the lost one sealed: say so instead of making one. Another
    # process may be making both right now, the key first.
    if settings.database_file.exists() and not path.exists():
        raise StartupError(
            f"{path} is missing, and {settings.database_file} was sealed with it: put it back,"
            " or give it in OUTRIDER_MASTER_KEY"
        )
    return _master_key_in_file(path)


def _master_key_in_file(path: Path) -> bytes:
    try:
        return load_master_key(path)
    except WrongMasterKey as failure:
        raise StartupError(f"{path}: {failure}") from None
    except OSError as failure:
        otherwise = "give the key in OUTRIDER_MASTER_KEY, or choose another --data-dir"
        raise StartupError(
            f"the master key {path} cannot be read or made: {failure.strerror};"
            f" {advice_of(failure.errno, otherwise)}"
        ) from None


def _make_private(database_file: Path) -> None:
    # An engine does not change the umask of the program around it, and events may hold personal
    # data. What is wrong with the file, opening it as a database tells.
    with suppress(OSError):
        os.close(os.open(database_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _database_name(settings: Settings) -> str:
    if settings.postgres_url is None:
        return str(settings.database_file)
    from outrider.adapters.sql.postgres.connection import redacted_url  # noqa: PLC0415

    return redacted_url(settings.postgres_url)


def _cannot_open(settings: Settings, failure: CannotOpen) -> str:
    if settings.postgres_url is not None:
        advice = failure.advice or (
            "check that it runs, that this machine may reach it, and what OUTRIDER_DATABASE_URL says"
        )
        return f"the database cannot be used: {failure}; {advice}"
    otherwise = "put back what was there, with its owner and mode, or choose another --data-dir"
    return f"the database cannot be used: {failure}; {failure.advice or otherwise}"
