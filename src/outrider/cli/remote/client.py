# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Call a running server through the generated clients, and explain its errors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cached_property, partial
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.waiting import call_interruptibly
from outrider.server.data_directory import ADMIN_TOKEN_FILE

if TYPE_CHECKING:
    from connectrpc.errors import ConnectError

    from outrider_api.outrider.v1.account_service_connect import AccountServiceClientSync
    from outrider_api.outrider.v1.catalogue_service_connect import CatalogueServiceClientSync
    from outrider_api.outrider.v1.delivery_service_connect import DeliveryServiceClientSync
    from outrider_api.outrider.v1.event_service_connect import EventServiceClientSync
    from outrider_api.outrider.v1.instance_service_connect import InstanceServiceClientSync
    from outrider_api.outrider.v1.interception_service_connect import InterceptionServiceClientSync
    from outrider_api.outrider.v1.interception_service_pb import InterruptDetail
    from outrider_api.outrider.v1.target_policy_service_connect import TargetPolicyServiceClientSync
    from outrider_api.outrider.v1.tunnel_service_connect import TunnelServiceClient
    from outrider_api.zitadel.action.v2.action_service_connect import ActionServiceClientSync

CALL_TIMEOUT_MS = 30_000
DEFAULT_DATA_DIR = Path("data")
DEV_DATA_DIR = Path(".outrider-dev")
MAX_TOKEN_CHARS = 4096
ADMIN_TOKEN = "OUTRIDER_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
ADVICE_ON_ACCESS = "Give --token or OUTRIDER_TOKEN, or --data-dir with the server's data directory."

# ZITADEL answers "not found" to a valid token whose account has no role at all.
_NO_ROLE = "AUTHZ-cdgFk"
_DENIED = "Errors.Target.DeniedURL"
_TOKEN = re.compile(r"[!-~]+")


class _JsonMessage(Protocol):
    def to_json(self) -> str: ...


RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
RequestT = TypeVar("RequestT")


class _RpcMethod(Protocol[RequestT_contra]):
    def __call__(self, request: RequestT_contra, *, headers: Mapping[str, str]) -> _JsonMessage: ...


class RemoteServer:
    """A server as one account sees it."""

    def __init__(self, url: str, token: str) -> None:
        self.url = checked_url(url)
        self.headers = {"authorization": f"Bearer {token}"}

    def call(
        self,
        rpc_method: _RpcMethod[RequestT],
        request: RequestT,
        *,
        advice: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The response as protojson: fields that are empty are absent.

        `advice` is what to do when the server rejects the request for its content; `headers` are
        sent besides those of every call.

        Raises:
            CommandError: the server refused or did not answer.
        """
        from connectrpc.errors import ConnectError

        all_headers = {**self.headers, **(headers or {})}
        try:
            response = call_interruptibly(partial(rpc_method, request, headers=all_headers))
        except ConnectError as error:
            raise command_error(error, self.url, advice) from None
        document: dict[str, Any] = json.loads(response.to_json())
        return document

    @cached_property
    def actions(self) -> ActionServiceClientSync:
        """Targets and executions."""
        from outrider_api.zitadel.action.v2.action_service_connect import (
            ActionServiceClientSync,
        )

        return ActionServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def accounts(self) -> AccountServiceClientSync:
        """Tokens."""
        from outrider_api.outrider.v1.account_service_connect import (
            AccountServiceClientSync,
        )

        return AccountServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def instances(self) -> InstanceServiceClientSync:
        """Tenants of the server."""
        from outrider_api.outrider.v1.instance_service_connect import (
            InstanceServiceClientSync,
        )

        return InstanceServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def events(self) -> EventServiceClientSync:
        """Where events go in."""
        from outrider_api.outrider.v1.event_service_connect import (
            EventServiceClientSync,
        )

        return EventServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def deliveries(self) -> DeliveryServiceClientSync:
        """The log of deliveries."""
        from outrider_api.outrider.v1.delivery_service_connect import (
            DeliveryServiceClientSync,
        )

        return DeliveryServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def interceptions(self) -> InterceptionServiceClientSync:
        """Where requests, responses and functions run through their targets."""
        from outrider_api.outrider.v1.interception_service_connect import (
            InterceptionServiceClientSync,
        )

        return InterceptionServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def policies(self) -> TargetPolicyServiceClientSync:
        """How targets are called."""
        from outrider_api.outrider.v1.target_policy_service_connect import (
            TargetPolicyServiceClientSync,
        )

        return TargetPolicyServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def catalogue(self) -> CatalogueServiceClientSync:
        """What conditions may name."""
        from outrider_api.outrider.v1.catalogue_service_connect import (
            CatalogueServiceClientSync,
        )

        return CatalogueServiceClientSync(self.url, timeout_ms=CALL_TIMEOUT_MS)

    @cached_property
    def tunnels(self) -> TunnelServiceClient:
        """Calls that are answered from here. For one event loop; give it `headers`."""
        from outrider_api.outrider.v1.tunnel_service_connect import TunnelServiceClient

        return TunnelServiceClient(self.url)


def connect(url: str, token: str | None, data_dir: Path | None) -> RemoteServer:
    """The server that the options of a command name. Nothing is sent yet.

    Raises:
        CommandError: the URL cannot be one, or no token can be found.
    """
    return RemoteServer(url, token or token_for(checked_url(url), data_dir))


def checked_url(url: str, option: str = "--url (or OUTRIDER_URL)") -> str:
    """The URL without a slash at its end. `option` is where it was given."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _TOKEN.fullmatch(url) or "?" in url or "#" in url:
        raise CommandError(
            f"{url!r} is not the URL of a server",
            f"Give {option} something like http://127.0.0.1:8080",
            code=ExitCode.USAGE,
        )
    return url.rstrip("/")


def token_for(url: str, data_dir: Path | None) -> str:
    """The token of a server when no option gives one.

    That is the admin token in `data_dir`. The token that a server on this machine may have been
    started with is tried after it, for such a server only: a token is not shown to strangers.
    """
    local = is_local(url)
    path = (data_dir or _usual_data_dir()) / ADMIN_TOKEN_FILE
    if local and not (data_dir and path.exists()) and os.environ.get(ADMIN_TOKEN):
        return os.environ[ADMIN_TOKEN]
    if data_dir is None and not (local and path.exists()):
        raise CommandError(f"no token for {url}", ADVICE_ON_ACCESS, code=ExitCode.NOT_ALLOWED)
    return read_token(path)


def _usual_data_dir() -> Path:
    """Where a server or `outrider dev` keeps its data by default."""
    is_dev = (DEV_DATA_DIR / ADMIN_TOKEN_FILE).exists()
    return DEV_DATA_DIR if is_dev and not DEFAULT_DATA_DIR.exists() else DEFAULT_DATA_DIR


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        CommandError: it cannot be read, or holds no token.
    """
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            token = file.read(MAX_TOKEN_CHARS).strip()
    except OSError as error:
        raise CommandError(
            f"{path}: {error.strerror}",
            "Is that the server's data directory, and may you read it?",
            code=ExitCode.NOT_ALLOWED,
        ) from None
    if not _TOKEN.fullmatch(token):
        raise CommandError(f"{path} holds no token", code=ExitCode.NOT_ALLOWED)
    return token


def is_local(url: str) -> bool:
    """Whether the URL leads to this machine, whatever the name service says."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def command_error(error: ConnectError, url: str, advice: str = "") -> CommandError:
    """What a failed call means to the user of the command."""
    from connectrpc.code import Code

    interrupt = _interrupt(error)
    if interrupt is not None:
        target_id, interception_id = interrupt.target_id, interrupt.interception_id
        # The code is the target's and says nothing about this caller.
        return CommandError(
            f"{error.message} ({error.code.value})",
            f"Target {target_id} interrupted the call: see `outrider target get {target_id}`."
            f" The server's log has the reason with the interception_id {interception_id}.",
            code=ExitCode.STOPPED,
        )
    if error.code is Code.UNAVAILABLE and _is_from_server(error):
        return CommandError(
            f"{url} cannot do this now: {error.message}",
            "The server runs. Its log says more, and so does `outrider doctor` on its machine.",
            code=ExitCode.UNREACHABLE,
        )
    if error.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
        return CommandError(
            f"cannot reach {url}: {_reason(error.message)}",
            "Is the server running there? Name another one with --url or OUTRIDER_URL.",
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
            "The account of the token needs another role; see `outrider token create --help`.",
            code=ExitCode.NOT_ALLOWED,
        )
    if error.code is Code.UNIMPLEMENTED or (error.code is Code.NOT_FOUND and not advice):
        advice = f"Is {url} an outrider server, and as new as this command?"
    elif _DENIED in error.message:
        advice = "The server may not call that address; see OUTRIDER_EGRESS_ALLOW in the settings."
    return CommandError(f"{error.message} ({error.code.value})", advice)


def _interrupt(error: ConnectError) -> InterruptDetail | None:
    if not error.details:
        return None
    from outrider_api.outrider.v1.interception_service_pb import InterruptDetail

    name = InterruptDetail.desc().type_name
    of_targets = [detail for detail in error.details if detail.type_name == name]
    return of_targets[0].value(InterruptDetail) if of_targets else None


def _is_from_server(error: ConnectError) -> bool:
    # The library's own have a cause, and what a proxy answers has the name of its status.
    phrases = {httpstatus.phrase for httpstatus in HTTPStatus}
    return error.__cause__ is None and error.message not in phrases


def _reason(message: str) -> str:
    # The HTTP library tells the whole chain of causes, and the URL again.
    library = message.startswith("Request failed: ")
    return message.rpartition(": ")[2] if library else message
