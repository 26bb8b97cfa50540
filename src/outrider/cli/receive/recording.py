"""Calls in a file, one on each line, with secrets and personal data redacted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from outrider.cli.receive.answered_call import AnsweredCall, Headers, first_value
from outrider.cli.receive.redaction import CallRedaction
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.output import note

MAX_LINE_CHARS = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call to send again. `status` 0: it had no answer."""

    headers: Headers
    body: bytes
    status: int

    def header(self, name: str) -> str:
        """The first value of a header; empty when it did not come."""
        return first_value(self.headers, name)


class Recording:
    """A file that calls are added to. `add` raises `CommandError` when it cannot write."""

    def __init__(self, file: IO[str], redaction: CallRedaction) -> None:
        self._file = file
        self._redaction = redaction

    def add(self, call: AnsweredCall) -> None:
        """Write one call, redacted. A call whose body is no JSON object cannot be redacted: it is left out."""
        body = _parse_object(call.body)
        if body is None:
            note("not recorded: the body is not JSON, so it cannot be redacted")
            return
        response = _parse_object(call.response_body)
        line: dict[str, Any] = {
            "at": call.at.isoformat(),
            "target": self._redaction.text(call.target),
            "headers": self._redaction.headers(call.headers),
            "body": self._redaction.document(body),
            "status": call.status,
        }
        if response is not None:
            line["answer"] = self._redaction.document(response)
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as failure:
            message = f"a call could not be recorded: {failure.strerror}"
            raise CommandError(message, "make room for --out, or choose another one") from None


@contextmanager
def open_recording(path: Path, redaction: CallRedaction) -> Iterator[Recording]:
    """The file, for adding to what is there; a new one is for its owner alone.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as failure:
        raise CommandError(
            f"{path}: {failure.strerror}", "choose another --out", code=ExitCode.USAGE
        ) from None
    # Half a surrogate pair has no bytes: it is written as JSON writes it, \\ud800.
    file = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
    try:
        yield Recording(file, redaction)
    finally:
        with suppress(OSError):  # every call was written out when it was added, or said not to be
            file.close()


def read_recording(path: Path) -> Iterator[RecordedCall]:
    """The calls in their order.

    Raises:
        CommandError: the file cannot be read, or a line is no recorded call.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_CHARS), ""), 1):
                if line.strip():
                    yield _parse_line(path, number, line)
    except OSError as failure:
        raise CommandError(f"{path}: {failure.strerror}", code=ExitCode.USAGE) from None
    except UnicodeDecodeError as failure:
        raise CommandError(f"{path}: {failure}", code=ExitCode.USAGE) from None


def _parse_line(path: Path, number: int, line: str) -> RecordedCall:
    try:
        document = json.loads(line)
        headers = tuple((str(name), str(value)) for name, value in document["headers"])
        body = json.dumps(document["body"], ensure_ascii=False, separators=(",", ":"))
        return RecordedCall(
            headers, body.encode(errors="backslashreplace"), int(document["status"])
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CommandError(
            f"{path}, line {number}: this is no recorded call",
            "give a file that `outrider record` wrote",
            code=ExitCode.USAGE,
        ) from None


def _parse_object(body: bytes) -> Mapping[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
