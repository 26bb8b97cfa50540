"""Messages as people keep them in files: protojson, checked before anything is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.input_files import read_source

if TYPE_CHECKING:
    from protobuf import Message

M = TypeVar("M", bound="Message")


def read_message(source: str, kind: type[M]) -> M:
    """The message in a file, or on standard input for `-`.

    Raises:
        CommandError: it cannot be read, or is not JSON of this message.
    """
    text = read_source(source)
    try:
        if isinstance(json.loads(text), dict):
            return kind.from_json(text)
        problem = "must be a JSON object"
    except (ValueError, TypeError, RecursionError) as error:
        problem = str(error)
    raise CommandError(f"{source}: {problem}", code=ExitCode.USAGE)
