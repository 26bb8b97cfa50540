# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""The command `outrider`.

Modules of commands import nothing heavy at the top: `outrider --help` must not wait for a
protobuf runtime.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from errno import ENOSPC
from functools import cache
from typing import Annotated, NoReturn

import typer

from outrider.cli.commands.access import account, instance, token
from outrider.cli.commands.delivery import delivery, event
from outrider.cli.commands.local import demo, dev, listen, record
from outrider.cli.commands.routing import catalogue, execution, explain, intercept
from outrider.cli.commands.server import doctor, serve, top, worker
from outrider.cli.commands.targets import target
from outrider.cli.remote.command_group import CommandGroup
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.options import examples
from outrider.cli.terminal.output import print_error

app = CommandGroup(
    name="outrider",
    help="outrider: a standalone server for ZITADEL Actions v2 with signed, retried deliveries.",
    epilog=examples(
        "outrider demo                      deliver one event on this machine",
        "outrider serve --data-dir ./data   run a server",
        "outrider target list               list the targets of a running server",
    ),
    no_args_is_help=True,
    # Plain help starts twice as fast as decorated help.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("worker", epilog=worker.EXAMPLES)(worker.worker)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("dev", epilog=dev.EXAMPLES)(dev.dev)
app.add_typer(account.app, name="account")
app.add_typer(token.app, name="token")
app.add_typer(instance.app, name="instance")
app.add_typer(target.app, name="target")
app.add_typer(execution.app, name="execution")
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(event.app, name="event")
app.add_typer(intercept.app, name="intercept")
app.add_typer(explain.app, name="explain")
app.add_typer(delivery.app, name="delivery")
app.command("top", epilog=top.EXAMPLES)(top.top)
app.command("listen", epilog=listen.EXAMPLES)(listen.listen)
app.command("record", epilog=record.RECORD_EXAMPLES)(record.record)
app.command("resend", epilog=record.RESEND_EXAMPLES)(record.resend)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        from outrider import __version__

        typer.echo(f"outrider {__version__}")
        raise typer.Exit


@app.callback()
def outrider(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """outrider: a standalone server for ZITADEL Actions v2 with signed, retried deliveries."""


@cache
def _command() -> Callable[..., object]:
    """The commands as they are run: making them of their functions takes longer than most of them."""
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, by default with the arguments of this process, and exit."""
    try:
        _command()(args=arguments, prog_name="outrider")
    except CommandError as error:
        given = sys.argv[1:] if arguments is None else arguments
        print_error(error, as_json="--json" in given)
        sys.exit(error.code)
    except OSError as failure:
        if failure.errno != ENOSPC:
            raise
        print_error(CommandError("no space left on the device", "make room where it writes to"))
        sys.exit(ExitCode.FAILED)
    sys.exit(ExitCode.OK)
