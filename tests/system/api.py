"""Calls to a running server, over HTTP/1.1 with JSON, as a program without our packages makes them."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WITHIN_S = 60.0
PAGE = 1000
Rows = Callable[[], Awaitable[Sequence[Any]]]
OPEN = ("PENDING", "DELIVERING", "RETRYING")


class ApiError(Exception):
    """An answer that is not 200. `error` is its JSON."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


@dataclass(frozen=True)
class CreatedTarget:
    """What CreateTarget answers."""

    id: str
    signing_key: str


@dataclass(frozen=True)
class Api:
    """One caller of one server."""

    url: str
    token: str

    async def post(self, path: str, body: object, *, method: str = "POST") -> dict[str, Any]:
        """Return the answer's JSON. Raise `ApiError`, or `OSError` when there is no answer."""
        return await asyncio.to_thread(self.send, method, path, body)

    async def get(self, path: str) -> dict[str, Any]:
        """The same for what has no body."""
        return await asyncio.to_thread(self.send, "GET", path, None)

    def send(self, method: str, path: str, body: object) -> dict[str, Any]:
        """One call on a separate connection."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=WITHIN_S)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(
                method, path, json.dumps(body) if body is not None else None, headers
            )
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as failure:
            raise ConnectionError(str(failure)) from failure
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ApiError(answer.status, json.loads(text))
        return json.loads(text)

    async def create_target(
        self,
        name: str,
        endpoint: str,
        *,
        kind: str = "restWebhook",
        interrupt: bool = False,
        timeout: str = "10s",
    ) -> CreatedTarget:
        """Add a target."""
        body = {"name": name, "endpoint": endpoint, "timeout": timeout}
        body[kind] = {"interruptOnError": True} if interrupt else {}
        answer = await self.post("/v2/actions/targets", body)
        return CreatedTarget(answer["id"], answer["signingKey"])

    async def delete_target(self, target: str) -> None:
        """Delete a target."""
        await self.post(f"/v2/actions/targets/{target}", None, method="DELETE")

    async def set_execution(self, event_type: str, *targets: str) -> None:
        """Set the targets of a type of events, in order."""
        condition = {"event": {"event": event_type}}
        body = {"condition": condition, "targets": targets}
        await self.post("/v2/actions/executions", body, method="PUT")

    async def publish(self, event_type: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Publish events; each carries its id in its body, as the id of its aggregate."""
        events = [
            {"id": event_id, "aggregateId": event_id, "eventType": event_type} for event_id in ids
        ]
        return (await self.post("/v1/events", {"events": events}))["results"]

    async def deliveries(self, *states: str, **filters: str) -> list[dict[str, Any]]:
        """Every delivery in one of these states; in any, when none is named."""
        query = {"states": [f"DELIVERY_STATE_{state}" for state in states], **filters}
        found: list[dict[str, Any]] = []
        page = {}
        while True:
            body = {**query, **page, "pageSize": PAGE}
            answer = await self.post("/v1/deliveries/search", body)
            found += answer.get("deliveries", [])
            if not answer.get("nextPageToken"):
                return found
            page = {"pageToken": answer["nextPageToken"]}

    async def delivery(self, delivery: str) -> dict[str, Any]:
        """One delivery with its attempts."""
        return (await self.get(f"/v1/deliveries/{delivery}"))["delivery"]

    async def until(self, rows: Rows, count: int, *, within: float = 30.0) -> None:
        """Ask again and again until there are enough rows. Raise `TimeoutError` with the last."""
        found: Sequence[Any] = ()
        try:
            async with asyncio.timeout(within):
                while len(found := await rows()) != count:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"there are {len(found)}, such as {found[:3]}") from None

    async def settled(self, *, within: float = 30.0) -> None:
        """Wait until no delivery is open."""
        await self.until(lambda: self.deliveries(*OPEN), 0, within=within)
