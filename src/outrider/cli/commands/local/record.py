# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider record` and `outrider resend`: real calls, kept in a file and sent again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outrider.cli.commands.local.listen import MAX_PORT, TunnelName, TunnelTarget
from outrider.cli.remote.client import connect
from outrider.cli.terminal.options import DEFAULT_URL, DataDir, Token, Url, examples

if TYPE_CHECKING:
    from outrider.cli.receive.answered_call import AnsweredCallHandler
    from outrider.cli.receive.recording import Recording

RECORD_EXAMPLES = examples(
    "outrider record --out calls.jsonl                       (receive on port 8090)",
    "outrider record --out calls.jsonl --url https://outrider.example.com \\",
    "    --forward http://localhost:3000/hook",
    "outrider record --out calls.jsonl --unmask displayName --unmask locality",
)
RESEND_EXAMPLES = examples(
    "outrider resend calls.jsonl --to http://localhost:3000/hook --signing-key KEY",
)

Forward = Annotated[
    str,
    typer.Option(
        "--forward",
        metavar="URL",
        help="Connect to the server at --url, forward its calls to this URL, and record calls and "
        "responses.",
    ),
]


def record(
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="File that gets one line per call.")],
    unmask: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Field or header that is not redacted. Repeatable."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_PORT, metavar="PORT", help="Port to listen on. 0: any free port."
        ),
    ] = 8090,
    signing_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            envvar="OUTRIDER_SIGNING_KEY",
            help="Signing key of the target. A call with another signature gets 401 and is not recorded.",
        ),
    ] = None,
    forward: Forward = "",
    name: TunnelName = "",
    target: TunnelTarget = "",
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
) -> None:
    """Write calls to a file, with secrets and personal data redacted. Ctrl-C stops the command.

    The command redacts signatures, tokens, passwords, codes, cookies, e-mail addresses, phone
    numbers, names of people and values of user metadata. Read the file before you share it.
    """
    from outrider.cli.receive.recording import open_recording
    from outrider.cli.receive.redaction import CallRedaction

    with open_recording(out, CallRedaction(unmask or ())) as recording:
        if forward:
            from outrider.cli.receive.forward import ForwardOptions, checked_name
            from outrider.cli.receive.forward import forward as run_forward

            options = ForwardOptions(url=forward, name=checked_name(name), target_id=target)
            run_forward(connect(url, token, data_dir), options, _record_and_print(recording))
        else:
            from outrider.cli.receive.recorder import record_here

            record_here(recording, signing_key or [], port)


def resend(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File that `outrider record` wrote.")
    ],
    to: Annotated[str, typer.Option(metavar="URL", help="URL of the receiver.")],
    signing_key: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            envvar="OUTRIDER_SIGNING_KEY",
            help="Key that the receiver verifies with.",
        ),
    ],
) -> None:
    """Send recorded calls to a receiver in their order, with new signatures.

    The command exits with 1 if a response has another status than the recorded one. To repeat
    deliveries of a server, use `outrider delivery replay`.
    """
    from outrider.cli.receive.resend import resend_calls
    from outrider.cli.remote.client import checked_url

    if not signing_key:
        raise typer.BadParameter(
            "the signing key is empty: set the variable, or give --signing-key"
        )
    checked_url(to.partition("?")[0], "--to")
    raise typer.Exit(resend_calls(file, to, signing_key))


def _record_and_print(recording: Recording) -> AnsweredCallHandler:
    from outrider.cli.receive.answered_call import AnsweredCall
    from outrider.cli.receive.forward import print_answered_call

    def record_and_print(call: AnsweredCall) -> None:
        recording.add(call)
        print_answered_call(call)

    return record_and_print
