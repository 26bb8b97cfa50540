"""`python -m outrider_receiver handlers.py`: see `outrider_receiver.serve`."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outrider_receiver.receiver import Receiver
from outrider_receiver.serve import load_receiver, serve

if TYPE_CHECKING:
    from outrider_receiver.jose import Tokens

_MAX_PORT = 65535


def tokens_of(issuer: str, private_keys: Sequence[str]) -> Tokens:
    """Return what opens the tokens of this issuer.

    Raises:
        ImportError: the extra is not installed.
        OSError, ValueError: a private key is not there, or is none.
    """
    try:
        from outrider_receiver.jose import Tokens  # noqa: PLC0415 - the extra
        from outrider_receiver.jwks import Jwks  # noqa: PLC0415
    except ImportError as failure:
        raise ImportError(f"{failure}: pip install 'outrider-receiver[jose]'") from None
    named = [option.partition("=") for option in private_keys]
    if not all(path for _, _, path in named):
        raise ValueError("--private-key is KID=FILE")
    pems = {kid: Path(path).read_bytes() for kid, _, path in named}
    return Tokens(Jwks.of_issuer(issuer), private_keys=pems)


def port_of(text: str) -> int:
    """The number of a port; 0 takes a free one. Raise ValueError for what is none."""
    # int() alone also reads "8_080", " 80" and digits of other scripts.
    if not (text.isascii() and text.isdigit()) or int(text) > _MAX_PORT:
        raise ValueError(text)
    return int(text)


def loaded(path: Path) -> Receiver:
    """The receiver of a file.

    Raises:
        ValueError: it has none, or does not run; then the text says where it stopped.
    """
    try:
        return load_receiver(path)
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - whatever their code does
        line = _line_of(failure, path)
        if line is None:
            raise ValueError(failure) from None
        what = traceback.format_exception_only(type(failure), failure)[-1].strip()
        raise ValueError(f"{path}, line {line}: {what}") from None


def _line_of(failure: BaseException, path: Path) -> int | None:
    """The line of the file in which it happened; None when it happened elsewhere."""
    frames = traceback.extract_tb(failure.__traceback__)
    places = [(frame.filename, frame.lineno) for frame in frames]
    if isinstance(failure, SyntaxError) and failure.filename:
        places.append((failure.filename, failure.lineno))
    file = path.resolve()
    return next((line for name, line in reversed(places) if Path(name).resolve() == file), None)


def main() -> int:
    """Read the arguments and serve; 2 when something about them is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m outrider_receiver",
        description="Serve a file of handlers. The signing key comes from OUTRIDER_SIGNING_KEY.",
    )
    parser.add_argument("handlers", type=Path, help="a Python file that makes a Receiver")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument(
        "--port", type=port_of, default=8080, help="0 takes a free one (%(default)s)"
    )
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
        receiver = loaded(arguments.handlers)
        if arguments.issuer:
            receiver.use_tokens(tokens_of(arguments.issuer, arguments.private_key))
        _ = receiver.signing_keys  # now, not at the first call
    except (OSError, ValueError, ImportError) as failure:
        print(failure, file=sys.stderr)  # noqa: T201 - the program's own output
        return 2
    try:
        serve(receiver, arguments.host, arguments.port)
    except OSError as failure:
        where = f"{arguments.host} port {arguments.port}"
        advice = "choose another --host or --port"
        print(f"cannot listen on {where}: {failure.strerror}; {advice}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
