"""Commands that talk to a server: `server` in their signature stands for the options that name it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from outrider.cli.remote.client import RemoteServer

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_Parameter = inspect.Parameter
_OPTIONS = (
    _Parameter(
        "url",
        _Parameter.KEYWORD_ONLY,
        default="http://127.0.0.1:8080",
        annotation=Annotated[
            str,
            typer.Option("--url", envvar="OUTRIDER_URL", metavar="URL", help="URL of the server."),
        ],
    ),
    _Parameter(
        "token",
        _Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                "--token",
                envvar="OUTRIDER_TOKEN",
                metavar="TOKEN",
                help="Bearer token. Default: the admin token in the data directory.",
            ),
        ],
    ),
    _Parameter(
        "data_dir",
        _Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            Path | None,
            typer.Option(
                "--data-dir",
                envvar="OUTRIDER_DATA_DIR",
                metavar="DIR",
                help="Data directory of the server, which has admin.token.",
            ),
        ],
    ),
)


class CommandGroup(typer.Typer):
    """A group of commands, some of which take a `server`."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[CommandT], CommandT]:
        """Register a command. Its parameter `server` becomes `--url`, `--token` and `--data-dir`."""
        register = super().command(name, **options)

        def decorate(function: CommandT) -> CommandT:
            register(_with_server_options(function))
            return function

        return decorate


def _with_server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    # Evaluated once, here: typer would do it twice.
    signature = inspect.signature(function, eval_str=True)
    if "server" not in signature.parameters:
        return function

    @wraps(function)
    def command(*, url: str, token: str | None, data_dir: Path | None, **arguments: Any) -> Any:
        return function(server=RemoteServer(url, token, data_dir), **arguments)

    parameters = list(_replaced(signature.parameters.values()))
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _replaced(parameters: Iterable[inspect.Parameter]) -> Iterator[inspect.Parameter]:
    for parameter in parameters:
        yield from _OPTIONS if parameter.name == "server" else (parameter,)
