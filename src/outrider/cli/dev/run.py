"""`outrider dev`: a server, a receiver and a file of handlers, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import logging
import shlex
import threading
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import typer

from outrider.cli.demo.server import DemoServer, stopping
from outrider.cli.dev.binder import HandlerBinder, HandlerBinding
from outrider.cli.dev.handlers import HandlersFile, HandlersFileError
from outrider.cli.dev.receiver import LiveReceiver, serve_receiver
from outrider.cli.receive.answered_call import AnsweredCall
from outrider.cli.receive.forward import print_answered_call
from outrider.cli.remote.client import RemoteServer, read_token
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import own_command, pretty_body, printable
from outrider.cli.terminal.running import until_stopped
from outrider.server.data_directory import ADMIN_TOKEN_FILE
from outrider_receiver import Handler, Receiver

HOST = "127.0.0.1"
POLL_INTERVAL_S = 0.3
_printing = threading.Lock()


def run_dev(path: Path, port: int, data_dir: Path) -> None:
    """Stay up until Ctrl-C or SIGTERM.

    Raises:
        CommandError: the file does not exist, the server does not start, or it ended by itself.
    """
    if not path.is_file():
        raise CommandError(f"{path} is no file", "give a file of Python that makes a Receiver")
    _prepare(data_dir)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    session = DevSession(HandlersFile(path), data_dir)
    asyncio.run(until_stopped(session.run(port)))


class DevSession:
    """One run of `outrider dev`."""

    def __init__(self, file: HandlersFile, data_dir: Path) -> None:
        self._file = file
        self._data_dir = data_dir
        self._live_receiver = LiveReceiver(_print_call)

    async def run(self, port: int) -> None:
        """Start everything, then watch the file."""
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(
                stopping(DemoServer(self._data_dir, _print_line))
            )
            await server.start(port, self._data_dir)
            receiver_url = stack.enter_context(serve_receiver(self._live_receiver, HOST, 0))
            token = read_token(self._data_dir / ADMIN_TOKEN_FILE)
            binder = HandlerBinder(RemoteServer(server.url, token), receiver_url)
            await self._load_handlers(binder)
            self._print_next_steps(server.url)
            await self._watch_file(server, binder)

    async def _watch_file(self, server: DemoServer, binder: HandlerBinder) -> None:
        ended = asyncio.ensure_future(server.wait_until_ended())
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=POLL_INTERVAL_S)
                if await asyncio.to_thread(self._file.has_changed):
                    await self._load_handlers(binder)
        finally:
            ended.cancel()
        raise CommandError("the server ended by itself", f"see {self._data_dir / 'server.log'}")

    async def _load_handlers(self, binder: HandlerBinder) -> None:
        """Load the file and use its handlers; keep the handlers from before when it is broken."""
        try:
            receiver = await asyncio.to_thread(self._file.load)
        except HandlersFileError as error:
            _print_line(typer.style(f"\n{self._file.path.name} is broken:", fg="red"))
            _print_line(printable(str(error)))
            kept = self._live_receiver.receiver
            _print_line(
                "the handlers from before stay" if kept else "waiting until it is saved again"
            )
            return
        bindings = await asyncio.to_thread(binder.bind, receiver.handlers)
        self._apply(receiver, bindings)
        _print_line(typer.style(f"\n{self._file.path.name}: {len(bindings)} handlers", bold=True))
        for binding in bindings:
            _print_line(
                f"  {binding.condition}"
                + (f"  NOT CALLED: {binding.problem}" if binding.problem else "")
            )

    def _apply(self, receiver: Receiver, bindings: list[HandlerBinding]) -> None:
        signing_keys = [binding.signing_key for binding in bindings if binding.signing_key]
        if signing_keys:
            # The keys that the file names belong to other targets.
            receiver.signing_keys = signing_keys
        self._live_receiver.receiver = receiver

    def _print_next_steps(self, url: str) -> None:
        receiver = self._live_receiver.receiver
        _print_line(f"\nready at {url}")
        where = f"--url {url} --data-dir {shlex.quote(str(self._data_dir))}"
        commands = [
            f"{command} {where}"
            for command in map(command_for, receiver.handlers if receiver else ())
        ]
        if commands:
            _print_line("In another terminal:")
        for command in dict.fromkeys(commands):
            _print_line(f"  {command}")
        _print_line(
            f"Save {self._file.path.name} and it is loaded again. Ctrl-C ends everything.\n"
        )


def command_for(handler: Handler) -> str:
    """The command line that gets the handler called."""
    name = handler.name
    if handler.kind == "event":
        return (
            f"{own_command()} event publish {name.replace('*', 'something') or 'some.event'} --wait"
        )
    call: dict[str, object] = {"function": name, "payload": {}}
    if handler.kind != "function":
        method = name if name.startswith("/") else f"/{name or 'some.Service'}/Method"
        call = {"fullMethod": method, handler.kind: {}}
    return f"echo {shlex.quote(json.dumps(call))} | {own_command()} intercept {handler.kind} -"


def _prepare(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It holds keys and tokens, and stands in a developer's working tree.
        (data_dir / ".gitignore").write_text("*\n")
    except OSError as failure:
        raise CommandError(f"{data_dir}: {failure.strerror}", "choose another --data-dir") from None


def _print_call(answered_call: AnsweredCall) -> None:
    # The handlers are still called when the reader, such as `head`, closed the pipe.
    with _printing, suppress(BrokenPipeError):
        print_answered_call(answered_call)
        typer.echo(_indented(pretty_body(answered_call.body)))
        if answered_call.response_body:
            typer.echo(typer.style("  answer", bold=True))
            typer.echo(_indented(pretty_body(answered_call.response_body)))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _print_line(text: str) -> None:
    with _printing, suppress(BrokenPipeError):
        typer.echo(text)
