# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Read files, options and standard input of commands: texts, payloads, events, messages.

Events are also divided into batches that the server takes in one call.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.message_text import message_from_text
from outrider.domain.formats.json_members import items_of

if TYPE_CHECKING:
    from protobuf import Message

    from outrider_api.outrider.v1.event_service_pb import Event

M = TypeVar("M", bound="Message")

# The server's limits for one call. A few bytes are left for the message around the events.
MAX_EVENTS = 1000
MAX_CALL_BYTES = 4 * 1024 * 1024 - 64 * 1024

STANDARD_INPUT = "-"


def read_bytes(source: str) -> bytes:
    """The bytes of a file, or of standard input for `-`.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        if source == STANDARD_INPUT:
            # It is None when the process was started with it closed.
            return sys.stdin.buffer.read() if sys.stdin else b""
        return Path(source).read_bytes()
    except OSError as error:
        raise CommandError(f"{source}: {error.strerror}", code=ExitCode.USAGE) from None


def read_source(source: str) -> str:
    """The text of a file, or of standard input for `-`.

    Raises:
        CommandError: it cannot be read, or is not UTF-8.
    """
    try:
        # Line ends as text files are read.
        return read_bytes(source).decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise CommandError(f"{source}: is not UTF-8: {error}", code=ExitCode.USAGE) from None


def read_payload(text: str) -> str:
    """The payload of `--payload`: JSON itself, `@file`, or `-`; unchanged, once it is an object."""
    if text == STANDARD_INPUT or text.startswith("@"):
        return read_object(text.removeprefix("@"))
    return _checked_object(text, "--payload")


def read_object(source: str) -> str:
    """The text of the JSON object in a file, or on standard input for `-`; unchanged."""
    return _checked_object(read_source(source), source)


def _checked_object(text: str, where: str) -> str:
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{where}: is not JSON: {error}", code=ExitCode.USAGE) from None
    if not is_object:
        raise CommandError(
            f'{where}: must be a JSON object, such as {{"a": 1}}', code=ExitCode.USAGE
        )
    return text.strip()


def read_message(source: str, kind: type[M]) -> M:
    """The message in a file, or on standard input for `-`; objects that it carries stay text.

    Raises:
        CommandError: it cannot be read, or is not JSON of this message.
    """
    text = read_source(source)
    try:
        if isinstance(json.loads(text), dict):
            return message_from_text(text, kind)
        problem = "must be a JSON object"
    except (ValueError, TypeError, RecursionError) as error:
        problem = str(error)
    raise CommandError(f"{source}: {problem}", code=ExitCode.USAGE)


def read_events(source: str) -> list[Event]:
    """The events of a file: a JSON list, or one JSON object on each line.

    Fields are those of `outrider.v1.Event`, in either spelling of protojson, or spelled as in the
    body that targets get.

    Raises:
        CommandError: naming the first event that cannot be read.
    """
    documents = list(_split_documents(read_source(source), source))
    if not documents:
        raise CommandError(
            f"{source}: holds no event",
            "write a JSON list of events, or one event on each line",
            code=ExitCode.USAGE,
        )
    return [_parse_event(document, f"{source}, {where}") for where, document in documents]


def batches_of(messages: Sequence[M]) -> Iterator[list[M]]:
    """Events, or entries, in order, divided into batches that the server takes in one call."""
    batch: list[M] = []
    size = 0
    for message in messages:
        bytes_of_one = len(message.to_binary())
        if batch and (len(batch) == MAX_EVENTS or size + bytes_of_one > MAX_CALL_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += bytes_of_one
    if batch:
        yield batch


def _split_documents(text: str, source: str) -> Iterator[tuple[str, str]]:
    if text.lstrip().startswith("["):
        _check_json(text, source)
        yield from ((f"event {number}", item.text) for number, item in enumerate(items_of(text), 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            _check_json(line, f"{source}, line {number}")
            yield f"line {number}", line


def _check_json(text: str, where: str) -> None:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(
            f"{where}: is not JSON: {error}",
            "write a JSON list of events, or one event on each line",
            code=ExitCode.USAGE,
        ) from None


def _parse_event(document: str, where: str) -> Event:
    from outrider_api.outrider.v1.event_service_pb import Event

    if not document.lstrip().startswith("{"):
        raise CommandError(f"{where}: an event must be a JSON object", code=ExitCode.USAGE)
    try:
        return message_from_text(document, Event)
    except (ValueError, TypeError) as error:
        raise CommandError(f"{where}: {error}", code=ExitCode.USAGE) from None
