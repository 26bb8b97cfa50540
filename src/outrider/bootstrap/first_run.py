"""Prepare a data directory before the first call is served."""

from __future__ import annotations

from collections.abc import Callable

from outrider.adapters.crypto.jose import KeyPairs
from outrider.adapters.crypto.sealing import write_private
from outrider.bootstrap.app_context import AppContext, bootstrap_secret
from outrider.bootstrap.databases import as_startup_errors
from outrider.bootstrap.relay import check_relay_files
from outrider.bootstrap.telemetry import reset_metrics
from outrider.config.loading import Settings
from outrider.server.data_directory import ADMIN_TOKEN_FILE, has_shared_lock
from outrider.server.file_modes import refuse_exposed_files
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider.usecases.ports.log import Log


def check_files(settings: Settings, log: Log) -> None:
    """Warn of files that every account of this machine may read.

    Raise `StartupError` for those that every account may change.
    """
    database_file = None if settings.postgres_url else settings.database_file
    for exposed in refuse_exposed_files(settings.data_dir, database_file):
        log.warning("data_directory.exposed", note=f"{exposed.message}; {exposed.advice}")


async def prepare(settings: Settings, context: AppContext, announce: Callable[[str], None]) -> None:
    """Make the first keys and the admin token, and end old leases. The caller holds the lock.

    Raise `StartupError` for what no process could work with.
    """
    with as_startup_errors(settings):
        # Before anything is changed: what is refused half-way leaves a half-made directory.
        await context.store.check_writable()
        await _prepare(settings, context, announce)


async def _prepare(
    settings: Settings, context: AppContext, announce: Callable[[str], None]
) -> None:
    if settings.postgres_url is None and not has_shared_lock(settings.data_dir):
        # The holder of the data directory knows that every older worker of a server has ended: what
        # they claimed need not wait for the end of their leases. On PostgreSQL other nodes may live.
        await context.store.write(lambda unit: unit.leases.expire_all())
    check_relay_files(settings)
    reset_metrics(settings.data_dir)
    web_keys = ManageWebKeys(context.store, context.runtime, KeyPairs())
    await web_keys.ensure_first(context.instance)
    if settings.admin_token is None:
        path = settings.data_dir / ADMIN_TOKEN_FILE
        if not path.exists():
            write_private(path, f"{context.runtime.new_token()}\n")
        bootstrap_secret(settings)
        announce(f"the admin token is in {path}")
