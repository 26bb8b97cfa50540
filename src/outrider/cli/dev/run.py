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

from outrider.cli.demo.server import DemoServer, stopped_at_the_end
from outrider.cli.dev.binding import Binding, Bound
from outrider.cli.dev.handlers import Broken, HandlersFile
from outrider.cli.dev.receiver import LiveReceiver, served
from outrider.cli.receive.exchange import AnsweredCall
from outrider.cli.receive.forward import print_exchange
from outrider.cli.remote.client import Server, read_token
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import pretty_body, printable
from outrider.cli.terminal.running import until_stopped
from outrider.server.data_directory import ADMIN_TOKEN_FILE
from outrider_receiver import Handler, Receiver

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.3
_printing = threading.Lock()


def run_dev(path: Path, port: int, data_dir: Path) -> None:
    """Stay up until Ctrl-C or SIGTERM.

    Raises:
        CommandError: the file does not exist, the server does not start, or it ended by itself.
    """
    if not path.is_file():
        raise CommandError(f"{path} is no file", "Give a file of Python that makes a Receiver.")
    _prepare(data_dir)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    session = DevSession(HandlersFile(path), data_dir)
    asyncio.run(until_stopped(session.run(port)))


class DevSession:
    """One run of it."""

    def __init__(self, file: HandlersFile, data_dir: Path) -> None:
        self._file = file
        self._data_dir = data_dir
        self._stage = LiveReceiver(_show)

    async def run(self, port: int) -> None:
        """Start everything, then follow the file."""
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(
                stopped_at_the_end(DemoServer(self._data_dir, _say))
            )
            await server.start(port, self._data_dir)
            receiver_url = stack.enter_context(served(self._stage, HOST, 0))
            token = read_token(self._data_dir / ADMIN_TOKEN_FILE)
            binding = Binding(Server(server.url, token), receiver_url)
            await self._load(binding)
            self._say_how_to_go_on(server.url)
            await self._follow(server, binding)

    async def _follow(self, server: DemoServer, binding: Binding) -> None:
        ended = asyncio.ensure_future(server.ended())
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=LOOK_EVERY_S)
                if await asyncio.to_thread(self._file.has_changed):
                    await self._load(binding)
        finally:
            ended.cancel()
        raise CommandError("the server ended by itself", f"See {self._data_dir / 'server.log'}")

    async def _load(self, binding: Binding) -> None:
        """Take what the file says now; the handlers from before stay when it is broken."""
        try:
            receiver = await asyncio.to_thread(self._file.load)
        except Broken as broken:
            _say(typer.style(f"\n{self._file.path.name} is broken:", fg="red"))
            _say(printable(str(broken)))
            kept = self._stage.receiver
            _say("the handlers from before stay" if kept else "waiting until it is saved again")
            return
        bound = await asyncio.to_thread(binding.follow, receiver.handlers)
        self._take(receiver, bound)
        _say(typer.style(f"\n{self._file.path.name}: {len(bound)} handlers", bold=True))
        for each in bound:
            _say(f"  {each.condition}" + (f"  NOT CALLED: {each.problem}" if each.problem else ""))

    def _take(self, receiver: Receiver, bound: list[Bound]) -> None:
        keys = [each.signing_key for each in bound if each.signing_key]
        if keys:
            # Whatever keys the file names are those of another place.
            receiver.signing_keys = keys
        self._stage.receiver = receiver

    def _say_how_to_go_on(self, url: str) -> None:
        receiver = self._stage.receiver
        _say(f"\nready at {url}")
        where = f"--url {url} --data-dir {shlex.quote(str(self._data_dir))}"
        commands = [
            f"{each} {where}" for each in map(command_for, receiver.handlers if receiver else ())
        ]
        if commands:
            _say("In another terminal:")
        for fromkey in dict.fromkeys(commands):
            _say(f"  {fromkey}")
        _say(f"Save {self._file.path.name} and it is loaded again. Ctrl-C ends everything.\n")


def command_for(handler: Handler) -> str:
    """What somebody types to have the handler called."""
    name = handler.name
    if handler.kind == "event":
        return f"outrider event publish {name.replace('*', 'something') or 'some.event'} --wait"
    call: dict[str, object] = {"function": name, "payload": {}}
    if handler.kind != "function":
        method = name if name.startswith("/") else f"/{name or 'some.Service'}/Method"
        call = {"fullMethod": method, handler.kind: {}}
    return f"echo {shlex.quote(json.dumps(call))} | outrider intercept {handler.kind} -"


def _prepare(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # It holds keys and tokens, and stands in a developer's working tree.
        (data_dir / ".gitignore").write_text("*\n")
    except OSError as failure:
        raise CommandError(
            f"{data_dir}: {failure.strerror}", "Choose another --data-dir."
        ) from None


def _show(exchange: AnsweredCall) -> None:
    # Who reads no more of it, such as `head`, still wants the handlers called.
    with _printing, suppress(BrokenPipeError):
        print_exchange(exchange)
        typer.echo(_indented(pretty_body(exchange.body)))
        if exchange.answer:
            typer.echo(typer.style("  answer", bold=True))
            typer.echo(_indented(pretty_body(exchange.answer)))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _say(text: str) -> None:
    with _printing, suppress(BrokenPipeError):
        typer.echo(text)
