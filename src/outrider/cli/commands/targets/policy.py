# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider target policy`, `pause` and `resume`: how a target is called, and whether it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from outrider.cli.commands.targets.policy_changes import replaced_settings
from outrider.cli.remote.client import RemoteServer
from outrider.cli.remote.command_group import CommandGroup
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.input_files import read_source
from outrider.cli.terminal.message_text import message_from_json
from outrider.cli.terminal.options import AsJson, examples
from outrider.cli.terminal.output import (
    note,
    print_fields,
    print_json,
    printable,
    short_time,
    text_of,
)
from outrider.cli.terminal.parsing import parse_duration

app = CommandGroup(
    help="Manage target policies: retries, limits, order, headers, TLS.", no_args_is_help=True
)

ADVICE = "see `outrider target list`"
PAUSE_EXAMPLES = examples("outrider target pause 336392597046099971")
RESUME_EXAMPLES = examples("outrider target resume 336392597046099971")

TargetArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the target.")]
Waits = Annotated[
    list[str] | None,
    typer.Option(metavar="DURATION", help="Wait before a retry. Repeat the option for each retry."),
]
Statuses = Annotated[
    list[int] | None,
    typer.Option(min=100, max=599, metavar="N", help="Status that is not retried. Repeatable."),
]


class Ordering(StrEnum):
    """In which order events are delivered."""

    UNORDERED = "unordered"
    BY_AGGREGATE = "by-aggregate"


class OnDead(StrEnum):
    """The effect of a dead delivery on later events of its aggregate."""

    SKIP = "skip"
    HALT = "halt"


class OnUnreachable(StrEnum):
    """The effect of an unreachable target on an interception."""

    CONTINUE = "continue"
    INTERRUPT = "interrupt"


@app.command("get", epilog=examples("outrider target policy get 336392597046099971"))
def get_policy(
    *,
    target_id: TargetArgument,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Show the policy of a target without its secrets, its pause state and its breaker."""
    response = _read_policy(server, target_id)
    if as_json:
        print_json(response)
        return
    open_until = short_time(text_of(response, "breakerOpenUntil"))
    print_fields(
        {
            "changed": short_time(text_of(response, "changeDate")) or "never",
            "paused": short_time(text_of(response, "pausedAt")) or "no",
            "breaker": f"open until {open_until}" if open_until else "closed",
        }
    )
    policy = response.get("policy")
    print(json.dumps(policy, indent=2) if policy else "Everything has its default.")


Jitter = Annotated[
    float | None,
    typer.Option(min=0, max=1, metavar="SHARE", help="Share of a wait that is random."),
]
MaxAge = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Age after which a delivery is not retried."),
]
OnDeadOption = Annotated[
    OnDead | None,
    typer.Option(
        help="After a dead delivery: skip it and continue with the next event of the aggregate, or halt."
    ),
]
BreakerFailures = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Consecutive failures that open the breaker. 0: never."),
]
OnUnreachableOption = Annotated[
    OnUnreachable | None,
    typer.Option(help="What an interception does if the target is unreachable."),
]
CaFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="PEM file of the certificate authorities to trust."),
]


@app.command(
    "set",
    epilog=examples(
        "outrider target policy set 336392597046099971 --max-concurrency 4 --rate 10",
        "outrider target policy set 336392597046099971 --wait 5s --wait 1m --wait 1h",
        "outrider target policy set 336392597046099971 --ordering by-aggregate --on-dead halt",
        "outrider target policy set 336392597046099971 --file policy.json",
        "",
        "The command changes only the given options. A file replaces the whole policy. It has the",
        "format of `get --json`; {} restores all defaults. Headers, client certificates and proxies",
        "contain secrets: use a file or --file - for them, because other users of the machine can",
        "read the command line.",
    ),
)
def set_policy(
    *,
    target_id: TargetArgument,
    file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="JSON file with the whole policy.")
    ] = None,
    wait: Waits = None,
    jitter: Jitter = None,
    max_age: MaxAge = None,
    final_status: Statuses = None,
    max_concurrency: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Most calls at the same time.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Most calls per second. 0: unlimited.")
    ] = None,
    ordering: Annotated[
        Ordering | None, typer.Option(help="Order in which events are delivered.")
    ] = None,
    on_dead: OnDeadOption = None,
    breaker_failures: BreakerFailures = None,
    breaker_open_for: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long the breaker stays open.")
    ] = None,
    on_unreachable: OnUnreachableOption = None,
    ca_file: CaFile = None,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Change the policy of a target, or replace it with a file."""
    changes = {
        "retry.waits": [_seconds(duration, "--wait") for duration in wait or ()] or None,
        "retry.jitter": jitter,
        "retry.maxAge": None if max_age is None else _seconds(max_age, "--max-age"),
        "retry.finalStatuses": final_status or None,
        "maxConcurrency": max_concurrency,
        "ratePerSecond": rate,
        "ordering": _enum_name("ORDERING", ordering),
        "onDead": _enum_name("ON_DEAD", on_dead),
        "breaker.failures": breaker_failures,
        "breaker.openFor": _breaker_seconds(breaker_open_for),
        "onUnreachable": _enum_name("ON_UNREACHABLE", on_unreachable),
        "tls.caPem": None if ca_file is None else read_source(ca_file),
    }
    given = {path: value for path, value in changes.items() if value is not None}
    if (file is None) is not bool(given):
        raise typer.BadParameter("give either --file or what is to change")
    _set_policy(server, target_id, file, given, as_json=as_json)


def pause_target(
    *,
    target_id: TargetArgument,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Pause a target. outrider makes no attempts until an operator resumes the target."""
    from outrider_api.outrider.v1.target_policy_service_pb import PauseTargetRequest

    request = PauseTargetRequest(target_id=target_id)
    response = server.call(server.policies.pause_target, request, advice=ADVICE)
    if as_json:
        print_json(response)
        return
    print_fields({"paused": short_time(text_of(response, "changeDate"))})
    note(f"Resume the target with: outrider target resume {target_id}")


def resume_target(
    *,
    target_id: TargetArgument,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Resume the deliveries of a paused target."""
    from outrider_api.outrider.v1.target_policy_service_pb import ResumeTargetRequest

    request = ResumeTargetRequest(target_id=target_id)
    response = server.call(server.policies.resume_target, request, advice=ADVICE)
    if as_json:
        print_json(response)
    elif response:
        print_fields({"resumed": short_time(text_of(response, "changeDate"))})
    else:
        note("The target was not paused.")


def _read_policy(server: RemoteServer, target_id: str) -> dict[str, Any]:
    from outrider_api.outrider.v1.target_policy_service_pb import GetTargetPolicyRequest

    request = GetTargetPolicyRequest(target_id=target_id)
    return server.call(server.policies.get_target_policy, request, advice=ADVICE)


def _set_policy(
    server: RemoteServer,
    target_id: str,
    file: str | None,
    given: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    from outrider_api.outrider.v1.target_policy_service_pb import (
        SetTargetPolicyRequest,
        TargetPolicy,
    )

    former = _read_policy(server, target_id)
    document = (
        _with_changes(copy.deepcopy(former), given) if file is None else _read_policy_file(file)
    )
    try:
        policy = message_from_json(json.dumps(document), TargetPolicy)
    except ValueError as error:
        raise CommandError(f"{file or 'policy'}: {error}", code=ExitCode.USAGE) from None
    request = SetTargetPolicyRequest(target_id=target_id, policy=policy)
    response = server.call(server.policies.set_target_policy, request, advice=ADVICE)
    replaced = replaced_settings(former.get("policy", {}), json.loads(policy.to_json()))
    if as_json:
        print_json({**response, "replaced": replaced} if replaced else response)
        return
    print_fields({"changed": short_time(text_of(response, "changeDate"))})
    if replaced:
        note(f"replaced: {printable('; '.join(replaced))}")


def _with_changes(response: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    policy: dict[str, Any] = response.get("policy", {})
    for path, value in given.items():
        part, _, name = path.rpartition(".")
        (policy.setdefault(part, {}) if part else policy)[name] = value
    return policy


def _read_policy_file(source: str) -> dict[str, Any]:
    """The policy in a file: alone, or as `get --json` prints it."""
    try:
        document = json.loads(read_source(source))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{source}: is not JSON: {error}", code=ExitCode.USAGE) from None
    if isinstance(document, dict):
        document = document.get("policy", document)
    if not isinstance(document, dict):
        raise CommandError(f"{source}: a policy must be a JSON object", code=ExitCode.USAGE)
    return document


def _enum_name(prefix: str, chosen: StrEnum | None) -> str | None:
    return None if chosen is None else f"{prefix}_{chosen.name}"


def _breaker_seconds(text: str | None) -> str | None:
    return None if text is None else _seconds(text, "--breaker-open-for")


def _seconds(text: str, option: str) -> str:
    """A duration as protojson writes it."""
    microseconds = parse_duration(text, option) // timedelta(microseconds=1)
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}s"
