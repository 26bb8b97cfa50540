"""A server for `outrider demo` and `outrider dev`: a child process that is always stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from outrider.cli.remote import probe
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import printable
from outrider.config.loading import PREFIX
from outrider.server.parent_watch import PARENT_VARIABLE

LISTENING = "listening on "
START_TIMEOUT_S = 60.0
# Longer than the server gives itself, so that it is killed only when it hangs.
STOP_TIMEOUT_S = 40.0
POLL_INTERVAL_S = 0.05
LOG_LINES = 20


class DemoServer:
    """One server process. `scratch` holds its log and its empty file of settings."""

    def __init__(self, scratch: Path, print_line: Callable[[str], None]) -> None:
        self.url = ""
        self._log = scratch / "server.log"
        # ./outrider.toml is about another server.
        self._config = scratch / "outrider.toml"
        self._config.touch()
        self._print_line = print_line
        self._process: asyncio.subprocess.Process | None = None
        self._echo: asyncio.Task[None] | None = None

    async def start(self, port: int, data_dir: Path) -> None:
        """Return when it is ready at `url`.

        Raises:
            CommandError: it did not start; with its last lines of output.
        """
        self._process = await self._spawn(port, data_dir)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                self.url = await self._read_url()
                while not await asyncio.to_thread(_is_ready, self.url):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(POLL_INTERVAL_S)
        except TimeoutError:
            raise self._failure(f"the server was not ready within {START_TIMEOUT_S:g} s") from None
        self._echo = asyncio.create_task(self._echo_output())

    async def wait_until_ended(self) -> None:
        """Return when the server has ended by itself."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """Stop it in order, or kill it with everything it started. May be called again."""
        if self._echo is not None:
            self._echo.cancel()
        process = self._process
        if process is not None and process.returncode is None:
            _signal(process.send_signal, signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                _signal(lambda number: os.killpg(process.pid, number), signal.SIGKILL)
                await process.wait()

    async def _spawn(self, port: int, data_dir: Path) -> asyncio.subprocess.Process:
        environ = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
        environ[PARENT_VARIABLE] = str(os.getpid())
        with self._log.open("wb") as stderr:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "outrider", "serve", "--dev"),
                *("--config", self._config, "--port", str(port), "--data-dir", data_dir),
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                # Ctrl-C must reach only the command, which then stops the server itself.
                start_new_session=True,
            )

    async def _read_url(self) -> str:
        async for line in self._lines():
            if line.startswith(LISTENING):
                return line.removeprefix(LISTENING)
        raise self._failure("the server did not start")

    async def _echo_output(self) -> None:
        async for line in self._lines():
            self._print_line(f"   server: {printable(line)}")

    async def _lines(self) -> AsyncIterator[str]:
        if self._process is None or self._process.stdout is None:
            return
        while line := await self._process.stdout.readline():
            yield line.decode("utf-8", "replace").rstrip()

    def _failure(self, message: str) -> CommandError:
        lines = self._log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
        return CommandError("\n".join([message, *lines]), "see `outrider doctor`")


@asynccontextmanager
async def stopping(server: DemoServer) -> AsyncIterator[DemoServer]:
    """Stop the server when the block ends, in whatever manner."""
    try:
        yield server
    finally:
        await server.stop()


def _is_ready(url: str) -> bool:
    try:
        return probe.get(f"{url}/readyz").status == probe.OK
    except probe.ProbeError:
        return False


def _signal(send: Callable[[signal.Signals], None], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        send(number)
