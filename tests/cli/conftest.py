"""The command line as people use it: a real process against a real server."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outrider.cli.main import main

# Nothing waits for these when all is well: a machine with other work has time enough.
START_S = 120.0
STOP_S = 90.0
COMMAND_S = 120.0
LISTENING = "listening on "


@dataclass(frozen=True)
class CommandResult:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def clean_environ(**more: str) -> dict[str, str]:
    """The environment without anything of ours, and with this."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("OUTRIDER_")}
    # Help pages must not be as wide as the terminal in which the tests run.
    return {**kept, "COLUMNS": "80", "NO_COLOR": "1", **more}


class RunningCommand:
    """A command that stays up. What it writes to either output is kept, line by line."""

    def __init__(self, *arguments: object, cwd: Path | None = None, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "outrider", *map(str, arguments)],
            env=clean_environ(**environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def line(self, timeout: float = START_S) -> str:
        """The next line. Fails when it ends or is silent for too long."""
        with suppress(queue.Empty):
            line = self._lines.get(timeout=timeout)
            if line is not None:
                return line
        raise AssertionError("nothing more was written after:\n" + "\n".join(self.output))

    def line_with(self, text: str) -> str:
        """The next line that contains this."""
        while text not in (line := self.line()):
            pass
        return line

    def url(self) -> str:
        """The URL in its line about listening."""
        return self.line_with(LISTENING).removeprefix(LISTENING)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as a person would. Its exit code."""
        self.process.send_signal(number)
        return self.wait_ended()

    def wait_ended(self) -> int:
        """Wait for its end. Its exit code; everything that it wrote is in `output`."""
        code = self.process.wait(STOP_S)
        self._reading.join(STOP_S)
        return code

    def kill(self) -> None:
        """Whatever it is doing; for the end of a test."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait_ended()
        self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            self._lines.put(self.output[-1])
        self._lines.put(None)


def run(
    *arguments: object, stdin: str = "", cwd: Path | None = None, **environ: str
) -> CommandResult:
    """A command that ends by itself, in this process: starting Python takes longer than it does."""
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        stack.enter_context(chdir(cwd or Path.cwd()))
        stack.callback(setattr, sys, "stdin", sys.stdin)
        stack.callback(os.environ.update, dict(os.environ))
        stack.callback(os.environ.clear)
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        os.environ.clear()
        os.environ.update(clean_environ(**environ))
        ended = stack.enter_context(pytest.raises(SystemExit))
        main([str(argument) for argument in arguments])
    return CommandResult(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def run_process(*arguments: object, cwd: Path | None = None, **environ: str) -> CommandResult:
    """A command that ends by itself, in a separate process."""
    ended = subprocess.run(
        [sys.executable, "-m", "outrider", *map(str, arguments)],
        env=clean_environ(**environ),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    return CommandResult(ended.returncode, ended.stdout, ended.stderr)


@dataclass(frozen=True)
class Server:
    """A server that is up."""

    url: str
    data_dir: Path
    directory: Path

    def run(self, *arguments: object, stdin: str = "") -> CommandResult:
        """A command that talks to it."""
        environ = {"OUTRIDER_URL": self.url, "OUTRIDER_DATA_DIR": str(self.data_dir)}
        return run(*arguments, stdin=stdin, cwd=self.directory, **environ)

    def ok(self, *arguments: object, stdin: str = "") -> Any:
        """The JSON of a command that has to succeed."""
        ended = self.run(*arguments, "--json", stdin=stdin)
        assert 0 == ended.code, ended.err
        return ended.json


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests: they use different names."""
    directory = tmp_path_factory.mktemp("server")
    data_dir = directory / "data"
    running = RunningCommand("serve", "--dev", "--port", 0, "--data-dir", data_dir, cwd=directory)
    try:
        yield Server(running.url(), data_dir, directory)
    finally:
        running.stop(signal.SIGTERM)
        running.kill()


@pytest.fixture
def started() -> Iterator[Callable[..., RunningCommand]]:
    """Starts commands that stay up, and ends those that a test left."""
    running: list[RunningCommand] = []

    def start(*arguments: object, **options: Any) -> RunningCommand:
        running.append(RunningCommand(*arguments, **options))
        return running[-1]

    yield start
    for command in running:
        command.kill()
