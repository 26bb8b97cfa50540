"""The real service behind the table: every part is the one that runs in production but the clock.

No worker runs: deliveries stay pending.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from protobuf import DescMethod

from api.asgi_client import ApiClient, in_process
from api.calls.receiver import HOST, by_path
from api.calls.table import Caller
from api.contract import METHODS
from api.wires import Result, Wire
from outrider.api.asgi.types import App
from outrider.bootstrap.api import open_api
from outrider.bootstrap.app_context import AppContext, open_store
from outrider.config.loading import Settings
from outrider.domain.access.service_account import hash_secret
from outrider.domain.ids import AccountId, TokenId
from outrider.runtime import Runtime
from outrider.testing.receiver import Receiver
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.store import Store
from support.runtime import NOW

BETA = ".v2beta."
TICK = timedelta(milliseconds=1)
ADMIN_TOKEN = "otr_of_the_admin"
ROLELESS_TOKEN = "otr_of_an_account_without_roles"


class TickingClock:
    """Advances by a millisecond whenever it is asked, so that no two dates are equal."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += TICK
        return self.now


@dataclass(frozen=True)
class Service:
    """The service, and what each caller sends as a header.

    At `receiver` a server answers as the path says, see `api.calls.receiver`.
    """

    client: ApiClient
    store: Store
    instance: str
    clock: TickingClock
    headers: Mapping[Caller, Mapping[str, str]]
    receiver: str = ""
    app: App | None = None
    # With the one generator of identifiers: another one makes the same ones at the same time.
    runtime: Runtime = field(default_factory=Runtime)

    async def answer(
        self,
        rpc: str,
        request: Mapping[str, Any],
        caller: Caller = Caller.ADMIN,
        wire: Wire = Wire.CONNECT_PROTO,
    ) -> Result[Any]:
        """Whatever a call is answered with."""
        method = rpc_named(rpc)
        message = method.input.type.from_json(json.dumps(request))
        return await self.client.call(
            wire, method.parent, method.name, message, method.output.type, self.headers[caller]
        )

    async def ask(
        self,
        rpc: str,
        request: Mapping[str, Any],
        caller: Caller = Caller.ADMIN,
        wire: Wire = Wire.CONNECT_PROTO,
    ) -> dict[str, Any]:
        """The answer to a call that must succeed."""
        result = await self.answer(rpc, request, caller, wire)
        assert result.message is not None, f"{rpc} was refused: {result.code}, {result.text}"
        return dict(json.loads(result.message.to_json()))


@cache
def rpc_named(name: str) -> DescMethod:
    """A method by its name, which is that of the newest API, or by `package.Service/Method`."""
    (method,) = [
        candidate
        for candidate in METHODS
        if name == f"{candidate.parent.type_name}/{candidate.name}"
        or (name == candidate.name and BETA not in candidate.parent.type_name)
    ]
    return method


@asynccontextmanager
async def running(directory: Path, **changes: Any) -> AsyncIterator[Service]:
    """A service with an empty store, known to every caller of the table; with other settings."""
    usual = {"admin_token": ADMIN_TOKEN, "master_key": bytes(range(32)), "egress_allow": HOST}
    settings = Settings(**{"data_dir": directory, **usual, **changes})
    clock = TickingClock()
    async with open_store(settings) as found, Receiver(by_path, host=HOST) as receiver:
        context = replace(found, runtime=replace(found.runtime, now=clock))
        async with open_api(settings, context) as app:
            headers: dict[Caller, Mapping[str, str]] = dict(FIXED_HEADERS)
            client = ApiClient(in_process(app))
            at = f"http://{HOST}:{receiver.port}"
            service = Service(
                client, context.store, context.instance, clock, headers, at, app, context.runtime
            )
            headers |= await issued_headers(service)
            await add_roleless(context)
            yield service


def bearer(token: str) -> Mapping[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {token}"}


FIXED_HEADERS: Mapping[Caller, Mapping[str, str]] = {
    Caller.ADMIN: bearer(ADMIN_TOKEN),
    Caller.ROLELESS: bearer(ROLELESS_TOKEN),
    Caller.NOBODY: {},
    Caller.OTHER_SCHEME: {"authorization": f"Basic {ADMIN_TOKEN}"},
    Caller.LOWER_CASE: {"authorization": f"bearer {ADMIN_TOKEN}"},
    Caller.UNKNOWN: bearer("otr_that_nobody_issued"),
}


async def issued_headers(service: Service) -> dict[Caller, Mapping[str, str]]:
    """Tokens as accounts get them; one is revoked, and one has expired when this returns."""
    roles = {
        Caller.VIEWER: "IAM_OWNER_VIEWER",
        Caller.PUBLISHER: "EVENT_PUBLISHER",
        Caller.ORG_OWNER: "ORG_OWNER",
        Caller.REVOKED: "IAM_OWNER",
        Caller.EXPIRED: "IAM_OWNER",
    }
    soon = service.clock.now + timedelta(hours=1)
    issued = {}
    for caller, role in roles.items():
        request: dict[str, Any] = {"account": caller.value, "roles": [role]}
        if caller is Caller.EXPIRED:
            request["expirationDate"] = soon.isoformat()
        issued[caller] = await service.ask("CreateToken", request)
    await service.ask("RevokeToken", {"id": issued[Caller.REVOKED]["id"]})
    service.clock.now = soon
    return {caller: bearer(answer["token"]) for caller, answer in issued.items()}


async def add_roleless(opened: AppContext) -> None:
    """An account without roles: the API makes none, but a role may be taken out of the product."""
    token = Token(
        id=TokenId("1"),
        instance_id=opened.instance,
        account_id=AccountId("1"),
        account_name=Caller.ROLELESS.value,
        roles=frozenset(),
        created_at=NOW,
        expires_at=None,
    )
    await opened.store.write(lambda unit: unit.tokens.add(token, hash_secret(ROLELESS_TOKEN)))
