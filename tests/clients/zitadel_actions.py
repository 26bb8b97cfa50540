"""ActionService through ZITADEL's own client library for Python, as its users call it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from clients.zitadel_library import models, zitadel
from system.server import Server

PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
KEY = base64.b64encode(PEM.encode()).decode()
PREFIX = "ActionService"
GROWTHS = 3


class ActionsClient:
    """The library's part for actions; requests are given as the API's reference shows them."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def call(self, procedure: str, **request: Any) -> Any:
        """Make the call with a request of the library's own models."""
        name = "".join(word.capitalize() for word in procedure.split("_"))
        model = getattr(models, f"{PREFIX}{name}Request")
        return getattr(self.api, procedure)(model.from_dict(request))

    def target(self, name: str = "audit", **fields: Any) -> str:
        """The id of a new target."""
        new_target = {"name": name, "endpoint": "http://127.0.0.1:1/hook", "timeout": "10s"}
        kind = {} if "restCall" in fields or "restAsync" in fields else {"restWebhook": {}}
        return self.call("create_target", **new_target | kind | fields).id

    def add(self, target: str, **fields: Any) -> str:
        """The id of a new public key."""
        request = {"targetId": target, "publicKey": KEY, **fields}
        return self.call("add_public_key", **request).key_id

    def keys(self, target: str, *filters: dict[str, Any], **fields: Any) -> list[Any]:
        """Public keys."""
        request = {"targetId": target, "filters": list(filters), **fields}
        return self.call("list_public_keys", **request).public_keys or []

    def names(self, *filters: dict[str, Any], **fields: Any) -> list[str]:
        """Names of targets, by name."""
        order = {"sortingColumn": "TARGET_FIELD_NAME_NAME", "pagination": {"asc": True}}
        found = self.call("list_targets", filters=list(filters), **order | fields).targets
        return [target.name for target in found or []]


@contextmanager
def connected_client(server: Server) -> Iterator[ActionsClient]:
    """With a token as people keep them in their settings; it leaves no target behind."""
    with zitadel.Zitadel.with_access_token(server.url, server.token) as connected:
        client = ActionsClient(connected.actions)
        yield client
        for target in client.call("list_targets").targets or []:
            client.call("delete_target", id=target.id)


def error_of(client: ActionsClient, procedure: str, **request: Any) -> tuple[int, str]:
    """The status and the id of the error that a call ends with."""
    with pytest.raises(zitadel.ApiError) as caught:
        client.call(procedure, **request)
    return caught.value.code, caught.value.response_body["details"][0]["debug"]["id"]


def walk(read: Callable[[dict[str, Any]], list[str]], grow: Callable[[int], object]) -> list[str]:
    """Read a list page by page, oldest first, while it grows."""
    seen: list[str] = []
    for number in range(20):
        page = read({"offset": len(seen), "limit": 3, "asc": True})
        seen += page
        if len(page) < 3:
            break
        if number < GROWTHS:
            grow(number)
    return seen
