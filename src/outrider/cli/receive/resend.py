# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Run `outrider resend`: send recorded calls with new signatures to a receiver."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from outrider.cli.receive.listen import subject_of
from outrider.cli.receive.recording import RecordedCall, read_recording
from outrider.cli.terminal.errors import ExitCode
from outrider.cli.terminal.output import note, printable
from outrider.domain.calls.request import OutboundRequest, RequestError
from outrider.domain.calls.signature import (
    SIGNATURE_HEADERS,
    standard_webhooks_headers,
    zitadel_signature,
)
from outrider.runtime import utc_now

TIMEOUT_S = 30.0
# Headers that are computed again, or that were about the recorded connection.
_NOT_SENT_AGAIN = frozenset(
    {
        *(name.lower() for name in SIGNATURE_HEADERS),
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "host",
        "content-length",
        "connection",
        "expect",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OK = range(200, 300)


def resend_calls(path: Path, url: str, signing_key: str) -> ExitCode:
    """Send every call of the file, one after the other; OK when all are answered as they were.

    Raises:
        CommandError: the file is no recording.
    """
    return asyncio.run(_resend_calls(path, url, signing_key))


async def _resend_calls(path: Path, url: str, signing_key: str) -> ExitCode:
    from outrider.bootstrap.http_client import open_http_client
    from outrider.config.loading import from_arguments

    settings = from_arguments({"egress_profile": "dev"}, {})
    sent = different = 0
    async with open_http_client(settings, 1) as client:
        for call in read_recording(path):
            sent += 1
            request = OutboundRequest(
                url, signed_headers(call, signing_key, sent), call.body, TIMEOUT_S
            )
            try:
                status, failure = (await client.send(request)).status, ""
            except RequestError as error:
                status, failure = 0, error.reason
            different += not _print_result(call, status, failure)
    note(f"{sent} sent, {different} answered differently")
    return ExitCode.FAILED if different or not sent else ExitCode.OK


def signed_headers(
    call: RecordedCall, signing_key: str, number: int
) -> tuple[tuple[str, str], ...]:
    """The headers of a call as outrider would send it now."""
    at = int(utc_now().timestamp())
    headers = [header for header in call.headers if header[0].lower() not in _NOT_SENT_AGAIN]
    message_id = call.header("webhook-id").replace(".", "") or f"resend-{number}"
    signature = zitadel_signature(call.body, [signing_key], at)
    standard = standard_webhooks_headers(call.body, message_id, [signing_key], at)
    return (*headers, *((name, signature) for name in SIGNATURE_HEADERS), *standard.items())


def _print_result(call: RecordedCall, status: int, failure: str) -> bool:
    """Print one line. Return whether the answer is as it was."""
    expected = status == call.status if call.status else status in _OK
    answered = f"answered {status}" if status else f"failed: {failure}"
    was = "" if expected else f"was {call.status or 'not answered'}"
    styled = typer.style(printable(answered), fg="green" if expected else "red")
    parts = [printable(subject_of(call.body)), styled, was]
    typer.echo("  ".join(part for part in parts if part))
    return expected
