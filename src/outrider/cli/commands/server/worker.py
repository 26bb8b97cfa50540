# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider worker`: only the deliveries."""

from __future__ import annotations

from typing import Annotated

import typer

from outrider.cli.commands.server.serve import (
    ConfigFile,
    DatabaseSchema,
    DatabaseUrl,
    LogFormatName,
    LogLevelName,
    ServerDir,
    print_announcement,
    settings_of,
    start,
)
from outrider.cli.terminal.options import examples

EXAMPLES = examples(
    "outrider worker --data-dir ./data",
    "",
    "A server starts its own workers. This is for more of them beside it, on the same data.",
)


def worker(
    *,
    data_dir: ServerDir = None,
    database_url: DatabaseUrl = None,
    database_schema: DatabaseSchema = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Targets on this machine may be called.")
    ] = False,
    worker_concurrency: Annotated[
        str | None, typer.Option(metavar="N", help="Calls at a time. Default: 64.")
    ] = None,
    log_level: LogLevelName = None,
    log_format: LogFormatName = None,
    config: ConfigFile = None,
) -> None:
    """Run one more process that delivers. Ctrl-C stops it when its calls have ended."""
    from outrider import bootstrap

    settings = settings_of(
        {
            "data_dir": data_dir,
            "database_url": database_url,
            "database_schema": database_schema,
            "dev": dev or None,
            "worker_concurrency": worker_concurrency,
            "log_level": log_level,
            "log_format": log_format,
            "config": config,
        }
    )
    start(bootstrap.run_worker, settings, print_announcement)
