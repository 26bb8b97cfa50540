"""The command line as people use it: a real process against a real server."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outrider.cli.main import main

START_S = 40.0
STOP_S = 30.0
COMMAND_S = 40.0
LISTENING = "listening on "


@dataclass(frozen=True)
class Ended:
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
    # Help pages must not be as wide as the terminal of whoever runs the tests.
    return {**kept, "COLUMNS": "80", "NO_COLOR": "1", **more}


def spawn(*arguments: object, cwd: Path | None = None, **environ: str) -> subprocess.Popen[str]:
    """A command that stays up. Its standard error goes where its standard output goes."""
    return subprocess.Popen(
        [sys.executable, "-m", "outrider", *map(str, arguments)],
        env=clean_environ(**environ),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(*arguments: object, stdin: str = "", cwd: Path | None = None, **environ: str) -> Ended:
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
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def run_process(*arguments: object, cwd: Path | None = None, **environ: str) -> Ended:
    """A command that ends by itself, as a process of its own."""
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
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def line_with(process: subprocess.Popen[str], wanted: str, timeout: float = START_S) -> str:
    """The next line of the process that contains this; fails when it ends or is silent."""
    seen = []
    while select.select([process.stdout], [], [], timeout)[0]:
        line = process.stdout.readline()
        seen.append(line)
        if wanted in line:
            return line.rstrip("\n")
        if not line:
            break
    raise AssertionError(f"no line with {wanted!r} in:\n{''.join(seen)}")


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """End a process as a person would. Its exit code, and what it still said."""
    process.send_signal(number)
    out, _ = process.communicate(timeout=STOP_S)
    return process.returncode, out


@dataclass(frozen=True)
class Server:
    """A server that is up."""

    url: str
    data_dir: Path
    directory: Path

    def run(self, *arguments: object, stdin: str = "") -> Ended:
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
    process = spawn("serve", "--dev", "--port", 0, "--data-dir", data_dir, cwd=directory)
    try:
        url = line_with(process, LISTENING).removeprefix(LISTENING)
        yield Server(url, data_dir, directory)
    finally:
        stop(process, signal.SIGTERM)


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts commands that stay up, and ends those that a test left."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **environ: str) -> subprocess.Popen[str]:
        processes.append(spawn(*arguments, **environ))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=STOP_S)
