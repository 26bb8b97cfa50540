"""Exit codes and errors of commands."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from enum import IntEnum
from typing import NoReturn, TextIO


class ExitCode(IntEnum):
    """The exit code of a command, for scripts. The numbers are stable."""

    OK = 0
    """Done."""

    FAILED = 1
    """The server refused, nothing was found, or a check failed."""

    USAGE = 2
    """The command line, a file it names, or a setting is wrong. Nothing was done."""

    UNREACHABLE = 3
    """No server answered, or it cannot do anything now."""

    NOT_ALLOWED = 4
    """There is no token, it is not valid, or its account may not do this."""

    STOPPED = 5
    """A target interrupted the call, with the error that is shown."""

    INTERRUPTED = 130
    """Ctrl-C."""

    TERMINATED = 143
    """SIGTERM."""


class CommandError(Exception):
    """A command cannot continue. `message` has the problem and its place, `advice` the next action.

    `reason` is what a server adds to a message that is fixed, `status` the code of its error.
    """

    def __init__(
        self,
        message: str,
        advice: str = "",
        *,
        code: ExitCode = ExitCode.FAILED,
        reason: str = "",
        status: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.code = code
        self.reason = reason
        self.status = status


def exit_at_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what was opened is closed, a terminal restored.

    Commands that stay up handle the signal themselves.
    """

    def end(_number: int, _frame: object) -> NoReturn:
        sys.exit(ExitCode.TERMINATED)

    signal.signal(signal.SIGTERM, end)


def exit_process(system_exit: SystemExit) -> NoReturn:
    """End the process with the code of `system_exit`, all output written and nothing torn down.

    The HTTP client has its own threads. One that comes to life while CPython (before 3.14)
    tears the interpreter down aborts the process: one `outrider listen` in thirty had done its
    work and died of SIGABRT.
    """
    if not isinstance(system_exit.code, int | None):
        raise system_exit
    atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter would do first
    code = system_exit.code or 0
    try:
        _flush(sys.stdout)
    except OSError as failure:
        with suppress(OSError):
            os.write(2, f"Error: the output could not be written: {failure.strerror}\n".encode())
        code = code or ExitCode.FAILED
    with suppress(OSError):
        _flush(sys.stderr)
    os._exit(code)


def _flush(stream: TextIO | None) -> None:
    """Raise OSError unless everything is written, or the reader closed the pipe."""
    if stream is not None:  # it is None when the process was started without it
        with suppress(BrokenPipeError, ValueError):  # ValueError: closed already
            stream.flush()
