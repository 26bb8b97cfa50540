"""`python -m outrider` is the command `outrider`."""

import sys
from io import TextIOWrapper
from typing import NoReturn

from outrider.cli.main import main
from outrider.cli.terminal.errors import exit_at_sigterm, exit_process


def run() -> NoReturn:
    """Run the command as the main program of a process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name that the terminal's encoding does not have is shown, not died of.
            stream.reconfigure(errors="backslashreplace")
    exit_at_sigterm()
    try:
        main()
    except SystemExit as system_exit:
        exit_process(system_exit)


if __name__ == "__main__":
    run()
