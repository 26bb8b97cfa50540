"""Map an exception to the error that callers see, the same on every wire.

- An `OutriderError` with an id: its code, `<text> (<ID>)`, and one `zitadel.v1.ErrorDetail`;
  of a target that interrupted, also `outrider.v1.InterruptDetail`.
- An `OutriderError` without: its code and its text.
- Either may have an `outrider.v1.ReasonDetail`, the last of its details: what is wrong, what to do.
- The caller's own mistake: the protocol library's text about it, shortened.
- Anything else: `internal error, reference <8 hex digits>`. The exception goes to the log under
  that reference, and nowhere else.

Every text is bounded here: on gRPC it is sent three times, percent-encoded in one header and twice in
another, and clients take 8 KiB of headers.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from protobuf import Message, message_to_json_value

from outrider.api.asgi.error_details import readable_detail
from outrider.api.asgi.limits import ERROR_TEXT_CHARS, TOO_LARGE
from outrider.api.asgi.types import DisconnectedError
from outrider.domain.formats import bounded_text
from outrider.errors import OutriderError
from outrider.usecases.ports.log import Log
from outrider_api.google.rpc.status_pb import Status
from outrider_api.outrider.v1.error_pb import ReasonDetail
from outrider_api.outrider.v1.interception_service_pb import InterruptDetail
from outrider_api.zitadel.message_pb import ErrorDetail

ERROR_MESSAGES = (
    Status.desc(),
    ErrorDetail.desc(),
    InterruptDetail.desc(),
    ReasonDetail.desc(),
)
"""What errors are made of on gRPC: the status, and every message that may be in its `Any`."""

REFERENCE_BYTES = 4

INTERCEPTION_ID = "outrider-interception-id"
"""The response header with the id that finds in the log how the targets of a call were called."""

MAX_ERROR_BYTES = 1024
"""Of a text that a caller sees, in UTF-8."""

MAX_REASON_BYTES = 400
"""Of a reason, and of a hint, in UTF-8."""

# What the generated services raise where a handler is missing.
NO_HANDLER = "Not implemented"

# How the protocol library begins its texts about frames that callers got wrong; it calls some of
# them internal.
PROTOCOL_ERROR = "protocol error"

# The protocol library's codes for requests, deadlines and lost callers. Its other codes are about
# this server, and their texts may tell too much.
CLIENT_CAUSED = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.UNIMPLEMENTED,
        Code.DEADLINE_EXCEEDED,
        Code.CANCELED,
    }
)


def new_reference() -> str:
    """Eight hexadecimal digits that join what the caller saw to the log."""
    return secrets.token_hex(REFERENCE_BYTES)


class ErrorMapper:
    """Turns exceptions into what callers may see, and logs those that are internal."""

    def __init__(self, log: Log, reference: Callable[[], str] = new_reference) -> None:
        self._log = log
        self._reference = reference

    def to_connect_error(self, error: BaseException, method: str) -> ConnectError:
        """The error that the caller of `method` sees instead of `error`."""
        if isinstance(error, OutriderError):
            return from_outrider(error)
        if isinstance(error, DisconnectedError):
            return ConnectError(Code.CANCELED, "the caller left")
        if isinstance(error, ConnectError):
            client_error = from_library(error, method)
            if client_error is not None:
                return client_error
        return self.to_internal_error(error, method)

    def to_internal_error(self, error: BaseException, method: str) -> ConnectError:
        """Logs the exception under the reference, which is all that the returned error has."""
        reference = self._reference()
        self._log.error("rpc.failed", method=method, reference=reference, exc_info=error)
        return ConnectError(Code.INTERNAL, f"internal error, reference {reference}")


def from_outrider(error: OutriderError) -> ConnectError:
    """An error that callers are meant to read."""
    message = bounded(error.message)
    details: list[Message] = []
    if error.has_detail:
        details.append(ErrorDetail(id=error.id, message=message))
    if error.target_id:
        details.append(
            InterruptDetail(target_id=error.target_id, interception_id=error.interception_id)
        )
    if error.added_reason or error.hint:
        details.append(
            ReasonDetail(
                reason=bounded_text.bounded(error.added_reason, MAX_REASON_BYTES),
                hint=bounded_text.bounded(error.hint, MAX_REASON_BYTES),
            )
        )
    text = f"{message} ({error.id})" if error.has_detail else message
    return ConnectError(Code(error.code.value), text, details)


def error_document(error: ConnectError) -> dict[str, Any]:
    """The error as REST answers it: `detail` is the first of `details`."""
    details = [
        readable_detail(
            {
                "type": detail.type_name,
                "value": base64.b64encode(detail.message_bytes).decode().rstrip("="),
                "debug": message_to_json_value(message),
            }
        )
        for detail in error.details
        if (message := detail.value()) is not None
    ]
    shown = {"detail": details[0], "details": details} if details else {}
    return {"code": error.code.value, "message": error.message, **shown}


def from_library(error: ConnectError, method: str) -> ConnectError | None:
    """An error of the protocol library that the caller caused, or None."""
    if error.code is Code.RESOURCE_EXHAUSTED:
        return ConnectError(Code.INVALID_ARGUMENT, too_large(error.message))
    if error.code is Code.UNIMPLEMENTED and error.message == NO_HANDLER:
        return ConnectError(Code.UNIMPLEMENTED, f"{method} is not implemented")
    if error.message.startswith(PROTOCOL_ERROR):
        return ConnectError(Code.INVALID_ARGUMENT, shortened(error.message))
    if error.code not in CLIENT_CAUSED:
        return None
    return ConnectError(error.code, shortened(error.message))


def bounded(text: str) -> str:
    """A text as callers may see it: what it quotes may have any size."""
    return bounded_text.bounded(text, MAX_ERROR_BYTES)


def too_large(library_text: str) -> str:
    """Our words for a message beyond the limit, which the library's text ends with."""
    limit = library_text.rpartition(" ")[2]
    return f"request is larger than {limit} bytes" if limit.isdigit() else TOO_LARGE


def shortened(text: str) -> str:
    """Texts of decoding errors quote the request, whatever its size."""
    return bounded(text if len(text) <= ERROR_TEXT_CHARS else text[:ERROR_TEXT_CHARS] + "…")
