# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider target test`: call a target once, with a sample or a payload, and print the attempt."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import typer

from outrider.cli.remote.client import connect
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.input_files import read_object
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import pretty_body, print_fields, print_json, short_enum, text_of

# A target may take 270 s.
TIMEOUT_MS = 300_000
OUTCOME_PREFIX = "OUTCOME_"
ACCEPTED = "accepted"
EXAMPLES = examples(
    "outrider target test 336392597046099971",
    "outrider target test 336392597046099971 --file payload.json",
)


def send_sample_call(
    *,
    target_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the target.")],
    file: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="JSON object to send instead of a sample."),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send a test call to a target and apply its response as a real call does.

    A header marks the test call. It is not in the delivery log. The command exits with 1 if the
    target does not accept the call, or if outrider cannot apply the response.
    """
    from outrider_api.outrider.v1.target_policy_service_pb import TestTargetRequest

    payload = "" if file is None else read_object(file)
    server = connect(url, token, data_dir)
    response = server.call(
        partial(server.policies.test_target, timeout_ms=TIMEOUT_MS),
        TestTargetRequest(target_id=target_id, payload_json=payload),
        advice="see `outrider target list`",
    )
    attempt = response.get("attempt", {})
    if as_json:
        print_json(response)
    else:
        _print_attempt(attempt, response)
    outcome = short_enum(text_of(attempt, "outcome"), OUTCOME_PREFIX)
    if outcome != ACCEPTED:
        raise CommandError(f"the target does not accept: {outcome}")


def _caller_error(response: Mapping[str, Any]) -> str:
    error = response.get("callerError")
    return f"{error['message']} ({error['code']})" if error else ""


def _print_attempt(attempt: Mapping[str, Any], response: Mapping[str, Any]) -> None:
    print_fields(
        {
            "outcome": short_enum(text_of(attempt, "outcome"), OUTCOME_PREFIX),
            "status": text_of(attempt, "statusCode"),
            "took": text_of(attempt, "duration"),
            "stage": text_of(attempt, "stage"),
            "error": text_of(attempt, "error"),
            "execution": text_of(response, "execution"),
            "caller gets": _caller_error(response),
        }
    )
    body_prefix = base64.b64decode(text_of(attempt, "responseBodyPrefix"))
    if body_prefix:
        print("\nAnswer")
        print(pretty_body(body_prefix))
    print("\nPayload")
    print(pretty_body(base64.b64decode(text_of(response, "payload"))))
