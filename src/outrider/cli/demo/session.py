"""One run of the demonstration, from the first process to the last file that is removed."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import typer

from outrider.cli.demo.run import Demo
from outrider.cli.demo.server import DemoServer, stopped_at_the_end
from outrider.cli.receive.listen import print_call
from outrider.cli.receive.listener import Listener, ReceivedCall
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.running import STOP_SIGNALS


async def run_demo(port: int, receiver_port: int, data_dir: Path | None, *, once: bool) -> ExitCode:
    """Show everything; then stay up until Ctrl-C, unless `once`.

    `data_dir` is absolute; None stands for a directory that is removed at the end.

    Raises:
        CommandError: a step failed.
    """
    task = asyncio.ensure_future(_show(port, receiver_port, data_dir, once=once))
    _cancel_at_stop_signals(task)
    try:
        return await task
    except asyncio.CancelledError:
        return ExitCode.INTERRUPTED


async def _show(port: int, receiver_port: int, data_dir: Path | None, *, once: bool) -> ExitCode:
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
    while True:
        print_call(await calls.get())


def _cancel_at_stop_signals(task: asyncio.Future[ExitCode]) -> None:
    """The first signal ends it in order; more of them must not disturb the cleaning up."""
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
