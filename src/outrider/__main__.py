"""`python -m outrider` is the command `outrider`."""

from typing import NoReturn

from outrider.cli.exits import leave
from outrider.cli.main import main


def run() -> NoReturn:
    """The command, as a process of its own."""
    try:
        main()
    except SystemExit as ended:
        leave(ended)


if __name__ == "__main__":
    run()
