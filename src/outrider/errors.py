"""Everything that can go wrong, as the caller sees it.

OutriderError
  InvalidRequest        the request is wrong whatever the state
  Unauthenticated       the caller is not known
  PermissionDenied      the caller is known, and may not
  NotFound              no such target, execution, delivery, token or web key in this instance
  AlreadyExists         the name is taken
  FailedPrecondition    the request is right, the state is not
  ResourceExhausted     more than the limits allow
  Unimplemented         a later release answers this
  Unavailable           a dependency is down or stopping; asking again may work
  Internal              the instance lacks what it must have
  UnknownFailure        ZITADEL answers these with the code unknown, and so do we

StartupError is not in the tree: it is for the operator who starts a process, never for a caller.
What is not in this tree reaches the caller as `internal` with a reference and no text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Self


class Code(StrEnum):
    """The status codes of gRPC and Connect that outrider answers with, by their Connect names."""

    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    UNAUTHENTICATED = "unauthenticated"


class OutriderError(Exception):
    """A failure the caller is meant to read.

    The texts go to the caller as they are: never put a secret, a SQL fragment or another
    instance's identifier in them. `id` is ZITADEL's error id where it has one, else empty:
    then the wire shows the text alone, without an `ErrorDetail`, unless `has_detail` is set.

    A message of ZITADEL is fixed. `reason` says what it leaves out: what is wrong, with the value;
    `hint` says what to do next. Both are separate details on every wire.
    """

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self,
        message: str,
        id: str = "",  # noqa: A002 - the name on the wire
        *,
        reason: str = "",
        hint: str = "",
        has_detail: bool | None = None,
    ) -> None:
        super().__init__(message, id)
        self.message = message
        self.id = id
        self.has_detail = bool(id) if has_detail is None else has_detail
        self.added_reason = reason
        self.hint = hint
        self.target_id = ""
        self.interception_id = ""

    @property
    def reason(self) -> str:
        """The cause: the added reason, or the message if it contains the cause."""
        return self.added_reason or self.message

    def at(self, target_id: str, interception_id: str = "") -> Self:
        """Record which target interrupted which interception. Return the error itself.

        Callers see both as a detail. The log has the reason under `interception_id`.
        """
        self.target_id, self.interception_id = target_id, interception_id
        return self

    def __str__(self) -> str:
        """`<text> (<id>)`, as ZITADEL prints it; the text alone when there is no detail."""
        return f"{self.message} ({self.id})" if self.has_detail else self.message


class InvalidRequest(OutriderError):
    """The request is wrong whatever the state."""

    code = Code.INVALID_ARGUMENT


class Unauthenticated(OutriderError):
    """The caller is not known."""

    code = Code.UNAUTHENTICATED


class PermissionDenied(OutriderError):
    """The caller is known, and may not."""

    code = Code.PERMISSION_DENIED


class NotFound(OutriderError):
    """No such thing in this instance; another instance's things do not exist."""

    code = Code.NOT_FOUND


class AlreadyExists(OutriderError):
    """The name is taken."""

    code = Code.ALREADY_EXISTS


class FailedPrecondition(OutriderError):
    """The request is right, the state is not."""

    code = Code.FAILED_PRECONDITION


class ResourceExhausted(OutriderError):
    """More than the limits allow."""

    code = Code.RESOURCE_EXHAUSTED


class Unimplemented(OutriderError):
    """A later release answers this."""

    code = Code.UNIMPLEMENTED


class Unavailable(OutriderError):
    """A dependency is down or this process is stopping; asking again may work."""

    code = Code.UNAVAILABLE


class Internal(OutriderError):
    """The instance lacks what it must have; the text is ZITADEL's and names it."""

    code = Code.INTERNAL


class UnknownFailure(OutriderError):
    """An error that ZITADEL reports with the code unknown, and a detail that mostly has an empty id."""

    code = Code.UNKNOWN

    def __init__(self, message: str, id: str = "", *, reason: str = "", hint: str = "") -> None:  # noqa: A002 - the name on the wire
        super().__init__(message, id, reason=reason, hint=hint, has_detail=True)


class StartupError(Exception):
    """The process cannot start. The text tells what is wrong, where, and what to do."""
