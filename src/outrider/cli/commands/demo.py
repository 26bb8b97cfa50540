# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider demo`: the whole way of an event, once, on this machine."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outrider.cli.exits import CommandError, ExitCode
from outrider.cli.options import examples

if TYPE_CHECKING:
    from outrider.cli.demo_run import Demo
    from outrider.cli.demo_server import DemoServer
    from outrider.cli.listener import ReceivedCall

EXAMPLES = examples(
    "outrider demo                     then go on by hand until Ctrl-C",
    "outrider demo --once              ends with 0 when the delivery was verified",
    "outrider demo --port 0 --receiver-port 0 --data-dir ./demo-data",
)

MAX_PORT = 65535


def demo(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=MAX_PORT, help="Of the server. 0 takes any free one.")
    ] = 8080,
    receiver_port: Annotated[
        int, typer.Option(min=0, max=MAX_PORT, help="Of the receiver. 0 takes any free one.")
    ] = 8090,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the data here. Default: gone at the end."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the first delivery.")] = False,
) -> None:
    """See an event delivered: server, receiver, target, execution, event, verified signature.

    Every step is shown with the curl line that does the same. Ctrl-C ends it; nothing is left
    behind.
    """
    where = data_dir.absolute() if data_dir else None
    raise typer.Exit(asyncio.run(_demo(port, receiver_port, where, once=once)))


async def _demo(port: int, receiver_port: int, data_dir: Path | None, *, once: bool) -> ExitCode:
    task = asyncio.ensure_future(_show(port, receiver_port, data_dir, once=once))
    _cancel_at_stop_signals(task)
    try:
        return await task
    except asyncio.CancelledError:
        return ExitCode.INTERRUPTED


async def _show(port: int, receiver_port: int, data_dir: Path | None, *, once: bool) -> ExitCode:
    from outrider.cli.demo_run import Demo
    from outrider.cli.demo_server import DemoServer, stopped_at_the_end
    from outrider.cli.listener import Listener

    calls: asyncio.Queue[ReceivedCall] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(_temporary()))
        where = data_dir or Path(stack.enter_context(_temporary()))
        listener = await stack.enter_async_context(Listener(calls.put_nowait))
        server = await stack.enter_async_context(stopped_at_the_end(DemoServer(scratch, _say)))
        _say("One event on its way to a receiver, on this machine.")
        shown = Demo(server, listener, where, _say)
        verified, delivery_id = await _steps(shown, port, receiver_port, calls)
        if verified and not once:
            shown.show_more(delivery_id)
            await _stay_up(server, calls)
    return ExitCode.OK if verified else ExitCode.FAILED


async def _steps(
    shown: Demo, port: int, receiver_port: int, calls: asyncio.Queue[ReceivedCall]
) -> tuple[bool, str]:
    """Whether the delivery came with a signature that holds, and its id."""
    await shown.start_server(port)
    await shown.start_receiver(receiver_port)
    target = await shown.create_target()
    await shown.set_execution(target)
    event_id = await shown.publish()
    delivery_id, verified = await shown.receive(event_id, target, calls)
    await shown.show_log(delivery_id)
    return verified, delivery_id


async def _stay_up(server: DemoServer, calls: asyncio.Queue[ReceivedCall]) -> None:
    """Print what comes until Ctrl-C, which is how this ends well.

    Raises:
        CommandError: the server ended by itself.
    """
    _say("\nWaiting for more calls. Ctrl-C ends everything.\n")
    printing = asyncio.create_task(_print_calls(calls))
    try:
        await server.ended()
        raise CommandError("the server ended by itself", "See also: outrider doctor")
    except asyncio.CancelledError:
        _say("\nstopping")
    finally:
        printing.cancel()


async def _print_calls(calls: asyncio.Queue[ReceivedCall]) -> None:
    from outrider.cli.commands.listen import print_call

    while True:
        print_call(await calls.get())


def _cancel_at_stop_signals(task: asyncio.Future[ExitCode]) -> None:
    """The first signal ends it in order; more of them must not disturb the cleaning up."""
    from outrider.cli.running import STOP_SIGNALS

    loop = asyncio.get_running_loop()
    cancel = _once(task.cancel)
    for number in (*STOP_SIGNALS, signal.SIGHUP):
        loop.add_signal_handler(number, cancel)


def _once(act: Callable[[], object]) -> Callable[[], None]:
    actions = [act]

    def act_once() -> None:
        if actions:
            actions.pop()()

    return act_once


def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="outrider-demo-", ignore_cleanup_errors=True)


def _say(text: str) -> None:
    typer.echo(text)
