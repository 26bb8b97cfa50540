# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Call a running server through the generated clients, and explain its errors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from outrider.cli.remote.call_errors import ADVICE_ON_ACCESS, command_error
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.waiting import call_interruptibly
from outrider.server.data_directory import ADMIN_TOKEN_FILE

if TYPE_CHECKING:
    from outrider_api.outrider.v1.account_service_connect import AccountServiceClientSync
    from outrider_api.outrider.v1.catalogue_service_connect import CatalogueServiceClientSync
    from outrider_api.outrider.v1.delivery_service_connect import DeliveryServiceClientSync
    from outrider_api.outrider.v1.event_service_connect import EventServiceClientSync
    from outrider_api.outrider.v1.execution_service_connect import ExecutionServiceClientSync
    from outrider_api.outrider.v1.instance_service_connect import InstanceServiceClientSync
    from outrider_api.outrider.v1.interception_service_connect import InterceptionServiceClientSync
    from outrider_api.outrider.v1.target_policy_service_connect import TargetPolicyServiceClientSync
    from outrider_api.outrider.v1.tunnel_service_connect import TunnelServiceClient
    from outrider_api.zitadel.action.v2.action_service_connect import ActionServiceClientSync

CALL_TIMEOUT_MS = 30_000
DEFAULT_DATA_DIR = Path("data")
DEV_DATA_DIR = Path(".outrider-dev")
MAX_TOKEN_CHARS = 4096
ADMIN_TOKEN = "OUTRIDER_ADMIN_TOKEN"  # noqa: S105 - the name of a variable

# The generated module and service of each client.
_CLIENTS = {
    "accounts": ("outrider.v1.account_service", "AccountService"),
    "actions": ("zitadel.action.v2.action_service", "ActionService"),
    "catalogue": ("outrider.v1.catalogue_service", "CatalogueService"),
    "deliveries": ("outrider.v1.delivery_service", "DeliveryService"),
    "events": ("outrider.v1.event_service", "EventService"),
    "executions": ("outrider.v1.execution_service", "ExecutionService"),
    "instances": ("outrider.v1.instance_service", "InstanceService"),
    "interceptions": ("outrider.v1.interception_service", "InterceptionService"),
    "policies": ("outrider.v1.target_policy_service", "TargetPolicyService"),
}
_TOKEN = re.compile(r"[!-~]+")


class _JsonMessage(Protocol):
    def to_json(self) -> str: ...


RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
RequestT = TypeVar("RequestT")


class _RpcMethod(Protocol[RequestT_contra]):
    def __call__(self, request: RequestT_contra, *, headers: Mapping[str, str]) -> _JsonMessage: ...


class RemoteServer:
    """A server as one account sees it."""

    if TYPE_CHECKING:
        accounts: AccountServiceClientSync
        actions: ActionServiceClientSync
        catalogue: CatalogueServiceClientSync
        deliveries: DeliveryServiceClientSync
        events: EventServiceClientSync
        executions: ExecutionServiceClientSync
        instances: InstanceServiceClientSync
        interceptions: InterceptionServiceClientSync
        policies: TargetPolicyServiceClientSync

    def __init__(self, url: str, token: str | None = None, data_dir: Path | None = None) -> None:
        """Nothing is sent yet. Without `token` the one of `data_dir` is read when a call needs it.

        The use of `url`, or a call, raises `CommandError` for what is no URL, and without a token.
        """
        self._url = url
        self._token = token
        self._data_dir = data_dir

    @cached_property
    def url(self) -> str:
        """The URL of the server."""
        return checked_url(self._url)

    @cached_property
    def headers(self) -> dict[str, str]:
        """Those of every call."""
        return {"authorization": f"Bearer {self._token or token_for(self.url, self._data_dir)}"}

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
        return self.call_for_headers(rpc_method, request, advice=advice, sent=headers)[0]

    def call_for_headers(
        self,
        rpc_method: _RpcMethod[RequestT],
        request: RequestT,
        *,
        advice: str = "",
        sent: Mapping[str, str] | None = None,
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """As `call`, with the headers of the response, their names in lower case.

        `sent` are headers besides those of every call.
        """
        from connectrpc.client import ResponseMetadata
        from connectrpc.errors import ConnectError

        def call() -> tuple[_JsonMessage, Mapping[str, str]]:
            with ResponseMetadata() as metadata:
                response = rpc_method(request, headers={**self.headers, **(sent or {})})
            return response, dict(metadata.headers)

        try:
            response, headers = call_interruptibly(call)
        except ConnectError as error:
            raise command_error(error, self.url, advice) from None
        return json.loads(response.to_json()), headers

    def __getattr__(self, name: str) -> Any:
        """The generated client of a service, made when it is asked for."""
        if name not in _CLIENTS:
            raise AttributeError(name)
        module, kind = _CLIENTS[name]
        client = getattr(import_module(f"outrider_api.{module}_connect"), f"{kind}ClientSync")
        setattr(self, name, client(self.url, timeout_ms=CALL_TIMEOUT_MS))
        return getattr(self, name)

    @cached_property
    def tunnels(self) -> TunnelServiceClient:
        """Calls that are answered from here. For one event loop; give it `headers`."""
        from outrider_api.outrider.v1.tunnel_service_connect import TunnelServiceClient

        return TunnelServiceClient(self.url)


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
            f"give {option} something like http://127.0.0.1:8080",
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
    """Return the default data directory of a server or of `outrider dev`."""
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
            "give the server's data directory, as a user who may read it",
            code=ExitCode.NOT_ALLOWED,
        ) from None
    if not _TOKEN.fullmatch(token):
        raise CommandError(f"{path} holds no token", ADVICE_ON_ACCESS, code=ExitCode.NOT_ALLOWED)
    return token


def is_local(url: str) -> bool:
    """Return whether the URL leads to this machine, without asking the name service."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
