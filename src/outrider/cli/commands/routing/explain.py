# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider explain`: which execution would match, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import note, print_json, print_table, text_of

if TYPE_CHECKING:
    from outrider_api.outrider.v1.interception_service_pb import ExplainRequest

app = typer.Typer(
    help="Show which execution matches, and why. The command calls no target.", no_args_is_help=True
)

METHOD = "/zitadel.session.v2.SessionService/ListSessions"
ADVICE = "a method is /package.Service/Method, an event type has no wildcard"

Method = Annotated[
    str, typer.Argument(metavar="METHOD", help="Method, as /package.Service/Method.")
]


@app.command("request", epilog=examples(f"outrider explain request {METHOD}"))
def explain_request(
    *,
    method: Method,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the execution and the targets for a request."""
    _explain(connect(url, token, data_dir), {"method": method}, as_json=as_json)


@app.command("response", epilog=examples(f"outrider explain response {METHOD}"))
def explain_response(
    *,
    method: Method,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the execution and the targets for a response."""
    query = {"method": method, "response": True}
    _explain(connect(url, token, data_dir), query, as_json=as_json)


@app.command("function", epilog=examples("outrider explain function preuserinfo"))
def explain_function(
    *,
    function: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the function, such as preuserinfo.")
    ],
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the execution and the targets for a function."""
    _explain(connect(url, token, data_dir), {"function": function}, as_json=as_json)


@app.command("event", epilog=examples("outrider explain event user.human.added --json"))
def explain_event(
    *,
    event_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="Event type, such as user.human.added.")
    ],
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the execution and the targets for an event type."""
    _explain(connect(url, token, data_dir), {"eventType": event_type}, as_json=as_json)


def _explain(server: RemoteServer, query: Mapping[str, object], *, as_json: bool) -> None:
    from outrider_api.outrider.v1.interception_service_pb import ExplainRequest

    request = ExplainRequest.from_json(json.dumps(query))
    response = server.call(server.interceptions.explain, request, advice=ADVICE)
    if as_json:
        print_json(response)
        return
    if response.get("unknown"):
        _note_unknown(request, response)
    _print_candidates(response)
    shadowed = [text_of(found, "id") for found in response.get("candidates", ())[1:]]
    if response.get("matched"):
        if shadowed:
            note(
                f"{response['matched']} shadows {', '.join(shadowed)}: only its targets are called."
            )
        print("\nTargets, in calling order")
        _print_targets(response)
    else:
        note("Nothing matches.")


def _note_unknown(request: ExplainRequest, response: Mapping[str, Any]) -> None:
    name = "" if request.subject is None else request.subject.value
    text = f"{name} is unknown"
    suggestions = response.get("suggestions", ())
    if suggestions:
        note(f"{text}; did you mean {' or '.join(suggestions)}?")
    else:
        note(f"{text}: it was never registered or published. See `outrider catalogue list`.")


def _print_candidates(response: Mapping[str, Any]) -> None:
    print_table(
        ("EXECUTION", "WHY"),
        [
            (text_of(candidate, "id"), text_of(candidate, "reason"))
            for candidate in response.get("candidates", ())
        ],
        empty="No execution matches. Bind one with `outrider execution set`.",
    )


def _print_targets(response: Mapping[str, Any]) -> None:
    print_table(
        ("TARGET", "NAME", "CALLED", "WHY"),
        [
            (
                text_of(target, "targetId"),
                text_of(target, "name"),
                "yes" if target.get("willCall") else "no",
                text_of(target, "reason"),
            )
            for target in response.get("targets", ())
        ],
        empty="None: all targets are deleted.",
    )
