"""`python -m outrider_receiver handlers.py`: see `outrider_receiver.serve`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from outrider_receiver.serve import load_receiver, serve


def main() -> int:
    """Read the arguments and serve; 2 when something about them is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m outrider_receiver",
        description="Serve a file of handlers. The signing key comes from OUTRIDER_SIGNING_KEY.",
    )
    parser.add_argument("handlers", type=Path, help="a Python file that makes a Receiver")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        receiver = load_receiver(arguments.handlers)
        _ = receiver.signing_keys  # now, not at the first call
        serve(receiver, arguments.host, arguments.port)
    except (OSError, ValueError) as failure:
        print(failure, file=sys.stderr)  # noqa: T201 - the program's own output
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
