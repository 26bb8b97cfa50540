"""`outrider serve` as an operator runs it: in separate processes, on any free port."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import urlsplit

from system.api import Api
from system.processes import children_of, command_line, kill

READY = re.compile(r"listening on (http://\S+)")
# A busy machine with two cores starts Envoy slowly.
START_WITHIN_S = 90.0
STOP_WITHIN_S = 90.0


class Output:
    """What processes write, line by line, while they write it. Also kept in a file."""

    def __init__(self, stream: IO[str], path: Path) -> None:
        self.lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream, path), daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """Everything up to now."""
        return "\n".join(self.lines)

    async def line(self, matches: Callable[[str], object], *, within: float) -> str:
        """Return the first line that matches. Raise `TimeoutError`, or `EOFError` after the last line."""
        return await asyncio.to_thread(self._wait, matches, within)

    async def end(self, *, within: float) -> None:
        """Wait until every process that writes here is gone."""
        await asyncio.to_thread(self._thread.join, within)
        if self._thread.is_alive():
            raise TimeoutError(f"a process still writes after {within:g} s")

    def _wait(self, matches: Callable[[str], object], within: float) -> str:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(map(matches, self.lines)), within)
            found = next(filter(matches, self.lines), None)
        if found is not None:
            return found
        raise (EOFError if self._ended else TimeoutError)(self.text)

    def _read(self, stream: IO[str], path: Path) -> None:
        with path.open("w") as file, stream:
            for line in stream:
                file.write(line)
                file.flush()
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Server:
    """One server. `kill` and `stop` may be called whatever state it is in."""

    def __init__(
        self,
        data_dir: Path,
        *flags: str,
        port: int = 0,
        environ: Mapping[str, str] | None = None,
        before_start: Callable[[], None] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.url = ""
        self._orphans: list[int] = []
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        arguments = ("--dev", "--port", str(port), "--data-dir", str(data_dir), *flags)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "outrider", "serve", *arguments],
            env={**_clean_environ(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=before_start,  # noqa: PLW1509 - it makes a system call and nothing else
        )
        logs = data_dir.parent / f"{data_dir.name}-logs"
        logs.mkdir(exist_ok=True)
        self.output = Output(self._process.stdout, logs / f"{self.pid}.out")
        self.logged = Output(self._process.stderr, logs / f"{self.pid}.err")

    def __repr__(self) -> str:
        return f"<Server {self.pid} {self.url or 'starting'}>"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port."""
        parts = urlsplit(self.url)
        return parts.hostname, parts.port

    @property
    def token(self) -> str:
        """The admin token, as the first start wrote it."""
        return (self.data_dir / "admin.token").read_text().strip()

    @property
    def api(self) -> Api:
        """Calls with the admin token."""
        return Api(self.url, self.token)

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every line of the log so far."""
        return [json.loads(line) for line in self.logged.lines if line.startswith("{")]

    async def ready(self) -> Self:
        """Wait until it listens."""
        line = await self.output.line(READY.search, within=START_WITHIN_S)
        self.url = READY.search(line)[1]
        return self

    async def ended(self, *, within: float = STOP_WITHIN_S) -> int:
        """Wait until it and all its children are gone; return the exit code."""
        code = await asyncio.to_thread(self._process.wait, within)
        await self.output.end(within=within)
        await self.logged.end(within=within)
        return code

    async def logs(self, event: str, *, within: float) -> dict[str, Any]:
        """Wait for a line of the log."""
        line = await self.logged.line(lambda text: f'"{event}"' in text, within=within)
        return json.loads(line)

    async def closed(self, *, within: float) -> None:
        """Wait until no process listens on its port any more."""
        host, port = self.address
        async with asyncio.timeout(within):
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except ConnectionRefusedError:
                    return
                writer.close()
                await asyncio.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        kill(self.pid, number)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it in order and return its exit code."""
        self.send(number)
        return await self.ended()

    def kill(self) -> None:
        """Kill every process of it at the same time."""
        for child in self.kill_supervisor():
            if "outrider" in command_line(child):
                kill(child)

    def kill_supervisor(self) -> list[int]:
        """End the parent alone; return its children, who have to notice by themselves."""
        if self._process.poll() is None:
            # Stopped, it cannot start another child between the two steps.
            kill(self.pid, signal.SIGSTOP)
            self._orphans = children_of(self.pid)
            self._process.kill()
            self._process.wait()
        return self._orphans


def _clean_environ() -> dict[str, str]:
    """Our environment without settings of outrider."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
