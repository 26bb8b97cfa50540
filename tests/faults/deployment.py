"""What every fault hits: a server with one target, its receiver, and a publisher.

Every secret that a delivery needs is in use, so that each fault may try to make a log tell one.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from outrider.testing.receiver import Receiver
from system.api import Api, ApiError
from system.server import Server

EVENT_TYPE = "user.human.added"
ADMIN_OF_RECEIVER = "Bearer a-token-that-only-the-receiver-may-know"
# What a publisher waits before it tries again, where nothing tells it that it may.
_PAUSE_S = 0.05


@dataclass
class Deployment:
    """Publishes to `server`, which may be replaced; remembers what was answered. No id comes twice.

    `others` are nodes on the same store, `dead` those that were killed. All have `environ`.
    """

    server: Server
    receiver: Receiver
    secrets: Mapping[str, bytes] = field(repr=False)
    others: list[Server] = field(default_factory=list)
    dead: list[Server] = field(default_factory=list)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    answered: set[str] = field(default_factory=set)
    used_ids: int = 0
    refusals: list[ApiError] = field(default_factory=list)

    @property
    def api(self) -> Api:
        """What the admin can do with the server that runs now."""
        return self.server.api

    @property
    def nodes(self) -> list[Server]:
        """All that run, in no order of rank."""
        return [self.server, *self.others]

    def kill(self, node: Server) -> None:
        """Kill a node. Publishers use another one, if there is any."""
        node.kill()
        self.dead.append(node)
        self.server, *self.others = [left for left in self.nodes if left is not node] or [node]

    async def replace(self, node: Server, launch: Callable[..., Server]) -> None:
        """Kill a node and start it again immediately; publishers use the new one when it is there."""
        self.kill(node)
        others = [other for other in self.nodes if other is not node]
        self.server = await launch(data_dir=node.data_dir, environ=self.environ).ready()
        self.others = others

    def new_ids(self, count: int) -> list[str]:
        """Ids that no event has."""
        first, self.used_ids = self.used_ids, self.used_ids + count
        return [f"event-{number:06d}" for number in range(first, self.used_ids)]

    async def publish(self, ids: list[str], payload: str = "") -> list[dict[str, Any]]:
        """One call. What it raises was not answered."""
        body: dict[str, Any] = {"eventType": EVENT_TYPE}
        if payload:
            body["eventPayload"] = {"text": payload}
        events = [{"id": event_id, "aggregateId": event_id, **body} for event_id in ids]
        results = (await self.api.post("/v1/events", {"events": events}))["results"]
        assert ids == [result["id"] for result in results]
        self.answered.update(ids)
        return results

    async def feed(self, count: int, *, at_once: int = 20) -> None:
        """Publish `count` events in calls of `at_once`, each again and again until it is answered."""
        for start in range(0, count, at_once):
            ids = self.new_ids(min(at_once, count - start))
            while True:
                try:
                    await self.publish(ids)
                except ApiError as refused:
                    if refused.error["code"] != "unavailable":
                        raise
                    self.refusals.append(refused)
                except OSError:
                    pass  # no server there, or it ended before the answer
                else:
                    break
                await asyncio.sleep(_PAUSE_S)


async def deployment_of(
    server: Server,
    receiver: Receiver,
    *,
    endpoint: str = "",
    policy: Mapping[str, Any] | None = None,
) -> Deployment:
    """A started server with one target, the receiver, which its events go to.

    `endpoint` is another URL of it; `policy` is the target's, in addition to a header that is a secret.
    """
    api = server.api
    secrets = secrets_of(server)
    target = await api.create_target("audit", endpoint or receiver.url, timeout="60s")
    receiver.signing_keys = [target.signing_key]
    headers = {"headers": {"Authorization": ADMIN_OF_RECEIVER}}
    path = f"/v1/targets/{target.id}/policy"
    await api.post(path, {"policy": {**headers, **(policy or {})}}, method="PUT")
    await api.set_execution(EVENT_TYPE, target.id)
    secrets["signing key"] = target.signing_key.encode()
    return Deployment(server, receiver, secrets)


def secrets_of(server: Server) -> dict[str, bytes]:
    """What must be in no log, whatever the target is."""
    master_key = (server.data_dir / "master.key").read_bytes().strip()
    return {
        "admin token": server.token.encode(),
        "header of the policy": ADMIN_OF_RECEIVER.removeprefix("Bearer ").encode(),
        "master key": master_key,
        "its bytes": base64.b64decode(master_key),
    }
