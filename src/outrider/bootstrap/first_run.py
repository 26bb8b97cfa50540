"""What has to be true of a data directory before anything is served from it."""

from __future__ import annotations

from collections.abc import Callable

from outrider.adapters.crypto.jose import KeyPairs
from outrider.adapters.crypto.sealing import write_private
from outrider.bootstrap.app_context import AppContext, bootstrap_secret
from outrider.bootstrap.relay import check_relay_files
from outrider.bootstrap.telemetry import forget_counts
from outrider.config.loading import Settings
from outrider.server.data_directory import ADMIN_TOKEN_FILE, nobody_joined
from outrider.usecases.access.web_keys import ManageWebKeys


async def prepare(settings: Settings, context: AppContext, announce: Callable[[str], None]) -> None:
    """Make the first keys and the admin token, and end old leases. Only the lock's holder may.

    Raise `StartupError` for what no process could work with.
    """
    if settings.postgres_url is None and nobody_joined(settings.data_dir):
        # The holder of the data directory's lock knows that every older worker of a server is gone:
        # their claims need not wait for the end of their leases. On PostgreSQL other nodes may live.
        await context.store.write(lambda unit: unit.leases.expire_all())
    check_relay_files(settings)
    forget_counts(settings.data_dir)
    web_keys = ManageWebKeys(context.store, context.runtime, KeyPairs())
    await web_keys.ensure_first(context.instance)
    if settings.admin_token is None:
        path = settings.data_dir / ADMIN_TOKEN_FILE
        if not path.exists():
            write_private(path, f"{context.runtime.new_token()}\n")
        bootstrap_secret(settings)
        announce(f"the admin token is in {path}")
