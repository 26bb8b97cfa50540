# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Run `outrider listen --forward`, from the target to the last line that is printed."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from typing import Any

import typer

from outrider.cli.receive.answered_call import AnsweredCall, AnsweredCallHandler
from outrider.cli.receive.forwarder import Forwarder
from outrider.cli.receive.listen import subject_of
from outrider.cli.remote.client import RemoteServer, checked_url
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.output import note, own_command, print_json_line, printable, text_of
from outrider.cli.terminal.running import until_stopped
from outrider.domain.targets.tunnel import TUNNEL_NAME, tunnel_of

CALLS_AT_ONCE = 16
MAX_NAME_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardOptions:
    """The URL to which calls are forwarded, and the tunnel.

    `name` empty: of the machine. `target_id` empty: the tunnel's own target, made if there is none.
    """

    url: str
    name: str = ""
    target_id: str = ""


def forward(
    server: RemoteServer, options: ForwardOptions, on_answered: AnsweredCallHandler
) -> None:
    """Forward until Ctrl-C or SIGTERM.

    Raises:
        CommandError: the target is not one of a tunnel, or the server refuses.
    """
    checked_url(options.url, "--forward")
    asyncio.run(_forward(server, options, on_answered))


async def _forward(
    server: RemoteServer, options: ForwardOptions, on_answered: AnsweredCallHandler
) -> None:
    from outrider.bootstrap.http_client import open_http_client
    from outrider.config.loading import from_arguments

    target = ForwardTarget(server, options)
    name = await asyncio.to_thread(target.tunnel_name)
    # The developer chose the URL: it may be on this machine or in its network.
    settings = from_arguments({"egress_profile": "dev"}, {})
    async with open_http_client(settings, CALLS_AT_ONCE) as client:
        forwarder = Forwarder(
            server=server,
            name=name,
            url=options.url,
            client=client,
            on_open=target.on_open,
            on_answered=on_answered,
            say=lambda text: note(printable(text)),
        )
        await until_stopped(forwarder.run())


class ForwardTarget:
    """The target that is answered from here."""

    def __init__(self, server: RemoteServer, options: ForwardOptions) -> None:
        self._server = server
        self._options = options
        self._is_known = False

    def tunnel_name(self) -> str:
        """Return the tunnel to listen to.

        Raises:
            CommandError: the target that was named leads elsewhere.
        """
        if not self._options.target_id:
            return self._options.name or machine_name(socket.gethostname())
        from outrider_api.zitadel.action.v2.action_service_pb import GetTargetRequest

        response = self._server.call(
            self._server.actions.get_target,
            GetTargetRequest(id=self._options.target_id),
            advice="see `outrider target list`",
        )
        endpoint = text_of(response.get("target", {}), "endpoint")
        tunnel = tunnel_of(endpoint)
        if tunnel is None:
            raise CommandError(
                f"target {self._options.target_id} is called at {endpoint}",
                "leave out --target: a target for this machine is made, or used again",
            )
        return tunnel.name

    async def on_open(self, endpoint: str) -> None:
        """Print where calls come from; the first time, find or create the target."""
        if self._is_known:
            note("reconnected")
            return
        target = await asyncio.to_thread(self._find_or_create, endpoint)
        self._is_known = True
        note(f"forwarding {endpoint} to {printable(self._options.url)}")
        note(f"target {target['id']}, signing key {target['signingKey']}")
        note(f"Bind it with: {own_command()} execution set event/user.human.added {target['id']}")

    def _find_or_create(self, endpoint: str) -> dict[str, str]:
        if self._options.target_id:
            return self._read_target(self._options.target_id)
        tunnel = tunnel_of(endpoint)
        name = f"tunnel {tunnel.name if tunnel else ''}".strip()
        for found in self._targets_named(name):
            if text_of(found, "endpoint") == endpoint:
                return self._read_target(text_of(found, "id"))
            raise CommandError(
                f"there is a target {name!r} that is called elsewhere",
                "choose another --name, or delete that target",
            )
        return self._create_target(name, endpoint)

    def _read_target(self, target_id: str) -> dict[str, str]:
        from outrider_api.zitadel.action.v2.action_service_pb import GetTargetRequest

        response = self._server.call(
            self._server.actions.get_target, GetTargetRequest(id=target_id)
        )
        target = response.get("target", {})
        return {name: text_of(target, name) for name in ("id", "signingKey")}

    def _targets_named(self, name: str) -> list[dict[str, Any]]:
        from protobuf import Oneof

        from outrider_api.zitadel.action.v2.action_service_pb import ListTargetsRequest
        from outrider_api.zitadel.action.v2.query_pb import TargetNameFilter, TargetSearchFilter
        from outrider_api.zitadel.filter.v2.filter_pb import TextFilterMethod

        named = TargetNameFilter(target_name=name, method=TextFilterMethod.EQUALS_IGNORE_CASE)
        by_name: Any = Oneof("target_name_filter", named)
        request = ListTargetsRequest(filters=[TargetSearchFilter(filter=by_name)])
        response = self._server.call(self._server.actions.list_targets, request)
        found: list[dict[str, Any]] = response.get("targets", [])
        return found

    def _create_target(self, name: str, endpoint: str) -> dict[str, str]:
        from protobuf import Oneof
        from protobuf.wkt import Duration

        from outrider_api.zitadel.action.v2.action_service_pb import CreateTargetRequest
        from outrider_api.zitadel.action.v2.target_pb import RESTCall

        # A call: the handler's answer to an interception counts; its answer to an event does not.
        kind: Any = Oneof("rest_call", RESTCall(interrupt_on_error=True))
        request = CreateTargetRequest(
            name=name, endpoint=endpoint, target_type=kind, timeout=Duration.from_seconds(10)
        )
        response = self._server.call(self._server.actions.create_target, request)
        return {name: text_of(response, name) for name in ("id", "signingKey")}


def machine_name(host: str) -> str:
    """The name of a machine as the name of a tunnel."""
    name = re.sub(r"[^a-z0-9]+", "-", host.lower())[:MAX_NAME_CHARS].strip("-")
    return name if TUNNEL_NAME.fullmatch(name) else "laptop"


def checked_name(name: str) -> str:
    """The name of a tunnel; empty stays empty.

    Raises:
        CommandError: no tunnel can have it.
    """
    if name and TUNNEL_NAME.fullmatch(name) is None:
        raise CommandError(
            f"{name!r} is not the name of a tunnel",
            "use lower-case letters, digits and hyphens, at most 40",
            code=ExitCode.USAGE,
        )
    return name


def print_answered_call(call: AnsweredCall) -> None:
    """One forwarded call for people."""
    answered = f"answered {call.status}" if call.status else f"failed: {call.failure}"
    color = "green" if 0 < call.status < 300 else "red"  # noqa: PLR2004 - 2xx
    parts = [
        f"{call.at.astimezone():%H:%M:%S}",
        typer.style(printable(subject_of(call.body)), bold=True),
        _labelled("delivery", call.header("outrider-delivery")),
        _labelled("attempt", call.header("outrider-attempt")),
        typer.style(printable(answered), fg=color),
        f"{call.seconds * 1000:.0f} ms",
    ]
    typer.echo("  ".join(part for part in parts if part))


def print_answered_call_json(call: AnsweredCall) -> None:
    """One forwarded call as one line of JSON."""
    print_json_line(
        {
            "at": call.at.isoformat(),
            "subject": subject_of(call.body),
            "status": call.status,
            "failure": call.failure,
            "delivery": call.header("outrider-delivery"),
            "attempt": call.header("outrider-attempt"),
            "headers": [list(header) for header in call.headers],
            "body": call.body.decode("utf-8", "replace"),
            "answer": call.response_body.decode("utf-8", "replace"),
        }
    )


def _labelled(name: str, value: str) -> str:
    return f"{name} {printable(value)}" if value else ""
