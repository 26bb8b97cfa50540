"""Two tenants of one server: what one of them has, and what the other is answered about it."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from protobuf import DescMethod

import outrider_api
from api.calls.runner import BLANK, part
from api.calls.service import Service, bearer, running
from api.services.zitadel.test_public_keys import KEY
from api.wires import HttpRequest, HttpResponse, Result, Wire

# The egress guard refuses to call it, and no name server is asked for it.
ENDPOINT = "http://localhost:9/hook"
WORDS = map("word{:04}x".format, count(1))
# But for the zero date, which means that there never was one.
_DATE = re.compile(r'"(?!0001)\d{4}-\d\d-\d\dT[0-9:.]+Z"')
_SUGGESTIONS = re.compile(r'"suggestions": \[[^\]]*\]')
_NEW = re.compile(r'"(id|keyId|token|signingKey|keyFile|clientSecret|duration)": ?"[^"]*"')


def methods() -> Iterator[DescMethod]:
    """Every call of every proto file."""
    for module in pkgutil.walk_packages(outrider_api.__path__, "outrider_api."):
        if module.name.endswith("_pb"):
            for service in import_module(module.name).desc().services:
                yield from service.methods


METHODS = [*methods()]
OLDER = ("zitadel.action.v2beta.", "zitadel.webkey.v2beta.", "grpc.")


@dataclass(frozen=True)
class Tenant:
    """An instance, and its first owner."""

    service: Service
    id: str
    host: str
    token: str

    @property
    def headers(self) -> Mapping[str, str]:
        """What its owner sends."""
        return {**bearer(self.token), "host": self.host}

    async def answer(
        self, method: DescMethod, request: Mapping[str, Any], wire: Wire = Wire.CONNECT_PROTO
    ) -> Result[Any]:
        """Whatever its owner is answered."""
        message = method.input.type.from_json(json.dumps(request))
        return await self.service.client.call(
            wire, method.parent, method.name, message, method.output.type, self.headers
        )

    async def ask(self, rpc: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a call that must succeed."""
        (method,) = [
            method
            for method in METHODS
            if method.name == rpc and not method.parent.type_name.startswith(OLDER)
        ]
        result = await self.answer(method, request)
        assert result.message is not None, f"{rpc} was refused: {result.code}, {result.text}"
        return dict(json.loads(result.message.to_json()))

    async def fetch(self, method: str, path: str, body: bytes = b"", **more: str) -> HttpResponse:
        """Any answer at its host."""
        headers = {"host": self.host, **{n.replace("_", "-"): text for n, text in more.items()}}
        return await self.service.client.exchange(HttpRequest(method, path, headers, body))


@asynccontextmanager
async def two_tenants(directory: Path) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """In addition to the default instance."""
    async with running(directory) as service:
        yield await new_tenant(service, "a.test"), await new_tenant(service, "b.test")


async def new_tenant(service: Service, host: str) -> Tenant:
    """An instance that only this host name leads to."""
    made = await service.ask("CreateInstance", {"name": host, "hosts": [host]})
    return Tenant(service, made["id"], host, made["token"])


async def populate(tenant: Tenant, *, account_key: bool = False) -> dict[str, str]:
    """One new thing of every kind. A key of an account takes a while, and comes when asked for."""
    has = new_names()

    async def make(name: str, path: str, rpc: str, request: Mapping[str, Any]) -> None:
        has[name] = part(await tenant.ask(rpc, filled(request, has)), path)

    await make("target", "id", "CreateTarget", A_TARGET)
    await make("key", "keyId", "AddPublicKey", {"targetId": "$target", "publicKey": KEY})
    await make("web_key", "id", "CreateWebKey", {"ed25519": {}})
    await tenant.ask("AddEntries", filled(ENTRIES, has))
    for condition in CONDITIONS:
        request = {"condition": condition, "targets": ["$target"]}
        await tenant.ask("SetExecution", filled(request, has))
    await tenant.ask("PublishEvents", filled(AN_EVENT, has))
    await make("delivery", "deliveries.0.id", "ListDeliveries", {"eventId": "$event"})
    await make("account", "id", "CreateAccount", {"name": "$account_name", "roles": ["ORG_OWNER"]})
    await make("token", "id", "CreateToken", {"account": "$word", "roles": ["ORG_OWNER"]})
    if account_key:
        await make("account_key", "keyId", "CreateAccountKey", {"accountId": "$account"})
    return has


def new_names() -> dict[str, str]:
    """Names that nothing has yet."""
    word = next(WORDS)
    return {
        "word": word,
        "event_type": f"{word}.happened",
        "event": f"{word} event",
        "function": f"{word}price",
        "method": f"/{word}.v1.Shop/Buy",
        "target_name": f"{word} target",
        "account_name": f"{word} account",
    }


def nobodys() -> dict[str, str]:
    """Things that were never made, under the names of those that `populate` makes."""
    ids = ("target", "key", "web_key", "delivery", "account", "account_key", "token")
    numbers = {name: f"{999_999_999_999_999_900 + n}" for n, name in enumerate(ids)}
    return {**new_names(), **numbers}


A_TARGET = {"name": "$target_name", "endpoint": ENDPOINT, "restCall": {}, "timeout": "1s"}
AN_EVENT = {"events": [{"id": "$event", "eventType": "$event_type"}]}
ENTRIES = {
    "entries": [
        {"kind": "CATALOGUE_KIND_FUNCTION", "name": "$function"},
        {"kind": "CATALOGUE_KIND_METHOD", "name": "$method"},
        {"kind": "CATALOGUE_KIND_EVENT_TYPE", "name": "$event_type"},
    ]
}
CONDITIONS: tuple[dict[str, Any], ...] = (
    {"event": {"event": "$event_type"}},
    {"function": {"name": "$function"}},
    {"request": {"method": "$method"}},
    {"response": {"method": "$method"}},
)


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """A request with the names of things instead of `$name`."""
    text = BLANK.sub(lambda blank: names[blank[1]], json.dumps(value))
    return json.loads(text)


def mentioned(request: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Those of the names that a request asks about."""
    asked = set(BLANK.findall(json.dumps(request)))
    return {name: value for name, value in names.items() if name in asked}


async def suggests_its_own(tenant: Tenant, result: Result[Any]) -> bool:
    """Whether every name that an answer suggests is one of the tenant's catalogue."""
    for name in getattr(result.message, "suggestions", ()):
        found = await tenant.ask("ListEntries", {"prefix": name.removeprefix("event/")})
        if name not in {entry["name"] for entry in found.get("entries", ())}:
            return False
    return True


def shown(result: Result[Any], names: Mapping[str, str]) -> str:
    """An answer without what differs in every answer, and with `$name` for what was asked about."""
    if result.message is None:
        text = f"{result.code}: {result.text} ({result.detail_id})"
    else:
        text = _NEW.sub(r'"\1": "new"', json.dumps(json.loads(result.message.to_json())))
        text = _DATE.sub('"date"', text)
        # Which names are near depends on the name that was asked about.
        text = _SUGGESTIONS.sub('"suggestions"', text)
    for name, value in sorted(names.items(), key=lambda item: -len(item[1])):
        text = text.replace(value, f"${name}")
    return text


async def snapshot(tenant: Tenant, has: Mapping[str, str]) -> list[Any]:
    """All that its owner sees of it."""
    asked = [
        ("ListTargets", {}),
        ("ListPublicKeys", {"targetId": "$target"}),
        ("GetTargetPolicy", {"targetId": "$target"}),
        ("ListExecutions", {}),
        ("ListEntries", {"prefix": "$word"}),
        ("ListWebKeys", {}),
        ("ListAccounts", {}),
        ("ListAccountKeys", {"accountId": "$account"}),
        ("ListTokens", {}),
        ("ListDeliveries", {}),
        ("GetDelivery", {"id": "$delivery"}),
    ]
    return [await tenant.ask(rpc, filled(request, has)) for rpc, request in asked]
