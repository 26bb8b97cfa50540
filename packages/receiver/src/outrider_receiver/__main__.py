"""`python -m outrider_receiver handlers.py`: see `outrider_receiver.serve`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outrider_receiver.serve import load_receiver, serve

if TYPE_CHECKING:
    from outrider_receiver.jose import Tokens


def tokens_of(issuer: str, private_keys: Sequence[str]) -> Tokens:
    """What opens the tokens of this issuer.

    Raises:
        ImportError: the extra is not installed.
        OSError, ValueError: a private key is not there, or is none.
    """
    from outrider_receiver.jose import Tokens  # noqa: PLC0415 - the extra
    from outrider_receiver.jwks import Jwks  # noqa: PLC0415

    named = [each.partition("=") for each in private_keys]
    pems = {kid: Path(path).read_bytes() for kid, _, path in named}
    return Tokens(Jwks.of_issuer(issuer), private_keys=pems)


def main() -> int:
    """Read the arguments and serve; 2 when something about them is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m outrider_receiver",
        description="Serve a file of handlers. The signing key comes from OUTRIDER_SIGNING_KEY.",
    )
    parser.add_argument("handlers", type=Path, help="a Python file that makes a Receiver")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    parser.add_argument("--issuer", help="accept JWTs by this issuer's keys; needs [jose]")
    parser.add_argument(
        "--private-key",
        action="append",
        default=[],
        metavar="KID=FILE",
        help="with --issuer: accept JWEs to this key in PEM, by the id of its public key; repeat it",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        receiver = load_receiver(arguments.handlers)
        if arguments.issuer:
            receiver.use_tokens(tokens_of(arguments.issuer, arguments.private_key))
        _ = receiver.signing_keys  # now, not at the first call
        serve(receiver, arguments.host, arguments.port)
    except (OSError, ValueError, ImportError) as failure:
        print(failure, file=sys.stderr)  # noqa: T201 - the program's own output
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
