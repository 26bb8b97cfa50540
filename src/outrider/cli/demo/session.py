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
from outrider.cli.demo.server import DemoServer, stopping
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
    task = asyncio.ensure_future(_run(port, receiver_port, data_dir, once=once))
    _cancel_at_stop_signals(task)
    try:
        return await task
    except asyncio.CancelledError:
        return ExitCode.INTERRUPTED


async def _run(port: int, receiver_port: int, data_dir: Path | None, *, once: bool) -> ExitCode:
    calls: asyncio.Queue[ReceivedCall] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(_temporary()))
        data_path = data_dir or Path(stack.enter_context(_temporary()))
        listener = await stack.enter_async_context(Listener(calls.put_nowait))
        server = await stack.enter_async_context(stopping(DemoServer(scratch, _print_line)))
        _print_line("One event on its way to a receiver, on this machine.")
        demo = Demo(server, listener, data_path, _print_line)
        verified, delivery_id = await _run_steps(demo, port, receiver_port, calls)
        if verified and not once:
            demo.show_more(delivery_id)
            await _stay_up(server, calls)
    return ExitCode.OK if verified else ExitCode.FAILED


async def _run_steps(
    demo: Demo, port: int, receiver_port: int, calls: asyncio.Queue[ReceivedCall]
) -> tuple[bool, str]:
    """Return whether the delivery came with a valid signature, and its id."""
    await demo.start_server(port)
    await demo.start_receiver(receiver_port)
    target = await demo.create_target()
    await demo.set_execution(target)
    event_id = await demo.publish()
    delivery_id, verified = await demo.receive(event_id, target, calls)
    await demo.show_log(delivery_id)
    return verified, delivery_id


async def _stay_up(server: DemoServer, calls: asyncio.Queue[ReceivedCall]) -> None:
    """Print what comes until Ctrl-C, which is how this ends well.

    Raises:
        CommandError: the server ended by itself.
    """
    _print_line("\nWaiting for more calls. Ctrl-C ends everything.\n")
    printing = asyncio.create_task(_print_calls(calls))
    try:
        await server.wait_until_ended()
        raise CommandError("the server ended by itself", "see `outrider doctor`")
    except asyncio.CancelledError:
        _print_line("\nstopping")
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


def _print_line(text: str) -> None:
    typer.echo(text)
