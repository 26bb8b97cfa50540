# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Translate a failed call of a server for the user of a command."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from outrider.cli.terminal.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from connectrpc.errors import ConnectError
    from protobuf import Message

ADVICE_ON_ACCESS = "give --token or OUTRIDER_TOKEN, or --data-dir with the server's data directory"

# ZITADEL answers "not found" to a valid token whose account has no role at all.
_NO_ROLE = "AUTHZ-cdgFk"

DetailT = TypeVar("DetailT", bound="Message")


def command_error(error: ConnectError, url: str, advice: str = "") -> CommandError:
    """Return the error of a failed call for the user of the command.

    `advice` is what the command says to do; what the server says is added.
    """
    from outrider_api.outrider.v1.error_pb import ReasonDetail

    shown = _interruption(error) or _shown(error, url, advice)
    detail = _detail(error, ReasonDetail)
    shown.status = error.code.value
    if detail is not None:
        shown.reason = detail.reason
        if shown.code is not ExitCode.STOPPED:
            shown.advice = _next_step(shown.advice, detail.hint)
    return shown


def _next_step(advice: str, hint: str) -> str:
    """Return the next action: the command's advice, and the server's hint."""
    if not hint or not advice or advice.startswith("see "):
        return hint or advice
    return f"{advice}; {hint}"


def _shown(error: ConnectError, url: str, advice: str) -> CommandError:
    from connectrpc.code import Code

    if error.code is Code.UNAVAILABLE and _is_from_server(error):
        return CommandError(
            f"{url} cannot do this now: {error.message}",
            "the server runs: see its log, and `outrider doctor` on its machine",
            code=ExitCode.UNREACHABLE,
        )
    if error.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
        return CommandError(
            f"cannot reach {url}: {_reason(error.message)}",
            "start the server there, or name another one with --url or OUTRIDER_URL",
            code=ExitCode.UNREACHABLE,
        )
    if error.code is Code.UNAUTHENTICATED:
        return CommandError(
            f"{url} does not accept the token: {error.message}",
            ADVICE_ON_ACCESS,
            code=ExitCode.NOT_ALLOWED,
        )
    if error.code is Code.PERMISSION_DENIED or _NO_ROLE in error.message:
        return CommandError(
            f"{url} does not allow this: {error.message}",
            "give the account of the token another role; see `outrider token create --help`",
            code=ExitCode.NOT_ALLOWED,
        )
    if error.code is Code.UNIMPLEMENTED or (error.code is Code.NOT_FOUND and not advice):
        advice = f"see whether {url} is an outrider server, and as new as this command"
    return CommandError(f"{error.message} ({error.code.value})", advice)


def _interruption(error: ConnectError) -> CommandError | None:
    from outrider_api.outrider.v1.interception_service_pb import InterruptDetail

    detail = _detail(error, InterruptDetail)
    if detail is None:
        return None
    target_id, interception_id = detail.target_id, detail.interception_id
    # The code is the target's and says nothing about this caller.
    return CommandError(
        f"{error.message} ({error.code.value})",
        f"target {target_id} interrupted the call: see `outrider target get {target_id}`, and the"
        f" reason in the server's log with the interception_id {interception_id}",
        code=ExitCode.STOPPED,
    )


def _detail(error: ConnectError, kind: type[DetailT]) -> DetailT | None:
    name = kind.desc().type_name
    found = [detail for detail in error.details if detail.type_name == name]
    return found[0].value(kind) if found else None


def _is_from_server(error: ConnectError) -> bool:
    # The library's own have a cause, and what a proxy answers has the name of its status.
    phrases = {httpstatus.phrase for httpstatus in HTTPStatus}
    return error.__cause__ is None and error.message not in phrases


def _reason(message: str) -> str:
    # The HTTP library tells the whole chain of causes, and the URL again.
    library = message.startswith("Request failed: ")
    return message.rpartition(": ")[2] if library else message
