"""A look at the database of PostgreSQL that settings name, by who does not open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider.adapters.sql.stores.sqlite import CannotOpen
from outrider.errors import StartupError

if TYPE_CHECKING:
    from outrider.adapters.sql.stores.postgres_inspect import (
        DatabaseLook as DatabaseLook,  # noqa: PLC0414 - named by who asks
    )

NO_DRIVER = (
    "database_url names PostgreSQL, whose driver is not installed: pip install 'outrider[postgres]'"
)


def look_at_postgres(url: str) -> DatabaseLook:
    """What the database says of itself; nothing is changed. Call `postgres_driver` before.

    Raise `StartupError`, without secrets, when it cannot be reached.
    """
    from outrider.adapters.sql.stores import postgres_inspect  # noqa: PLC0415 - the driver is an extra

    try:
        return postgres_inspect.look(url)
    except CannotOpen as failure:
        raise StartupError(str(failure)) from None


def postgres_driver() -> str:
    """The driver's name and version. Raise `StartupError` when there is none."""
    try:
        from outrider.adapters.sql.stores import postgres_inspect  # noqa: PLC0415 - the driver is an extra
    except ImportError:
        raise StartupError(NO_DRIVER) from None
    return postgres_inspect.driver()
