# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider serve`: the server."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.options import examples

if TYPE_CHECKING:
    from outrider.config.loading import Settings

EXAMPLES = examples(
    "outrider serve",
    "outrider serve --dev --port 8080 --data-dir ./data",
    "outrider serve --config /etc/outrider.toml",
    "",
    "Every setting can also stand in the environment, as OUTRIDER_PORT, or in outrider.toml.",
    "Secrets have no flags: OUTRIDER_ADMIN_TOKEN, OUTRIDER_MASTER_KEY.",
)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings as TOML. Default: ./outrider.toml."),
]
ServerDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Database and keys. Default: ./data."),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="postgresql://… or sqlite:///FILE, instead of the directory's file.",
    ),
]
DatabaseSchema = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Schema of PostgreSQL that the tables are in."),
]
LogLevelName = Annotated[
    str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
]
LogFormatName = Annotated[
    str | None, typer.Option("--log-format", metavar="FORMAT", help="console or json.")
]


def serve(
    *,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Default: 127.0.0.1.")] = None,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help="Default: 8080. 0 takes any free one.")
    ] = None,
    data_dir: ServerDir = None,
    database_url: DatabaseUrl = None,
    database_schema: DatabaseSchema = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Targets on this machine may be called.")
    ] = False,
    workers: Annotated[
        str | None, typer.Option(metavar="N", help="Processes that deliver.")
    ] = None,
    external_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Under which others reach this server.")
    ] = None,
    drain_delay: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="How long a stopping server still takes calls. Default: 5, with --dev 0.",
        ),
    ] = None,
    drain_timeout: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="Then for calls in flight. Default: 20."),
    ] = None,
    log_level: LogLevelName = None,
    log_format: LogFormatName = None,
    config: ConfigFile = None,
) -> None:
    """Run a server: the API and the processes that deliver.

    Ctrl-C or SIGTERM stops it in order, a second one at once.
    """
    settings = settings_of(
        {
            "host": host,
            "port": port,
            "data_dir": data_dir,
            "database_url": database_url,
            "database_schema": database_schema,
            # The flag can only turn it on: without it, environment and file decide.
            "dev": dev or None,
            "workers": workers,
            "external_url": external_url,
            "drain_delay": drain_delay,
            "drain_timeout": drain_timeout,
            "log_level": log_level,
            "log_format": log_format,
            "config": config,
        }
    )
    from outrider import bootstrap

    start(bootstrap.serve, settings, print_announcement)


def settings_of(flags: Mapping[str, object]) -> Settings:
    """The settings of this process.

    Raises:
        CommandError: they cannot be used.
    """
    from outrider.config.loading import SettingsError, load_settings

    try:
        return load_settings(flags, os.environ)
    except SettingsError as error:
        advice = "every setting is explained in docs/reference/settings.md"
        raise CommandError(str(error), advice, code=ExitCode.USAGE) from None


def start(
    main: Callable[..., Coroutine[Any, Any, int]],
    settings: Settings,
    announce: Callable[[str], None],
) -> None:
    """Run a part of the server until it stops, and exit with what it returns.

    Raises:
        CommandError: it could not start.
    """
    from outrider.cli.terminal.running import run
    from outrider.errors import StartupError

    try:
        code = run(main(settings, announce=announce))
    except StartupError as error:
        raise CommandError(str(error)) from None
    if code:
        raise typer.Exit(code)


def print_announcement(text: str) -> None:
    """Print a line and flush it, also into a pipe: a reader may be waiting for it."""
    print(text, flush=True)
